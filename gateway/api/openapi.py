"""OpenAPI 3.1, made of the route table itself, so that it cannot say what is not so."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec

from gateway.api.identity import OPEN
from gateway.api.links import links
from gateway.api.routing import Nothing, Route

PROBLEM = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


STATUSES = """Errors are RFC 9457 problems. 400: the request is not as this document says. 422: it is, and cannot be
done (two fields that do not go together, somebody who is not on the roster). 409: not as things stand now."""


def document(routes: list[Route], version: str) -> dict[str, Any]:
    """The whole document."""
    shapes = [route.asked for route in routes if route.asked is not Nothing]
    shapes += [route.answer.shape for route in routes if isinstance(route.answer.shape, type)]
    _, schemas = msgspec.json.schema_components(shapes, ref_template="#/components/schemas/{name}")
    loosened(shapes, schemas)
    for route in routes:
        if (more := getattr(route.asked, "more_schema", None)) is not None and route.takes_body:
            schemas[route.asked.__name__].update(more)
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(_template(route.path), {})[route.method.lower()] = _operation(route, routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lapel",
            "version": version,
            "description": STATUSES,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "lapel_session"},
            },
            "schemas": {**schemas, "Problem": PROBLEM},
            "responses": {
                "Problem": {
                    "description": "RFC 9457 problem",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
        },
    }


def loosened(kinds: list[Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The same schemas, in which what may be left out is not required."""
    for kind in kinds:
        _loosen(kind, schemas)
    return schemas


def _loosen(kind: object, schemas: dict[str, Any]) -> None:
    """What may be left out (UNSET) is not required: msgspec's schema says that it is, for want of a default."""
    if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
        for part in get_args(kind):
            _loosen(part, schemas)
        return
    required = schemas.get(kind.__name__, {}).get("required", [])
    for field in msgspec.structs.fields(kind):
        if msgspec.UnsetType in get_args(field.type) and field.encode_name in required:
            required.remove(field.encode_name)
        _loosen(field.type, schemas)


def _template(path: str) -> str:
    """Aiohttp's `{name:regex}` as OpenAPI's `{name}`."""
    return re.sub(r"\{(\w+):[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", r"{\1}", path)


def _name(route: Route) -> str:
    return f"{route.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', route.path.lower()).strip('_')}"


def _operation(route: Route, routes: list[Route]) -> dict[str, Any]:
    path_names = re.findall(r"\{(\w+)", route.path)
    operation: dict[str, Any] = {
        "operationId": _name(route),
        "summary": route.answer.what,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in path_names
        ]
        + [{"name": name, "in": "header", "schema": schema} for name, schema in route.headers.items()],
        "responses": {
            str(route.answer.status): _response(route, routes),
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if route.permission == OPEN:
        operation["security"] = []
    else:
        operation["x-permission"] = route.permission
    if route.takes_body and route.asked is not Nothing:
        needed = any(field.required for field in msgspec.structs.fields(route.asked))
        needed = needed or hasattr(route.asked, "more_schema")
        operation["requestBody"] = {"required": needed, "content": {"application/json": {"schema": _ref(route.asked)}}}
    elif not route.takes_body:
        operation["parameters"] += _parameters(route.asked)
    return operation


def _response(route: Route, routes: list[Route]) -> dict[str, Any]:
    answer = route.answer
    if answer.status in (101, 204):
        return {"description": answer.what}
    schema = _ref(answer.shape) if isinstance(answer.shape, type) else (answer.shape or {})
    content = {answer.media: {"schema": schema}, **{media: {} for media in answer.also}}
    response: dict[str, Any] = {"description": answer.what, "content": content}
    if found := links(route, routes, _name):
        response["links"] = found
    return response


def _ref(shape: type) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def _parameters(asked: type[msgspec.Struct]) -> list[dict[str, Any]]:
    _, schemas = msgspec.json.schema_components([asked])
    body = schemas.get(asked.__name__, {})
    required = body.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": _never_null(schema),
            **({"style": "form", "explode": False} if _never_null(schema).get("type") == "array" else {}),
        }
        for name, schema in body.get("properties", {}).items()
    ]


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A field of a query: left out where there is nothing to say, for a query has no null."""
    said = {key: part for key, part in schema.items() if key != "default" or part is not None}
    kinds = [kind for kind in said.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del said["anyOf"]
        said.update(kinds[0])
    return said
