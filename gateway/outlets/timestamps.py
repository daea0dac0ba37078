"""Client of any RFC 3161 time-stamping authority over HTTP (clause 3.4)."""

from __future__ import annotations

import aiohttp

from gateway.errors import LinkError

REPLY_BYTES_MAX = 1 << 16
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


class TimestampClient:
    """One authority at its address (`gateway.ports.Timestamps`)."""

    def __init__(self, url: str, patience_s: float) -> None:
        self._url, self._patience = url, aiohttp.ClientTimeout(total=patience_s)

    async def stamp(self, query: bytes) -> bytes:
        """POST a query; its reply, unjudged. LinkError where there is none."""
        headers = {"Content-Type": QUERY, "Accept": REPLY}
        try:
            async with (
                aiohttp.ClientSession(timeout=self._patience) as session,
                session.post(self._url, data=query, headers=headers, allow_redirects=False) as answer,
            ):
                body = await answer.content.read(REPLY_BYTES_MAX + 1)
                while len(body) <= REPLY_BYTES_MAX and (more := await answer.content.read(REPLY_BYTES_MAX)):
                    body += more
                self._judge(answer, body)
                return body
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise LinkError(f"{self._url}: {str(problem) or type(problem).__name__}") from problem

    def _judge(self, answer: aiohttp.ClientResponse, body: bytes) -> None:
        if answer.status != 200 or answer.content_type != REPLY:
            raise LinkError(f"{self._url}: status {answer.status}, {answer.content_type}, expected {REPLY}")
        if len(body) > REPLY_BYTES_MAX:
            raise LinkError(f"{self._url}: an answer of more than {REPLY_BYTES_MAX} bytes")
