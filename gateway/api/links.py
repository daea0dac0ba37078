"""Links of the OpenAPI document: what is made by one operation is shown, changed and ended by others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.api.routing import Route


def links(maker: Route, routes: list[Route], name: Callable[[Route], str]) -> dict[str, Any]:
    """Of a POST to a collection, every operation below it on the one that was made; the answer names that one."""
    shape = maker.answer.shape
    if maker.method != "POST" or not (isinstance(shape, type) and issubclass(shape, msgspec.Struct)):
        return {}
    fields = {field.encode_name for field in msgspec.structs.fields(shape)}
    found = {}
    for route in routes:
        below = re.fullmatch(re.escape(maker.path) + r"/\{(\w+)\}(?:/\w+)?", route.path)
        if below is None:
            continue
        field = next((each for each in (below[1], "id") if each in fields), None)
        if field is not None:
            found[name(route)] = {"operationId": name(route), "parameters": {below[1]: f"$response.body#/{field}"}}
    return found
