"""The way to a TAK server that stalls, resets, goes away: no emergency is lost, and nothing waits without end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess

import msgspec
import pytest

from gateway.cli import doctor_cot
from gateway.errors import LinkError
from gateway.observe import SystemClock
from gateway.outlets import cot_link
from gateway.outlets.cot_link import CotLink, connect, tls_context
from gateway.outlets.cot_settings import CotSettings
from gateway.outlets.cot_waiting import Waiting
from gateway.settings import parse
from tests import peers
from tests.outlets.cot_features import LOOK, feature, pressed, raw
from tests.outlets.tak_server import TakServer, until

ALERT, CANCEL, TRACK = "b-a-o-tbl", "b-a-o-can", "a-f-G-U-C"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Tries follow one another quickly."""
    monkeypatch.setattr(cot_link, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(cot_link, "LONGEST_PAUSE_S", 0.1)


@pytest.fixture
async def server():
    """A server on a port of its own."""
    made = TakServer()
    await made.start()
    yield made
    await made.stop()


def settings(port: int, **more) -> CotSettings:
    """Quick ones."""
    return CotSettings(name="tak", host="127.0.0.1", port=port, **{"settle_s": 0.0, "stall_s": 3.0, **more})


@contextlib.asynccontextmanager
async def linked(chosen: CotSettings):
    """A link that runs, and what waits for it."""
    waiting = Waiting(LOOK, chosen.repeat_s)
    link = CotLink(chosen, waiting, SystemClock())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(link.run())
        yield link, waiting
        task.cancel()


async def test_positions_and_emergencies_arrive(server) -> None:
    """And what the server says of others is taken and left."""
    server.says = b"<event/>" * 10_000
    async with linked(settings(server.port)) as (link, waiting):
        waiting.take("position", raw(feature()))
        waiting.take("emergency", raw(pressed()))
        link.nudge()
        await until(lambda: len(server.events) >= 2)
        assert server.told(ALERT) == ["LAPEL.PCC.CSO-014-9-1-1"]
        assert link.up
        assert link.problem is None


async def test_events_are_paced(server) -> None:
    """Never more than rate_hz a second, one by one."""
    async with linked(settings(server.port, rate_hz=50.0)) as (link, waiting):
        for number in range(25):
            waiting.take("position", raw(feature(f"PCC.U-{number}")))
        link.nudge()
        await until(lambda: len(server.events) == 25)
        assert server.arrived_s[-1] - server.arrived_s[0] >= 24 / 50 * 0.9


async def test_a_server_that_comes_late_is_told_everything(server) -> None:
    """The latest of each unit, and every open emergency."""
    await server.stop()
    async with linked(settings(server.port)) as (link, waiting):
        for number in range(3):
            waiting.take("position", raw(feature(seq=number)))
            waiting.take("emergency", raw(pressed(f"EM-{number}", f"PCC.U-{number}")))
        await until(lambda: link.failures > 1)
        assert not link.up
        assert "refused" in link.problem.lower() or "Connect" in link.problem
        await server.start()
        await until(lambda: len(server.events) >= 4)
        assert server.told(ALERT) == [f"LAPEL.PCC.U-{number}-9-1-1" for number in range(3)]
        assert b'seq="2"' in server.events[-1]


async def test_a_stalled_server_loses_no_emergency(server) -> None:
    """It stops reading, emergencies come and go, it is reset: afterwards it knows every one."""
    async with linked(settings(server.port, stall_s=0.3)) as (link, waiting):
        await until(lambda: link.up)
        server.reading.clear()
        for number in range(2_000):  # more than sockets hold
            waiting.take("position", raw(feature(f"PCC.U-{number}")))
        # Faster than an operator may ask for: a test has no minutes until the sockets are full.
        link._settings = msgspec.structs.replace(link._settings, rate_hz=100_000.0)
        link.nudge()
        await until(lambda: link.failures > 0)
        assert "takes nothing" in link.problem
        for number in range(20):
            waiting.take("emergency", raw(pressed(f"EM-{number}", f"PCC.E-{number}")))
        waiting.take("emergency", raw(pressed("EM-0", "PCC.E-0", "cleared")))
        server.reset()
        since = len(server.events)
        server.reading.set()
        await until(lambda: len(set(server.told(ALERT, since))) == 19)
        assert set(server.told(CANCEL, since)) == {"LAPEL.PCC.E-0-9-1-1"}


async def test_restarts_at_any_moment_lose_no_emergency(server) -> None:
    """Five connections reset in the middle: each that is open is told on the last, each that is over cancelled."""
    async with linked(settings(server.port, repeat_s=60.0)) as (link, waiting):
        for number in range(30):
            waiting.take("position", raw(feature(f"PCC.U-{number}")))
            waiting.take("emergency", raw(pressed(f"EM-{number}", f"PCC.U-{number}")))
            link.nudge()
            if number % 6 == 5:
                await server.stop()
                await asyncio.sleep(0.02)
                await server.start()
            await asyncio.sleep(0.01)
        for number in range(0, 30, 3):
            waiting.take("emergency", raw(pressed(f"EM-{number}", f"PCC.U-{number}", "cleared")))
        server.reset()
        since = len(server.events)
        await until(lambda: len(set(server.told(TRACK, since))) == 30)
        over = {f"LAPEL.PCC.U-{number}-9-1-1" for number in range(0, 30, 3)}
        assert set(server.told(CANCEL, since)) == over
        assert set(server.told(ALERT, since)) == {f"LAPEL.PCC.U-{n}-9-1-1" for n in range(30)} - over
        assert waiting.untold == 0


async def test_an_emergency_passes_what_waits(server) -> None:
    """A thousand positions are in the queue; it goes next."""
    async with linked(settings(server.port)) as (link, waiting):
        for number in range(1_000):
            waiting.take("position", raw(feature(f"PCC.U-{number}")))
        link.nudge()
        await until(lambda: server.events)
        waiting.take("emergency", raw(pressed()))
        link.nudge()
        before = len(server.events)
        await until(lambda: server.told(ALERT), 2.0)
        assert len(server.events) < before + 40


@pytest.fixture
def authority(tmp_path):
    """A test CA, and certificates of a server and of a client, by openssl."""
    openssl = peers.program("openssl")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=tmp_path, check=True, capture_output=True)

    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
    for name in ("server", "client"):
        (tmp_path / "ext").write_text("subjectAltName=DNS:tak.test\n")
        run("req", *ec, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        words = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext")
        run("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *words)
    return tmp_path


@pytest.fixture
async def secured(authority):
    """A server that asks for certificates of the test CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    context.load_verify_locations(authority / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    made = TakServer(context)
    await made.start()
    yield made
    await made.stop()


def with_tls(folder, port: int, **more) -> CotSettings:
    """As an operator writes them."""
    named = {"ca": str(folder / "ca.pem"), "cert": str(folder / "client.pem"), "key": str(folder / "client.key")}
    return settings(port, **{"tls": True, "server_name": "tak.test", **named, **more})


async def test_mutual_tls_and_a_restart(authority, secured) -> None:
    """Over TLS as over TCP: an emergency outlives the server."""
    async with linked(with_tls(authority, secured.port)) as (link, waiting):
        waiting.take("emergency", raw(pressed()))
        link.nudge()
        await until(lambda: secured.told(ALERT))
        await secured.stop()
        await until(lambda: not link.up)
        waiting.take("emergency", raw(pressed("EM-2", "PCC.B-2")))
        since = len(secured.events)
        await secured.start()
        await until(lambda: len(secured.told(ALERT, since)) == 2)


async def test_over_tls_many_arrive_on_one_connection(authority, secured) -> None:
    """Nothing is held up by the flow control of TLS, where TCP would not be."""
    async with linked(with_tls(authority, secured.port)) as (link, waiting):
        link._settings = msgspec.structs.replace(link._settings, rate_hz=100_000.0)
        for number in range(500):
            waiting.take("position", raw(feature(f"PCC.U-{number}")))
        link.nudge()
        await until(lambda: len(secured.events) == 500)
        assert (link.connections, link.failures) == (1, 0)


@pytest.mark.parametrize("more", [{"server_name": "other.test"}, {"server_name": None}, {"ca": None}])
async def test_a_server_that_is_not_ours_is_told_nothing(authority, secured, more) -> None:
    """Another name, or a certificate of nobody we trust."""
    with pytest.raises(LinkError, match=r"certificate|CERTIFICATE"):
        await connect(with_tls(authority, secured.port, **more))
    assert secured.events == []


def test_files_that_are_no_good(authority) -> None:
    """No certificate, a key of another's, an encrypted key: said, and nobody is asked for a pass phrase."""
    (authority / "broken.pem").write_text("x")
    secret = ["openssl", "ec", "-in", "client.key", "-aes256", "-passout", "pass:abcd", "-out", "secret.key"]
    subprocess.run(secret, cwd=authority, check=True, capture_output=True)
    wrong = ({"ca": "broken.pem"}, {"cert": "broken.pem"}, {"key": "server.key"}, {"key": "secret.key"})
    for one in wrong:
        more = {name: str(authority / file) for name, file in one.items()}
        with pytest.raises(LinkError, match="of tak"):
            tls_context(with_tls(authority, 1, **more))
    assert tls_context(settings(1)) is None


async def test_doctor_on_tls(authority, secured) -> None:
    """A server that takes our certificate is fine; one that wants one that we do not give is not."""
    mine = {"server_name": "tak.test", "ca": str(authority / "ca.pem"), "tls": True}
    given = mine | {"cert": str(authority / "client.pem"), "key": str(authority / "client.key")}
    verdicts = []
    for more in (given, mine):
        section = {"name": "tak", "host": "127.0.0.1", "port": secured.port, **more}
        (found,) = await asyncio.to_thread(doctor_cot.look, parse({"cot": [section]}))
        verdicts.append(found.verdict)
    assert verdicts == ["fine", "wrong"]
