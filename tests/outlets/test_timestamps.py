"""Time-stamps: the client against an HTTP server, the embedded authority, and what the verifier makes of replies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509

from gateway.crypto.export_keys import stamping_certificate
from gateway.crypto.timestamp_query import timestamp_query
from gateway.errors import ConfigError, LinkError, VerificationError
from gateway.evidence.verify.timestamps import check_timestamp
from gateway.outlets.own_timestamps import OwnTimestamps
from gateway.outlets.settings import TimestampSettings
from gateway.outlets.timestamps import REPLY, TimestampClient

CONTENT = b"what is stamped"


@pytest.fixture
def anchor(tmp_path: Path) -> x509.Certificate:
    """The embedded authority's own certificate."""
    return x509.load_pem_x509_certificate(stamping_certificate(tmp_path, "tsa", datetime.now(UTC)))


@pytest.fixture
async def server(tmp_path: Path, anchor: x509.Certificate) -> AsyncIterator[TestServer]:
    """An authority over HTTP, and addresses that answer wrongly."""
    own = OwnTimestamps(tmp_path)

    async def stamp(request: web.Request) -> web.Response:
        if request.path == "/page":
            return web.Response(text="<html>")
        if request.path == "/long":
            return web.Response(body=bytes(1 << 17), content_type=REPLY)
        return web.Response(body=await own.stamp(await request.read()), content_type=REPLY)

    app = web.Application()
    app.router.add_post("/{tail:.*}", stamp)
    async with TestServer(app) as server:
        yield server


async def test_a_stamp_over_http(server: TestServer, anchor: x509.Certificate) -> None:
    """The reply verifies over the content, and over nothing else."""
    reply = await TimestampClient(str(server.make_url("/tsa")), 10).stamp(timestamp_query(CONTENT, 7))
    found = check_timestamp(reply, CONTENT, [anchor], "x")
    assert abs((datetime.now(UTC) - found.at).total_seconds()) < 60
    for content, anchors in ((b"other", [anchor]), (CONTENT, [])):
        with pytest.raises(VerificationError):
            check_timestamp(reply, content, anchors, "x")


@pytest.mark.parametrize("path", ["/page", "/long"])
async def test_what_is_no_reply(server: TestServer, path: str) -> None:
    """A page or too much of anything is a fault of the link, named by address."""
    with pytest.raises(LinkError, match=path):
        await TimestampClient(str(server.make_url(path)), 10).stamp(b"")


async def test_nobody_there(tmp_path: Path) -> None:
    """No server, and a query that openssl refuses."""
    with pytest.raises(LinkError):
        await TimestampClient("http://127.0.0.1:9/tsa", 2).stamp(b"")
    stamping_certificate(tmp_path, "tsa", datetime.now(UTC))
    reply = await OwnTimestamps(tmp_path).stamp(timestamp_query(CONTENT, 1))
    serials = {check_timestamp(reply, CONTENT, [_anchor(tmp_path)], "x").serial}
    again = await OwnTimestamps(tmp_path).stamp(timestamp_query(CONTENT, 2))
    serials.add(check_timestamp(again, CONTENT, [_anchor(tmp_path)], "x").serial)
    assert len(serials) == 2
    (tmp_path / "tsa.key").unlink()
    with pytest.raises(LinkError, match="openssl"):
        await OwnTimestamps(tmp_path).stamp(timestamp_query(CONTENT, 1))


async def test_every_changed_byte_is_refused_or_says_the_same(tmp_path: Path, anchor: x509.Certificate) -> None:
    """No byte of a reply changes what it states and still verifies; nothing but VerificationError comes out."""
    reply = await OwnTimestamps(tmp_path).stamp(timestamp_query(CONTENT, 7))
    before = check_timestamp(reply, CONTENT, [anchor], "x")
    refused = 0
    for at in range(len(reply)):
        changed = reply[:at] + bytes((reply[at] ^ 0x11,)) + reply[at + 1 :]
        try:
            assert check_timestamp(changed, CONTENT, [anchor], "x") == before, at
        except VerificationError:
            refused += 1
    assert refused > 0.9 * len(reply)
    for cut in range(0, len(reply), 9):
        with pytest.raises(VerificationError):
            check_timestamp(reply[:cut], CONTENT, [anchor], "x")


def _anchor(keys: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((keys / "tsa.crt").read_bytes())


def test_labels_and_settings() -> None:
    """Independent is only who is named and is not the log's operator; keys that contradict are refused."""
    there = TimestampSettings(url="https://tsa.test/", ca="tsa.pem", operator="Other Ltd")
    assert there.label("PCC") == "independent"
    assert there.label("Other Ltd") == "self-asserted"
    assert TimestampSettings(url="https://tsa.test/", ca="tsa.pem").label("PCC") == "self-asserted"
    assert TimestampSettings(embedded=True).label("PCC") == "self-asserted"
    assert TimestampSettings().label(None) == "none"
    for wrong in (
        TimestampSettings(url="https://tsa.test/"),
        TimestampSettings(ca="x"),
        TimestampSettings(url="https://tsa.test/", ca="x", embedded=True),
    ):
        with pytest.raises(ConfigError):
            wrong.check()
