"""The generated configuration against the real Mosquitto: who is let in, and what under whose name."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time

import msgspec
import pytest
from paho.mqtt import client as paho

from gateway.crypto.certificates import Authority, Request, new_key, public_of, self_signed
from gateway.observe import SystemClock
from tests import peers
from tests.site import Site, command, lets_in, until

A, B = "cam-a", "cam-b"


@pytest.fixture(scope="module")
def site():
    """A broker with two cameras and a dock enrolled."""
    made = Site()
    for name in (A, B, "cam-lost"):
        made.enrol(name)
    made.enrol("dock-1", "--kind", "dock", "--cameras", f"{A},{B}")
    made.write()
    made.start()
    yield made
    made.close()


def heard_of(watcher, speaker, again, topic, own):
    """Whether a publish to topic reached the watcher: the barrier behind it did."""
    watcher.heard.clear()
    speaker.send(topic, b"tried")
    time.sleep(0.02)
    # Mosquitto 2.0.11 acknowledges what it denies and may then end the connection: the barrier goes over another.
    again().send(own, b"barrier")
    until(lambda: (own, b"barrier") in watcher.heard)
    return (topic, b"tried") in watcher.heard


def test_told_of_a_revocation_while_clients_are_away():
    """SIGHUP, whoever has a session and is not there: the broker goes on, and ends in order."""
    made = Site()
    made.write()
    made.start()
    ours = made.gateway()
    words = [
        peers.program("mosquitto_sub"),
        "-p",
        str(ours.port),
        "--cafile",
        ours.ca,
        "--cert",
        ours.cert,
        "--key",
        ours.key,
    ]
    words += ["-h", "127.0.0.1", "-c", "-q", "1", "-t", "owntracks/#", "-E"]
    try:
        for _ in range(4):
            for name in ("one", "two", "three"):
                subprocess.run([*words, "-i", name], check=True, capture_output=True, timeout=10)
            made.reload()
            made.reload()
        assert made.ended() == 0
    finally:
        made.close()


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
@pytest.mark.parametrize(
    "topic",
    [
        f"lapel/v1/camera/{B}/file/r/init",
        f"lapel/v1/camera/{B}/status",
        f"lapel/v1/camera/{B}/event",
        f"lapel/v1/camera/{B}/renew",
        f"lapel/v1/camera/{B}/response",
        f"lapel/v1/camera/{A}/response",
        f"lapel/v1/beacon/{B}/position",
        f"owntracks/{B}/phone",
        "lapel/v1/dock/dock-1/camera/cam-a/file/r/init",
    ],
)
def test_a_camera_cannot_publish_under_another_name(site, clients, topic, protocol):
    """Acknowledged or not, it arrives at nobody: a subscriber with every right hears the barrier behind it alone."""
    watcher = clients(site.gateway(), client_id="watcher")
    for each in ("lapel/v1/camera/+/file/#", "lapel/v1/camera/+/status", "lapel/v1/camera/+/event"):
        assert watcher.subscribe(each)
    for each in ("lapel/v1/camera/+/renew", "lapel/v1/beacon/#", "owntracks/#", "lapel/v1/dock/#"):
        assert watcher.subscribe(each)
    victim = clients(site.device(B))
    assert victim.subscribe(f"lapel/v1/camera/{B}/response")
    speaker = clients(site.device(A), client_id=B, protocol=protocol)  # nor by bearing its client id
    assert not heard_of(watcher, speaker, lambda: clients(site.device(A)), topic, f"lapel/v1/camera/{A}/status")
    assert victim.heard == []
    assert not victim.down.is_set()


@pytest.mark.parametrize(
    "topic",
    [f"lapel/v1/camera/{B}/response", "lapel/v1/camera/+/response", f"lapel/v1/camera/{A}/file/#", "#", "lapel/v1/#",
     f"lapel/v1/camera/{B}/file/#", "lapel/v1/feed/#", "$SYS/#"],
)  # fmt: skip
def test_a_camera_cannot_subscribe_under_another_name(site, clients, topic):
    """Refused; and where it were granted, nothing comes."""
    spy = clients(site.device(A))
    spy.subscribe(topic)
    gateway = clients(site.gateway(), client_id="speaker")
    assert spy.subscribe(f"lapel/v1/camera/{A}/response")
    gateway.send(f"lapel/v1/camera/{B}/response", b"secret")
    gateway.send("lapel/v1/feed/PCC/unit/PCC.A/position", b"secret")
    gateway.send(f"lapel/v1/camera/{A}/response", b"mine")
    until(lambda: spy.heard)
    time.sleep(0.05)
    assert {payload for _, payload in spy.heard} == {b"mine"}


def test_each_may_do_what_it_needs(site, clients):
    """Camera, beacon and dock topics of one's own; the gateway hears all and answers to each."""
    gateway = clients(site.gateway(), client_id="g")
    wide = ("lapel/v1/camera/+/file/#", "owntracks/#", "lapel/v1/beacon/#", "lapel/v1/dock/#")
    assert all(gateway.subscribe(each) for each in wide)
    camera, dock = clients(site.device(A)), clients(site.device("dock-1"))
    assert camera.subscribe(f"lapel/v1/camera/{A}/response")
    assert dock.subscribe("lapel/v1/dock/dock-1/camera/+/response")
    sent = [f"lapel/v1/camera/{A}/file/r/init", f"owntracks/{A}/phone", f"lapel/v1/beacon/{A}/position"]
    for each in sent:
        camera.send(each, b"x" * 2_000_000)
    dock.send(f"lapel/v1/dock/dock-1/camera/{A}/file/r/0", b"y")
    until(lambda: len(gateway.heard) == 4)
    gateway.send(f"lapel/v1/camera/{A}/response", b"1")
    gateway.send(f"lapel/v1/dock/dock-1/camera/{A}/response", b"2")
    until(lambda: camera.heard and dock.heard)


def _alien(site, tmp_path, name="cam-a"):
    """A certificate of somebody else's authority for one of our names."""
    now, key, ca = SystemClock().now().utc, new_key(), new_key()
    authority = Authority(ca, self_signed(ca, "Lapel device authority", now))
    (tmp_path / "x.crt").write_bytes(authority.issue(Request(name, public_of(key)), now, 10).pem)
    (tmp_path / "x.key").write_bytes(key)
    where = site.device(A)
    return msgspec.structs.replace(where, cert=str(tmp_path / "x.crt"), key=str(tmp_path / "x.key"))


def test_only_certificates_of_the_right_authority_get_in(site, tmp_path):
    """Unknown authority, no certificate, plain text, a device at the gateway's door and the other way round: no."""
    assert lets_in(site.device(A))
    assert lets_in(site.gateway())
    assert not lets_in(_alien(site, tmp_path))
    assert not lets_in(msgspec.structs.replace(site.device(A), cert=None, key=None))
    assert not lets_in(msgspec.structs.replace(site.device(A), ca=None, cert=None, key=None))
    assert not lets_in(site.device(A, site.gateway_port))
    assert not lets_in(msgspec.structs.replace(site.gateway(), port=site.port))


def test_a_name_in_a_certificate_is_no_right_at_the_gateways_door(site, clients):
    """A certificate of the device authority with the name `gateway`, had it ever been issued: not let in there."""
    now, key = SystemClock().now().utc, new_key()
    ours = site.authority
    authority = Authority((ours / "device-ca.key").read_bytes(), (ours / "device-ca.crt").read_bytes())
    (site.keys / "forged.crt").write_bytes(authority.issue(Request("gateway", public_of(key)), now, 10).pem)
    (site.keys / "forged.key").write_bytes(key)
    assert not lets_in(site.device("forged", site.gateway_port))
    forged, watcher = clients(site.device("forged")), clients(site.gateway(), client_id="w4")
    for each in (forged, watcher):
        each.subscribe("lapel/v1/camera/+/status")
    clients(site.device(A)).send(f"lapel/v1/camera/{A}/status", b"mine")
    until(lambda: watcher.heard)
    time.sleep(0.05)
    assert forged.heard == []


def test_older_tls_is_refused(site):
    """TLS 1.2 ends in an alert, 1.3 is spoken."""
    tool, where = peers.program("openssl"), site.device(A)
    base = [tool, "s_client", "-connect", f"127.0.0.1:{site.port}", "-CAfile", where.ca, "-cert", where.cert]
    base += ["-key", where.key, "-brief"]
    old = subprocess.run([*base, "-tls1_2"], input=b"", capture_output=True, timeout=10)
    assert b"alert protocol version" in old.stderr
    new = subprocess.run(base, input=b"", capture_output=True, timeout=10)
    assert b"TLSv1.3" in new.stderr
    assert b"Verification: OK" in new.stderr


def test_a_revoked_device_is_out_after_a_reload(site, clients):
    """A connection that it still has loses every right; a new one is refused; the others go on."""
    lost, other = clients(site.device("cam-lost")), clients(site.device(A))
    watcher = clients(site.gateway(), client_id="w2")
    assert watcher.subscribe("lapel/v1/camera/+/status")
    lost.send("lapel/v1/camera/cam-lost/status", b"before")
    until(lambda: watcher.heard)
    command("device", "revoke", "cam-lost", "--reason", "stolen", "--broker", site.conf, "--data", site.data)
    site.reload()
    with contextlib.suppress(RuntimeError):
        lost.send("lapel/v1/camera/cam-lost/status", b"after")
    other.send(f"lapel/v1/camera/{A}/status", b"barrier")
    until(lambda: (f"lapel/v1/camera/{A}/status", b"barrier") in watcher.heard)
    assert ("lapel/v1/camera/cam-lost/status", b"after") not in watcher.heard
    assert not lets_in(site.device("cam-lost"))
    assert lets_in(site.device(B))
    assert not other.down.is_set()


def test_nothing_that_is_sent_lies_on_the_brokers_disk(site, clients):
    """After a queue for a client that is away: no file but those that were written, and the marker in none."""
    away = clients(site.device(B))
    assert away.subscribe(f"lapel/v1/camera/{B}/response")
    clients(site.gateway(), client_id="w3").send(f"lapel/v1/camera/{B}/response", b"PAYLOAD-MARKER" * 1000)
    files = [path for path in site.conf.iterdir() if path.is_file()]
    assert {path.suffix for path in files} <= {".conf", ".crt", ".crl", ".key", ".md", ".toml", ""}
    assert all(b"PAYLOAD-MARKER" not in path.read_bytes() for path in files)


def test_the_port_of_devices_answers_no_plain_text(site):
    """A CONNECT without TLS gets no CONNACK."""
    with socket.create_connection(("127.0.0.1", site.port), 2) as sock:
        sock.settimeout(2)
        sock.sendall(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ab")
        try:
            got = sock.recv(4)
        except OSError:
            got = b""
    assert got[:1] != b"\x20"
