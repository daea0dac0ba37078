"""What a link says when the broker of the generated configuration does not let it in: clear, quick, and a LinkError."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from drivers.links.mqtt_link import MqttLink, SubscriptionRefusedError
from gateway.errors import LinkError
from tests.site import Site, command


@pytest.fixture(scope="module")
def site():
    """A broker, a camera, and one that was revoked."""
    made = Site()
    made.enrol("cam-a")
    made.enrol("cam-gone")
    command("device", "revoke", "cam-gone", "--reason", "lost", "--data", made.data)
    made.write()
    made.start()
    yield made
    made.close()


async def refusal(address) -> str:
    """Why the link could not be."""
    began_s = time.monotonic()
    with pytest.raises(LinkError) as refused:
        async with asyncio.timeout(8):
            await MqttLink(address, "x").run()
    assert time.monotonic() - began_s < 5
    assert not isinstance(refused.value, SubscriptionRefusedError)
    return str(refused.value)


async def test_a_revoked_certificate_is_named(site):
    """The broker's alert reaches the log."""
    said = await refusal(site.device("cam-gone"))
    assert "revoked" in said


async def test_no_certificate_is_named(site):
    """As what is missing."""
    said = await refusal(msgspec.structs.replace(site.device("cam-a"), cert=None, key=None))
    assert "certificate" in said


async def test_a_certificate_of_the_wrong_authority_is_named(site):
    """A device at the gateway's door."""
    said = await refusal(site.device("cam-a", site.gateway_port))
    assert "certificate" in said or "unknown ca" in said


async def test_plain_text_is_refused(site):
    """The port speaks TLS alone."""
    bare = msgspec.structs.replace(site.device("cam-a"), ca=None, cert=None, key=None)
    assert await refusal(bare)


async def test_a_broker_of_another_authority_is_not_trusted(site):
    """Devices trust the site authority: a certificate of the device authority is no broker's."""
    wrong = msgspec.structs.replace(site.device("cam-a"), ca=str(site.authority / "device-ca.crt"))
    assert "certificate verify failed" in await refusal(wrong)


async def test_a_broker_under_another_name_is_not_trusted(site):
    """127.0.0.2 is not among its names."""
    said = await refusal(msgspec.structs.replace(site.device("cam-a"), host="127.0.0.2"))
    assert "127.0.0.2" in said


async def test_files_that_are_not_there_are_named(site):
    """Before anything is dialled."""
    said = await refusal(msgspec.structs.replace(site.device("cam-a"), cert="/nowhere/cam-a.crt"))
    assert "/nowhere/cam-a.crt" in said


async def test_a_key_of_another_certificate_is_named(site):
    """Which is what a half-copied pair looks like."""
    said = await refusal(msgspec.structs.replace(site.device("cam-a"), key=site.device("cam-gone").key))
    assert "cam-gone.key" in said
