"""The witness over HTTP, both ends, and doors that lead nowhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.api.witness import BODY_BYTES_MAX, WitnessServer
from gateway.errors import ConfigError, LinkError
from gateway.evidence.log.add_checkpoint import SIZE_MEDIA, log_id
from gateway.outlets.witness import ANSWER_BYTES_MAX, WitnessClient
from tests.evidence.log.lab import FaultyDisk
from tests.evidence.log.witness_lab import FORKED, ORIGIN, request, witness


@contextlib.asynccontextmanager
async def served(state: Path, disk: FaultyDisk | None = None) -> AsyncIterator[str]:
    """A witness listening; its address."""
    server = WitnessServer(witness(state, disk))
    port = await server.open("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.close()


@contextlib.asynccontextmanager
async def client(url: str, patience_s: float = 5.0) -> AsyncIterator[WitnessClient]:
    """A client, open."""
    found = WitnessClient(url, patience_s)
    await found.open()
    try:
        yield found
    finally:
        await found.close()


async def test_through_the_wire(tmp_path: Path) -> None:
    """Status, body and media type arrive as the witness said them; the last checkpoint can be fetched."""
    async with served(tmp_path) as url, client(f"{url}/") as asking:
        assert await asking.latest(log_id(ORIGIN)) is None
        assert (await asking.add_checkpoint(request(0, 7))).status == 200
        stale = await asking.add_checkpoint(request(0, 9))
        assert (stale.status, stale.body, stale.media) == (409, b"7\n", SIZE_MEDIA)
        assert (await asking.add_checkpoint(request(7, 7, FORKED))).status == 422
        latest = await asking.latest(log_id(ORIGIN))
        assert latest is not None
        assert latest.split(b"\n")[1] == b"7"


async def test_other_requests(tmp_path: Path) -> None:
    """Too much, another method, another path: an answer, nothing kept; never to be cached."""
    async with served(tmp_path) as url, httpx.AsyncClient(base_url=url, trust_env=False) as somebody:
        assert (await somebody.post("/add-checkpoint", content=b"x" * (BODY_BYTES_MAX + 1))).status_code == 413
        assert (await somebody.get("/add-checkpoint")).status_code == 405
        assert (await somebody.get("/")).status_code == 404
        assert (await somebody.get("/live")).text == "ok\n"
        key = await somebody.get("/vkey")
        assert key.text.startswith("witness.test/w1+")
        assert key.headers["Cache-Control"] == "no-store"
        assert not (tmp_path / "logs").exists()


async def test_a_disk_that_refuses_is_503(tmp_path: Path) -> None:
    """No cosignature without its memory."""
    disk = FaultyDisk(crash=False)
    async with served(tmp_path, disk) as url, client(url) as asking:
        disk.at, disk.fails = disk.count, 99
        assert (await asking.add_checkpoint(request(0, 7))).status == 503
        disk.at = -1
        assert (await asking.add_checkpoint(request(0, 7))).status == 200


async def test_a_taken_port_is_a_config_error(tmp_path: Path) -> None:
    """Said with the address."""
    async with served(tmp_path) as url:
        with pytest.raises(ConfigError, match="cannot listen"):
            await WitnessServer(witness(tmp_path / "other")).open("127.0.0.1", int(url.rsplit(":", 1)[1]))


async def test_nobody_there() -> None:
    """Refused, not opened, a name that is none: a LinkError each."""
    async with client("http://127.0.0.1:1") as asking:
        with pytest.raises(LinkError, match=r"127\.0\.0\.1:1/add-checkpoint"):
            await asking.add_checkpoint(b"")
    with pytest.raises(LinkError):
        await WitnessClient("http://127.0.0.1:1").latest("0" * 64)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (ANSWER_BYTES_MAX + 1),
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx",
        b"",
    ],
)
async def test_rubbish_for_an_answer(answer: bytes) -> None:
    """Too much, not HTTP, cut off, nothing: a LinkError, never anything else."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server, client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as asking:
        with pytest.raises(LinkError):
            await asking.latest("0" * 64)


async def test_a_silent_server_costs_the_patience_and_no_more() -> None:
    """Time is bounded."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, client(url, 0.1) as asking, asyncio.timeout(5):
        with pytest.raises(LinkError):
            await asking.add_checkpoint(b"x")


async def test_redirects_are_not_followed(tmp_path: Path) -> None:
    """Another server than the configuration names gets nothing."""
    async with served(tmp_path) as url:

        async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 307 x\r\nLocation: {url}/add-checkpoint\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
        async with server, client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as asking:
            assert (await asking.add_checkpoint(request(0, 5))).status == 307
        assert not (tmp_path / "logs").exists()
