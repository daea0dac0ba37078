"""The only place where an error becomes a status (RFC 9457 problem+json)."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from aiohttp import web

from gateway.errors import GatewayError, IntegrityError, OverruledError, RefusedError, StoreBusyError

MEDIA_TYPE = "application/problem+json"
STATUSES = frozenset(status.value for status in HTTPStatus)


class ProblemError(GatewayError):
    """A request that cannot be answered, with the status that says why."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **more: object) -> None:
        """Keep status, detail, header fields of the answer, and any further members of the problem."""
        self.status, self.detail, self.headers, self.more = status, detail, headers or {}, more
        super().__init__(detail)


def answer(status: int, detail: str, more: dict[str, object] | None = None) -> web.Response:
    """Make a problem document."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    return web.Response(
        status=status, body=msgspec.json.encode({**body, **(more or {})}), content_type=MEDIA_TYPE, headers=headers
    )


def from_error(error: Exception) -> web.Response:
    """Turn any error of ours (or of aiohttp) into its problem; what is unexpected is 500 without detail."""
    if isinstance(error, ProblemError):
        response = answer(error.status, error.detail, error.more)
        response.headers.update(error.headers)
        return response
    if isinstance(error, web.HTTPException):
        response = answer(error.status, error.reason)
        response.headers.update({key: error.headers[key] for key in ("Allow",) if key in error.headers})
        return response
    if isinstance(error, StoreBusyError):
        response = answer(503, str(error))
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    if isinstance(error, IntegrityError):
        return answer(500, f"integrity failure: {error}")
    if isinstance(error, GatewayError):
        return answer(_code(error), str(error))
    return answer(500, "an error of ours; it is in the log")


def _code(error: GatewayError) -> int:
    if isinstance(error, OverruledError):
        return 409
    return error.code if isinstance(error, RefusedError) and error.code in STATUSES else 422
