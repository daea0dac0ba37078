"""Mutual TLS against Debian's mosquitto: a named CA, a client certificate, and refusals that say why."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import msgspec
import pytest

from drivers.links.mqtt_link import MqttLink
from gateway.errors import LinkError
from gateway.ports import BrokerAddress
from tests.drivers.links.rig import MIB, Mosquitto, free_port, running, until


def _openssl(*words: str, cwd: Path) -> None:
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True)


def _issue(where: Path, name: str, more: str) -> None:
    """A key and a certificate signed by the test CA."""
    (where / f"{name}.ext").write_text(more)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    _openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr", cwd=where)
    signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext"]
    _openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt", cwd=where)


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """A CA, a broker's and a gateway's certificate."""
    where = tmp_path_factory.mktemp("keys")
    where.chmod(0o755)
    where.parent.chmod(0o755)
    ca = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    _openssl("req", "-x509", *curve, "-subj", "/CN=test", *ca, "-keyout", "ca.key", "-out", "ca.crt", cwd=where)
    _issue(where, "broker", "subjectAltName=IP:127.0.0.1\n")
    _issue(where, "gateway", "extendedKeyUsage=clientAuth\n")
    for path in where.iterdir():
        path.chmod(0o644)
    return where


@pytest.fixture
async def secure(keys, tmp_path):
    """A broker that asks for certificates; the directory is copied to where its user may read."""
    one = Mosquitto(free_port())
    room = Path(one._dir.name)
    for path in keys.iterdir():
        (room / path.name).write_bytes(path.read_bytes())
        (room / path.name).chmod(0o644)
    one.extra = (
        f"cafile {room}/ca.crt\ncertfile {room}/broker.crt\nkeyfile {room}/broker.key\n"
        "require_certificate true\nuse_identity_as_username true\n"
    )
    await one.open()
    yield BrokerAddress(
        "127.0.0.1", one.port, ca=f"{room}/ca.crt", cert=f"{room}/gateway.crt", key=f"{room}/gateway.key"
    )
    await one.close()


async def test_messages_pass_whole_over_mutual_tls(secure):
    """Small ones in a burst and one of two MiB: nothing stays behind in the TLS layer."""
    heard = []
    link = MqttLink(secure, "gw", ["t/#"], lambda _topic, payload, ack: (heard.append(len(payload)), ack()))
    async with running(link.run()) as errors:
        await link.ready()
        sizes = [*range(1, 200), 2 * MIB, *range(200, 250)]
        async with asyncio.TaskGroup() as group:
            for size in sizes:
                group.create_task(link.publish("t/x", b"x" * size))
        await until(lambda: len(heard) == len(sizes))
        assert sorted(heard) == sorted(sizes)
        assert errors == []


async def test_without_a_certificate_the_broker_refuses(secure):
    """LinkError, and a retry doesn't hang."""
    bare = msgspec.structs.replace(secure, cert=None, key=None)
    with pytest.raises(LinkError):
        await MqttLink(bare, "gw").run()


async def test_a_broker_of_another_ca_is_not_trusted(secure, keys, tmp_path):
    """The certificate must chain to the CA in the settings."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    _openssl("req", "-x509", *curve, "-subj", "/CN=other", "-keyout", "o.key", "-out", "o.crt", cwd=tmp_path)
    other = msgspec.structs.replace(secure, ca=str(tmp_path / "o.crt"))
    with pytest.raises(LinkError, match="certificate verify failed"):
        await MqttLink(other, "gw").run()


async def test_a_broker_under_another_name_is_not_trusted(secure):
    """The name in the settings must be the certificate's."""
    with pytest.raises(LinkError, match="certificate"):
        await MqttLink(msgspec.structs.replace(secure, host="localhost"), "gw").run()
