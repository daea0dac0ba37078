"""Client of a C2SP tlog-witness, ours or somebody else's (`gateway.ports.WitnessDoor`)."""

from __future__ import annotations

import aiohttp

from gateway.errors import LinkError
from gateway.ports import WitnessAnswer

PATIENCE_S = 10.0
ANSWER_BYTES_MAX = 1 << 16
MEDIA = "text/plain; charset=utf-8"


class WitnessClient:
    """One witness at its address (its submission and monitoring prefix); connections are kept alive."""

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        self._url, self._patience_s = url.rstrip("/"), patience_s
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready; nothing is sent."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._patience_s))

    async def close(self) -> None:
        """Close; idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """POST <prefix>/add-checkpoint; LinkError where there is no answer."""
        return await self._ask("POST", "add-checkpoint", body)

    async def latest(self, log_id: str) -> bytes | None:
        """GET <prefix>/<log id>/checkpoint: the last that it cosigned; None where it has or tells none."""
        answer = await self._ask("GET", f"{log_id}/checkpoint")
        return answer.body if answer.status == 200 else None

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> WitnessAnswer:
        if self._session is None:
            raise LinkError(f"{self._url} was not opened")
        headers = {"Content-Type": MEDIA} if body is not None else {}
        address = f"{self._url}/{path}"
        try:
            # A redirect would hand the log's request to a server that the configuration does not name.
            async with self._session.request(
                method, address, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return WitnessAnswer(answer.status, await _read(answer), answer.content_type)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise LinkError(f"{address}: {str(problem) or type(problem).__name__}") from problem


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The body, but not more than any witness has to say."""
    body = b""
    async for piece in answer.content.iter_chunked(ANSWER_BYTES_MAX):
        body += piece
        if len(body) > ANSWER_BYTES_MAX:
            raise LinkError(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
    return body
