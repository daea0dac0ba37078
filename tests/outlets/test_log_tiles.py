"""A log read over HTTP and from a directory, and servers that answer something else."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from gateway.errors import LinkError
from gateway.outlets import log_tiles
from gateway.outlets.log_tiles import DirectoryLog, HttpLog


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A server with one good file and several bad ones."""
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        match request.match_info["path"]:
            case "checkpoint":
                return web.Response(body=b"note")
            case "elsewhere":
                raise web.HTTPFound("/log/checkpoint")
            case "long":
                return web.Response(body=b"x" * 2000)
            case "broken":
                return web.Response(status=503)
        return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/log/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/log/", seen
    finally:
        await runner.cleanup()


async def test_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there, with the token; what is not is None; anything else is a fault of the link, redirects too."""
    monkeypatch.setattr(log_tiles, "BYTES_MAX", 1000)
    async with served() as (url, seen):
        log = HttpLog(url, "secret")
        with pytest.raises(LinkError, match="not opened"):
            await log.read("checkpoint")
        await log.open()
        await log.open()
        assert await log.read("checkpoint") == b"note"
        assert seen[0].headers["Authorization"] == "Bearer secret"
        assert await log.read("tile/0/000") is None
        for path in ("elsewhere", "long", "broken"):
            with pytest.raises(LinkError, match=path):
                await log.read(path)
        await log.close()
        await log.close()


async def test_nobody_there() -> None:
    """No server is a fault of the link."""
    log = HttpLog("http://127.0.0.1:1/log", patience_s=2.0)
    await log.open()
    with pytest.raises(LinkError):
        await log.read("checkpoint")
    await log.close()


async def test_from_a_directory(tmp_path: Path) -> None:
    """A file, none, and what is no file."""
    (tmp_path / "checkpoint").write_bytes(b"note")
    (tmp_path / "tile").mkdir()
    log = DirectoryLog(tmp_path)
    await log.open()
    assert await log.read("checkpoint") == b"note"
    assert await log.read("checkpoint/x") is None
    assert await log.read("cosigned") is None
    with pytest.raises(LinkError, match="directory"):
        await log.read("tile")
    await log.close()
