"""Reads somebody's log: over HTTP (`/v1/log/…`, any C2SP tlog-tiles prefix), or from its directory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from gateway.errors import LinkError

PATIENCE_S = 20.0
BYTES_MAX = 256 * (1 << 16) + (1 << 10)


class HttpLog:
    """A log at its address; a bearer token where it wants one."""

    def __init__(self, url: str, token: str | None = None, patience_s: float = PATIENCE_S) -> None:
        self._url, self._token, self._patience_s = url.rstrip("/"), token, patience_s
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready; nothing is sent."""
        if self._session is None:
            headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
            timeout = aiohttp.ClientTimeout(total=self._patience_s)
            self._session = aiohttp.ClientSession(timeout=timeout, headers=headers)

    async def close(self) -> None:
        """Close; idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def read(self, path: str) -> bytes | None:
        """GET <url>/<path>; None for 404, LinkError for anything else but 200."""
        if self._session is None:
            raise LinkError(f"{self._url} was not opened")
        address = f"{self._url}/{path}"
        try:
            # A redirect would hand the token to a server that the configuration does not name.
            async with self._session.get(address, allow_redirects=False) as answer:
                if answer.status == 404:
                    return None
                if answer.status != 200:
                    raise LinkError(f"{address}: HTTP {answer.status}")
                return await _body(answer, address)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise LinkError(f"{address}: {str(problem) or type(problem).__name__}") from problem


async def _body(answer: aiohttp.ClientResponse, address: str) -> bytes:
    """The body, but not more than a bundle of the longest entries has."""
    body = bytearray()
    async for piece in answer.content.iter_chunked(1 << 16):
        body += piece
        if len(body) > BYTES_MAX:
            raise LinkError(f"{address}: more than {BYTES_MAX} bytes")
    return bytes(body)


class DirectoryLog:
    """A log's directory on a disk that can be seen from here."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def read(self, path: str) -> bytes | None:
        """A file's content; None where it is not there, LinkError where it cannot be read."""
        try:
            return await asyncio.to_thread((self.directory / path).read_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise LinkError(f"{self.directory / path}: {problem.strerror}") from problem
