"""The gateway's own look at its broker: rights tried against brokers that keep them and that don't; renewals."""

from __future__ import annotations

import asyncio
import json
import subprocess
from contextlib import asynccontextmanager

import pytest

from drivers.broker.driver import BROKEN, ENFORCED, UNKNOWN, BrokerWatch, Ends
from gateway.devices_half import devices_half
from gateway.errors import GatewayError
from gateway.observe import SystemClock
from gateway.ports import BrokerAddress, Renewed
from gateway.settings import BrokerSection, GatewaySection, Settings
from gateway.store.credentials import CredentialStore
from gateway.store.roster import RosterStore
from tests import peers
from tests.drivers.links.rig import running, until
from tests.site import Peer, Site, running_site


class Office:
    """Renews what it is told to."""

    def __init__(self) -> None:
        self.asked = []

    async def renew(self, device, request) -> Renewed:
        """Refuse cam-b."""
        self.asked.append((device, request))
        if device == "cam-b":
            raise GatewayError("cam-b has no certificate that stands")
        return Renewed("CERTIFICATE", "AUTHORITY")


def watch_of(site: Site, office=None) -> BrokerWatch:
    """As the gateway makes it."""
    ours = site.authority
    probe = site.device("cam-a")
    probe = type(probe)(
        probe.host, probe.port, ca=str(ours / "site-ca.crt"), cert=str(ours / "lapel-probe.crt"),
        key=str(ours / "lapel-probe.key"),
    )  # fmt: skip
    return BrokerWatch(Ends(site.gateway(), probe), "gw-rights", office or Office(), SystemClock(), lambda: None)


@asynccontextmanager
async def checked(site: Site):
    """A watch that has made its first check."""
    watch = watch_of(site)
    async with running(watch.run()) as errors:
        await until(lambda: watch.counters["checks"] or errors, 30)
        assert errors == []
        yield watch


async def test_a_broker_that_keeps_devices_apart_is_said_to():
    """The generated configuration: enforced, up, and nothing to say."""
    async with running_site("cam-a") as site, checked(site) as watch:
        assert watch.enforced == ENFORCED
        health = watch.health()
        assert (health.state, health.problem, health.counters["rights_enforced"]) == ("up", None, 1)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("rights-devices", "%u/renew", "+/renew", "publish under another"),
        ("rights-devices", "pattern read lapel/v1/camera/%u/", "pattern read lapel/v1/camera/+/", "read what is sent"),
        ("mosquitto.conf", "allow_anonymous false", "allow_anonymous true", None),
    ],
)
async def test_a_broker_that_does_not_is_named_loudly(file, old, new, said, capsys):
    """One right too many in the file, and the check names just that; TLS still asks for a certificate."""
    site = Site()
    try:
        await asyncio.to_thread(site.enrol, "cam-a")
        await asyncio.to_thread(site.write)
        path = site.conf / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        site.start()
        async with checked(site) as watch:
            health = watch.health()
            assert watch.enforced == (BROKEN if said else ENFORCED)
            assert health.state == ("degraded" if said else "up")
            assert said is None or (said in health.problem and health.problem.count(";") == 0)
    finally:
        site.close()


async def test_doors_that_stand_open_are_named():
    """No certificate asked for, anonymous let in: said, beside what that lets them do."""
    site = Site()
    try:
        await asyncio.to_thread(site.enrol, "cam-a")
        await asyncio.to_thread(site.write)
        path = site.conf / "mosquitto.conf"
        text = path.read_text().replace("require_certificate true", "require_certificate false", 1)
        text = text.replace("use_identity_as_username true\n", "", 1).replace("use_username_as_clientid true\n", "")
        path.write_text(text.replace("allow_anonymous false", "allow_anonymous true", 1))
        (site.conf / "rights-devices").write_text("topic readwrite #\n")
        site.start()
        async with checked(site) as watch:
            assert watch.enforced == BROKEN
            for word in ("publish under another", "read what is sent to another", "without a certificate"):
                assert word in watch.health().problem
    finally:
        site.close()


async def test_what_could_not_be_tried_is_not_called_enforced(monkeypatch):
    """A probe that may not even speak for itself proves nothing."""
    monkeypatch.setattr("drivers.broker.probe.PATIENCE_S", 0.5)
    site = Site()
    try:
        await asyncio.to_thread(site.enrol, "cam-a")
        await asyncio.to_thread(site.write)
        (site.conf / "rights-devices").write_text("user nobody\ntopic read x\n")
        site.start()
        async with checked(site) as watch:
            assert watch.enforced == UNKNOWN
            assert watch.health().state == "degraded"
            assert "not known" in watch.health().problem
    finally:
        site.close()


async def test_a_device_asks_for_its_next_certificate_over_mqtt():
    """The answer comes to the device that asked, a refusal with its reason; nothing comes to others."""
    async with running_site("cam-a", "cam-b") as site:
        office = Office()
        watch = watch_of(site, office)
        async with running(watch.run()):
            await until(lambda: watch.counters["checks"], 30)
            one, other = [await asyncio.to_thread(Peer, site.device(name)) for name in ("cam-a", "cam-b")]
            try:
                for peer, name in ((one, "cam-a"), (other, "cam-b")):
                    assert await asyncio.to_thread(peer.up)
                    assert await asyncio.to_thread(peer.subscribe, f"lapel/v1/camera/{name}/response")
                await asyncio.to_thread(one.send, "lapel/v1/camera/cam-a/renew", b"CSR")
                await until(lambda: one.heard)
                answer = json.loads(one.heard[0][1])
                assert (answer["reason_code"], answer["certificate"], answer["ca"]) == (0, "CERTIFICATE", "AUTHORITY")
                assert other.heard == []
                await asyncio.to_thread(other.send, "lapel/v1/camera/cam-b/renew", b"CSR")
                await until(lambda: other.heard)
                assert json.loads(other.heard[0][1])["reason_code"] == 0x80
                assert [device for device, _ in office.asked] == ["cam-a", "cam-b"]
            finally:
                one.close()
                other.close()


async def test_a_gateway_renews_for_a_real_device():
    """Through the authority: a certificate that OpenSSL verifies, of the same device, seen in memory at once."""
    tool = peers.program("openssl")
    site = Site()
    try:
        made = await asyncio.to_thread(site.csr, "cam-a")
        await asyncio.to_thread(site.enrol, "cam-a", "--csr", made)
        roster = RosterStore(site.data / "roster.db")
        section = BrokerSection(cert="x", key="y", ca="z")
        half = devices_half(
            Settings(gateway=GatewaySection(data=str(site.data)), broker=section),
            CredentialStore(roster.engine),
            SystemClock(),
        )
        half.open()
        given = await half.renew("cam-a", made.read_bytes())
        (site.root / "new.crt").write_text(given.certificate)
        words = [tool, "verify", "-CAfile", site.authority / "device-ca.crt", site.root / "new.crt"]
        assert subprocess.run(words, capture_output=True).returncode == 0
        with pytest.raises(GatewayError, match="no certificate that stands"):
            await half.renew("cam-never", made.read_bytes())
        assert half.counts() == {"enrolled": 1, "revoked": 0, "certificates_lapsing": 0}
        assert half.probe().port == 1883
        roster.close()
    finally:
        site.close()


async def test_no_device_keeps_others_from_their_certificates():
    """A flood of one device is one request; of too many devices some are dropped, counted; what is odd is, too."""
    gone = BrokerAddress("127.0.0.1", 1)
    office = Office()
    watch = BrokerWatch(Ends(gone, gone), "gw", office, SystemClock(), lambda: None)
    acks = []
    for number in range(1000):
        watch.receive("lapel/v1/camera/cam-a/renew", b"%d" % number, lambda: acks.append(1))
    for number in range(300):
        watch.receive(f"lapel/v1/camera/cam-{number}/renew", b"x" * 5_000_000, lambda: acks.append(1))
    for topic in ("lapel/v1/camera/gateway/renew", "lapel/v1/camera//renew", "x"):
        watch.receive(topic, b"", lambda: acks.append(1))
    assert len(acks) == 1303
    assert len(watch._waiting) == 256
    assert watch._waiting["cam-a"] == b"999"
    assert sum(map(len, watch._waiting.values())) < 5_000_000
    assert (watch.counters["renewals_dropped"], watch.counters["unreadable"]) == (45, 3)
    assert watch.health().state == "down"
