"""The authority's acts: what is issued to whom, what is refused and why, what is on record, and in which order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway.crypto.authority import AuthorityFiles
from gateway.crypto.certificates import RequestError
from gateway.devices_half import devices_half
from gateway.enrolment import Enrolment
from gateway.errors import GatewayError
from gateway.ports import BrokerAddress
from gateway.settings import BrokerSection, DevicesSection, GatewaySection, Settings
from gateway.store.credentials import CredentialStore, RightsWatch
from gateway.store.roster import RosterStore
from tests.crypto.test_authority import request_of

KEY, NEXT = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()


class Office:
    """An authority, its store, a log that can fail, and a clock that moves."""

    def __init__(self, root, clock) -> None:
        """Open it."""
        self.root, self.clock, self.acts, self.broken = root, clock, [], False
        self.roster = RosterStore(root / "roster.db")
        self.store = CredentialStore(self.roster.engine)
        self.files = AuthorityFiles(root / "keys" / "authority")
        self.enrolment = Enrolment(self.files, self.store, clock, self.log, 365)
        self.enrolment.open("cli:test")

    def log(self, act) -> None:
        """Take an act, or fail."""
        if self.broken:
            raise GatewayError("the log is full")
        self.acts.append(act)

    def said(self) -> list:
        """Acts on record, by what they were and of whom."""
        return [(act.detail["act"], act.detail["device"]) for act in self.acts]

    def serials(self, device="cam-a") -> list:
        """Serial numbers of a device."""
        return [each.serial for each in self.store.rights().credentials(device)]

    def days(self, number: float) -> None:
        """Let time pass."""
        self.clock.seconds += number * 86400


@pytest.fixture
def office(tmp_path, clock):
    """An open authority."""
    made = Office(tmp_path, clock)
    yield made
    made.roster.close()


def test_the_first_identities_are_the_gateways(office):
    """Made with the authority, and on record; a second opening makes nothing."""
    assert office.said() == [("device_renew", "gateway"), ("device_renew", "lapel-probe")]
    again = Enrolment(office.files, office.store, office.clock, office.log)
    again.open("cli:test")
    assert len(office.acts) == 2
    assert office.files.site.issued(office.files.certificate_of("gateway")).name == "gateway"
    assert office.files.device.issued(office.files.certificate_of("lapel-probe")).name == "lapel-probe"


def test_a_device_with_its_own_key(office):
    """The certificate is for the key of its request; nothing secret is here."""
    given = office.enrolment.enrol("cam-a", "camera", request_of(KEY), (), "cli:test")
    assert (given.key, given.credential.key_origin) == (None, "device")
    assert office.files.device.issued(given.certificate).public_key == given.credential.public_key
    assert given.trust == office.files.site.pem
    act = office.acts[-1]
    assert (act.kind, act.actor, act.exhibit) == ("account", "cli:test", None)
    assert act.detail["serial"] == given.credential.serial
    assert (act.detail["act"], act.detail["kind"]) == ("device_enrol", "camera")


def test_enrolled_twice_it_has_two_certificates(office):
    """Each with a key of its own; the first holds on."""
    one = office.enrolment.enrol("cam-a", "camera", None, (), "cli:test")
    two = office.enrolment.enrol("cam-a", "camera", None, (), "cli:test")
    assert one.key != two.key
    assert (one.credential.key_origin, len(office.serials())) == ("operator", 2)


@pytest.mark.parametrize(
    ("name", "kind", "csr", "said"),
    [
        ("gateway", "camera", None, "reserved"),
        ("broker", "camera", None, "reserved"),
        ("lapel-probe", "camera", None, "reserved"),
        ("cam-a", "gateway", None, "go together"),
        ("a/b", "camera", None, "not a valid"),
        ("cam-b", "camera", "cam-a", "is for 'cam-a', not for 'cam-b'"),
        ("cam-a", "camera", "gateway", "is for 'gateway'"),
    ],
)
def test_what_is_refused_leaves_nothing(office, name, kind, csr, said):
    """No row, no entry in the log."""
    before = len(office.acts)
    with pytest.raises(GatewayError, match=said):
        office.enrolment.enrol(name, kind, None if csr is None else request_of(KEY, csr), (), "cli:test")
    assert len(office.acts) == before
    assert office.serials(name) == ([] if name not in ("gateway", "lapel-probe") else office.serials(name))


def test_a_key_is_one_devices_and_never_comes_back(office):
    """Not for another name; not for the same one after it was revoked."""
    office.enrolment.enrol("cam-a", "camera", request_of(KEY), (), "cli:test")
    with pytest.raises(GatewayError, match="that key is cam-a's"):
        office.enrolment.enrol("cam-b", "camera", request_of(KEY, "cam-b"), (), "cli:test")
    assert office.enrolment.revoke("cam-a", "stolen", "cli:test") == 1
    with pytest.raises(GatewayError, match="taken back"):
        office.enrolment.enrol("cam-a", "camera", request_of(KEY), (), "cli:test")
    office.enrolment.enrol("cam-a", "camera", request_of(NEXT), (), "cli:test")
    assert not office.store.rights().revoked("cam-a")


def test_a_certificate_is_on_record_before_it_leaves(office):
    """A log that refuses: no certificate. A revocation holds though the log refuses."""
    office.enrolment.enrol("cam-a", "camera", request_of(KEY), (), "cli:test")
    office.broken = True
    with pytest.raises(GatewayError, match="the log is full"):
        office.enrolment.enrol("cam-b", "camera", None, (), "cli:test")
    assert office.serials("cam-b") == []
    with pytest.raises(GatewayError, match="the log is full"):
        office.enrolment.revoke("cam-a", "stolen", "cli:test")
    assert office.store.rights().revoked("cam-a")
    assert office.enrolment.revoked() == ["cam-a"]


def test_revoking_takes_back_all_and_names_the_reason(office):
    """Who was never enrolled is an error; who is ours is not revoked by name; twice is no second act."""
    office.enrolment.enrol("cam-a", "camera", None, (), "cli:test")
    office.enrolment.enrol("cam-a", "camera", None, (), "cli:test")
    assert office.enrolment.revoke("cam-a", "lost", "cli:test") == 2
    assert office.acts[-1].detail["reason"] == "lost"
    acts = len(office.acts)
    assert office.enrolment.revoke("cam-a", "lost", "cli:test") == 0
    assert len(office.acts) == acts
    assert {each.reason for each in office.store.rights().credentials("cam-a")} == {"lost"}
    with pytest.raises(GatewayError, match="never enrolled"):
        office.enrolment.revoke("cam-z", "lost", "cli:test")
    with pytest.raises(GatewayError, match="our own"):
        office.enrolment.revoke("gateway", "lost", "cli:test")


def test_a_device_renews_itself(office):
    """A new key, the same rights; asked twice in a row it gets the same certificate; another key so soon is refused."""
    office.enrolment.enrol("dock-1", "dock", request_of(KEY, "dock-1"), ("cam-a",), "cli:test")
    office.days(200)
    one = office.enrolment.renew("dock-1", request_of(NEXT, "dock-1"), "device:dock-1")
    assert (one.credential.kind, one.credential.cameras) == ("dock", ("cam-a",))
    again = office.enrolment.renew("dock-1", request_of(NEXT, "dock-1"), "device:dock-1")
    assert again.certificate == one.certificate
    assert len(office.serials("dock-1")) == 2
    with pytest.raises(GatewayError, match="just now"):
        office.enrolment.renew("dock-1", request_of(KEY, "dock-1"), "device:dock-1")
    assert office.said()[-1] == ("device_renew", "dock-1")


def test_a_revocation_that_overtakes_a_renewal_holds(office):
    """Taken back between the look and the entry: no fresh certificate, and the log says that it never left."""
    office.enrolment.enrol("cam-a", "camera", request_of(KEY), (), "cli:test")
    office.days(200)
    log = office.enrolment._log

    def overtaken(act) -> None:
        log(act)
        if act.detail["act"] == "device_renew":
            office.store.revoke("cam-a", office.clock.now().utc, "stolen", "cli:other")

    office.enrolment._log = overtaken
    with pytest.raises(RequestError, match="no certificate that stands"):
        office.enrolment.renew("cam-a", request_of(NEXT), "device:cam-a")
    assert len(office.serials()) == 1
    assert office.store.rights().revoked("cam-a")
    assert office.said()[-2:] == [("device_renew", "cam-a"), ("device_not_renewed", "cam-a")]
    assert office.acts[-1].detail["serial"] == office.acts[-2].detail["serial"]


def test_who_may_not_renew_itself(office):
    """Never enrolled, revoked, lapsed, a key made by the operator, our own names, a request for another name."""
    renew, csr = office.enrolment.renew, request_of(NEXT)
    with pytest.raises(GatewayError, match="no certificate that stands"):
        renew("cam-a", csr, "device:cam-a")
    office.enrolment.enrol("cam-op", "camera", None, (), "cli:test")
    with pytest.raises(GatewayError, match="by the operator"):
        renew("cam-op", request_of(NEXT, "cam-op"), "device:cam-op")
    office.enrolment.enrol("cam-a", "camera", request_of(KEY), (), "cli:test")
    office.days(1)
    with pytest.raises(GatewayError, match="is for 'gateway'"):
        renew("cam-a", request_of(NEXT, "gateway"), "device:cam-a")
    with pytest.raises(GatewayError, match="no certificate that stands"):
        renew("gateway", request_of(NEXT, "gateway"), "device:gateway")
    office.days(400)
    with pytest.raises(GatewayError, match="no certificate that stands"):
        renew("cam-a", csr, "device:cam-a")
    office.enrolment.enrol("cam-b", "camera", request_of(NEXT, "cam-b"), (), "cli:test")
    office.enrolment.revoke("cam-b", "lost", "cli:test")
    with pytest.raises(GatewayError, match="no certificate that stands"):
        renew("cam-b", request_of(NEXT, "cam-b"), "device:cam-b")


def test_an_operator_renews_for_a_device(office):
    """A key made here for one of that kind; for one that made its own, only by its request."""
    office.enrolment.enrol("cam-a", "beacon", None, (), "cli:test")
    given = office.enrolment.renew_here("cam-a", None, "cli:test")
    assert (given.credential.kind, given.key is not None) == ("beacon", True)
    office.enrolment.enrol("cam-b", "camera", request_of(KEY, "cam-b"), (), "cli:test")
    with pytest.raises(GatewayError, match="--csr"):
        office.enrolment.renew_here("cam-b", None, "cli:test")
    with pytest.raises(GatewayError, match="enrol it"):
        office.enrolment.renew_here("cam-z", None, "cli:test")
    with pytest.raises(GatewayError, match="itself"):
        office.enrolment.renew_here("gateway", None, "cli:test")


def test_our_own_certificates_are_renewed_in_good_time(office):
    """With a third of their time left and not before, for the same key; a copy that the settings name follows."""
    copy = office.root / "gateway.crt"
    copy.write_bytes(office.files.certificate_of("gateway"))
    office.days(200)
    assert office.enrolment.renew_own("system") == []
    office.days(60)
    before = office.files.site.issued(office.files.certificate_of("gateway"))
    assert office.enrolment.renew_own("system") == ["gateway", "lapel-probe"]
    after = office.files.site.issued(office.files.certificate_of("gateway"))
    assert after.not_after - before.not_after > timedelta(days=250)
    assert after.public_key == before.public_key
    assert office.enrolment.renew_copy(copy)
    assert copy.read_bytes() == office.files.certificate_of("gateway")
    assert not office.enrolment.renew_copy(copy)
    copy.write_bytes(office.files.certificate_of("lapel-probe"))
    assert not office.enrolment.renew_copy(copy)


def test_the_brokers_certificate_follows_its_hosts(office):
    """The same hosts: the same certificate; others, or little time left: another."""
    one = office.enrolment.server(("a.example",), "cli:test")
    assert office.enrolment.server(("a.example",), "cli:test") == one
    two = office.enrolment.server(("b.example",), "cli:test")
    assert two.serial != one.serial
    office.days(300)
    assert office.enrolment.server(("b.example",), "cli:test").serial != two.serial


async def test_a_running_gateway_sees_what_commands_do(office):
    """By its watch; a database that cannot be read leaves the last answer standing."""
    settings = Settings(
        gateway=GatewaySection(data=str(office.root)),
        broker=BrokerSection(host="b.example", port=8884, ca="ca", cert="c", key="k"),
        devices=DevicesSection(broker_port=8883, warn_days=400),
    )
    half = devices_half(settings, office.store, office.clock)
    half.open()
    assert half.office is not None
    assert half.probe() == BrokerAddress(
        "b.example",
        8883,
        ca="ca",
        cert=str(office.files.directory / "lapel-probe.crt"),
        key=str(office.files.directory / "lapel-probe.key"),
    )
    office.enrolment.enrol("cam-a", "camera", None, (), "cli:test")
    await half.watch.look()
    assert len(half.rights.credentials("cam-a")) == 1
    assert "cam-a (2027-11-2" in half.remark()
    assert half.counts() == {"enrolled": 1, "revoked": 0, "certificates_lapsing": 3}
    office.enrolment.revoke("cam-a", "lost", "cli:test")
    await half.watch.look()
    assert half.rights.revoked("cam-a")
    office.store.version = lambda: 1 / 0
    await half.watch.look()
    assert half.watch.problem is not None
    assert half.rights.revoked("cam-a")


async def test_without_an_authority_there_is_nothing_to_say(tmp_path, clock):
    """No identities, no renewals, no probe; and nothing is made by looking."""
    roster = RosterStore(tmp_path / "roster.db")
    half = devices_half(Settings(gateway=GatewaySection(data=str(tmp_path))), CredentialStore(roster.engine), clock)
    half.open()
    half.freshen()
    assert (half.office, half.probe(), half.remark()) == (None, None, None)
    assert not (tmp_path / "keys").exists()
    with pytest.raises(GatewayError, match="no device authority"):
        await half.renew("cam-a", b"")
    roster.close()


def test_an_authority_that_cannot_be_read_stops_nothing(office, capsys):
    """Said in the log; rights are answered from what was issued."""
    office.enrolment.enrol("cam-a", "camera", None, (), "cli:test")
    (office.files.directory / "device-ca.key").chmod(0o644)
    half = devices_half(Settings(gateway=GatewaySection(data=str(office.root))), office.store, office.clock)
    half.open()
    assert half.office is None
    assert len(half.rights.credentials("cam-a")) == 1


async def test_the_watch_reads_only_what_changed(office):
    """A version that stands still costs one small question."""
    rights = office.store.rights()
    watch = RightsWatch(office.store, rights)
    await watch.look()
    reads = []
    real, office.store.rights = office.store.rights, lambda: reads.append(1) or real()
    await watch.look()
    assert reads == []
    office.enrolment.enrol("cam-a", "camera", None, (), "cli:test")
    reads.clear()
    await watch.look()
    assert reads == [1]
