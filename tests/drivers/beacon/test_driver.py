"""The beacon driver over real brokers: acknowledged when kept, quarantined when unreadable."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from drivers.beacon.driver import Settings, build
from gateway.domain.events import EmergencyReport, PositionReport
from gateway.errors import ConfigError, LinkError
from gateway.ports import BrokerAddress, DriverContext
from tests.drivers.beacon.test_keyring import VECTOR, message
from tests.drivers.links.rig import BROKERS, NOW, Intake, StillClock, broker, device, running, until

TOPIC = "lapel/v1/beacon/bcn-1/position"
GOOD = b'{"latitude":52.5,"longitude":-0.24}'


@pytest.fixture(params=BROKERS)
async def mqtt(request):
    """Each broker in turn."""
    async with broker(request.param) as one:
        yield one


@asynccontextmanager
async def driving(address: BrokerAddress, intake: Intake, settings: Settings | None = None):
    """A running driver."""
    driver = build(settings or Settings(), DriverContext("beacons", StillClock(), intake, None, address))
    async with running(driver.run()) as errors:
        await until(lambda: driver.health().state == "up")
        yield driver
        assert errors == []


async def test_both_formats_reach_intake(mqtt):
    """Plain and OwnTracks, frames as they came."""
    intake = Intake()
    async with driving(mqtt.address, intake) as driver, device(mqtt.address, "bcn") as dev:
        await asyncio.to_thread(dev.send, TOPIC, GOOD)
        own = b'{"_type":"location","lat":1,"lon":2,"tst":5}'
        await asyncio.to_thread(dev.send, "owntracks/bcn-2/phone", own)
        await until(lambda: len(intake.frames) == 2)
        assert [type(event) for event in intake.events] == [PositionReport, PositionReport]
        assert [(f.payload, f.channel, f.device, f.via) for f in intake.frames] == [
            (GOOD, TOPIC, "bcn-1", "beacons"),
            (own, "owntracks/bcn-2/phone", "bcn-2", "beacons"),
        ]
        health = driver.health()
        assert health.last == NOW.utc
        assert (health.counters["positions"], health.counters["frames"]) == (2, 2)


async def test_encrypted_positions(mqtt, tmp_path):
    """Read with the device's passphrase, kept as they came; without one quarantined with the reason."""
    (tmp_path / "keys").write_text('bcn-1 = "123"\n')
    (tmp_path / "keys").chmod(0o600)
    intake = Intake()
    async with (
        driving(mqtt.address, intake, Settings(keys_file=str(tmp_path / "keys"))),
        device(mqtt.address, "bcn") as dev,
    ):
        for who in ("bcn-1", "bcn-2"):
            await asyncio.to_thread(dev.send, f"owntracks/{who}/phone", message(VECTOR))
        await until(lambda: intake.events and intake.quarantined)
        assert (intake.events[0].fix.latitude, intake.events[0].origin.device) == (50.1182933, "bcn-1")
        assert intake.frames[0].payload == message(VECTOR)
        assert "no passphrase of bcn-2" in str(intake.quarantined[0])


async def test_the_broker_is_told_when_intake_has_kept_it(mqtt):
    """PUBACK after the journal, not before."""
    intake = Intake(prompt=False)
    async with driving(mqtt.address, intake) as driver, device(mqtt.address, "bcn") as dev:
        for payload in (GOOD, b"{", b'{"sos":true,"latitude":95}'):
            await asyncio.to_thread(dev.send, TOPIC, payload)
        await until(lambda: len(intake.receipts) == 4)  # the SOS is accepted and quarantined
        await asyncio.sleep(0.05)
        assert driver.health().counters["unacknowledged"] == 3
        intake.release(journalled=False)
        await until(lambda: driver.health().counters["unacknowledged"] == 0)
        assert driver.health().counters["unjournalled"] == 4


async def test_what_was_not_kept_comes_again(mqtt):
    """The gateway dies before the journal is written: nothing is lost."""
    async with device(mqtt.address, "bcn") as dev:
        first = Intake(prompt=False)
        async with driving(mqtt.address, first):
            for number in range(5):
                await asyncio.to_thread(dev.send, TOPIC, b'{"latitude":52.5,"longitude":%d}' % number)
            await until(lambda: len(first.frames) == 5)
        second = Intake()
        async with driving(mqtt.address, second):
            await until(lambda: len(second.frames) == 5)
        third = Intake()
        async with driving(mqtt.address, third):
            await asyncio.sleep(0.2)
            assert third.frames == []
        assert [event.fix.longitude for event in second.events] == [0, 1, 2, 3, 4]


async def test_unreadable_frames_are_quarantined_with_the_reason(mqtt):
    """The reason names the field; the driver goes on."""
    intake = Intake()
    async with driving(mqtt.address, intake) as driver, device(mqtt.address, "bcn") as dev:
        await asyncio.to_thread(dev.send, TOPIC, b'{"latitude":95,"longitude":1}')
        await asyncio.to_thread(dev.send, "lapel/v1/beacon/bad id/position", GOOD)
        await asyncio.to_thread(dev.send, TOPIC, b'[{"latitude":95},{"latitude":95}]')
        await asyncio.to_thread(dev.send, TOPIC, GOOD)
        await until(lambda: intake.frames)
        reasons = [(frame.device, reason) for frame, reason in intake.quarantined]
        assert reasons[0] == ("bcn-1", "latitude: 95.0 is out of range")
        assert reasons[1][0] is None
        assert "bad id" in reasons[1][1]
        assert reasons[2][1] == "longitude: missing (and 1 more)"
        assert driver.health().counters["quarantined"] == 3


async def test_an_sos_counts_as_an_emergency(mqtt):
    """Accepted with the emergency first."""
    intake = Intake()
    async with driving(mqtt.address, intake) as driver, device(mqtt.address, "bcn") as dev:
        await asyncio.to_thread(dev.send, TOPIC, b'{"latitude":1,"longitude":1,"sos":true}')
        await until(lambda: intake.events)
        assert isinstance(intake.events[0], EmergencyReport)
        assert driver.health().counters["emergencies"] == 1


async def test_topics_of_a_site(mqtt):
    """Only the configured topics are heard."""
    intake = Intake()
    async with driving(mqtt.address, intake, Settings(topics=("site/+/gps",))), device(mqtt.address, "bcn") as dev:
        await asyncio.to_thread(dev.send, TOPIC, GOOD)
        await asyncio.to_thread(dev.send, "site/bcn-7/gps", GOOD)
        await until(lambda: intake.frames)
        assert [frame.device for frame in intake.frames] == ["bcn-7"]


async def test_a_lost_broker_ends_run_with_a_link_error(mqtt):
    """The supervisor restarts it."""
    driver = build(Settings(), DriverContext("beacons", StillClock(), Intake(), None, mqtt.address))
    async with running(driver.run()) as errors:
        await until(lambda: driver.health().state == "up")
        await mqtt.close()
        await until(lambda: errors)
        assert isinstance(errors[0], LinkError)
        assert driver.health().state == "down"
        assert driver.health().problem


def test_settings_are_closed():
    """An unknown key is refused."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"topic": "x"}, Settings)


@pytest.mark.parametrize("topics", [(), ("no/level",)])
def test_topics_that_name_nobody_are_config_errors(topics):
    """At start."""
    with pytest.raises(ConfigError, match=r"driver\.topics"):
        build(Settings(topics=topics), DriverContext("b", StillClock(), None, None, BrokerAddress("h", 1)))


def test_no_broker_is_a_config_error():
    """At start."""
    with pytest.raises(ConfigError, match="broker"):
        build(Settings(), DriverContext("b", StillClock(), None))
