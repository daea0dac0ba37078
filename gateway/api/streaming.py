"""Answers that go out piece by piece, and chunks that go out at once, without waking whoever serves the consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import lru_cache

from aiohttp import web

from gateway.feed.turn import Turn

SHORT_OCTETS = 1 << 20
"""What is no longer than this is sent with its length."""


async def in_pieces(request: web.Request, pieces: Iterator[bytes], turn: Turn, content_type: str) -> web.StreamResponse:
    """Send pieces as they are made, no faster than they are taken."""
    begun, octets = [], 0
    each = turn.each(pieces)
    async for piece in each:
        begun.append(piece)
        octets += len(piece)
        if octets > SHORT_OCTETS:
            break
    else:
        return web.Response(body=b"".join(begun), content_type=content_type)
    response = web.StreamResponse()
    response.content_type = content_type
    await response.prepare(request)
    await response.write(b"".join(begun))
    async for piece in each:
        await response.write(piece)
    return response


@lru_cache(maxsize=2)
def _chunk(octets: bytes) -> bytes:
    """As a chunk of HTTP/1.1 (RFC 9112 section 7.1): consumers are offered one and the same, in turn."""
    return b"%x\r\n%b\r\n" % (len(octets), octets)


def _plain(octets: bytes) -> bytes:
    return octets


def pusher(transport: asyncio.Transport | None, *, chunked: bool) -> Callable[[bytes], bool]:
    """What writes at once where nothing waits to be sent; where something does, whoever serves it must wait for room.

    A task that is woken for each of them is most of what a consumer costs.
    """
    dress = _chunk if chunked else _plain

    def push(octets: bytes) -> bool:
        if transport is None or transport.is_closing() or transport.get_write_buffer_size():
            return False
        transport.write(dress(octets))
        return True

    return push
