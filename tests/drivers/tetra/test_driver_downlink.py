"""The driver's way down: texts, requests, and what a radio says of them; states and figures."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from drivers.tetra.driver import Settings, build
from drivers.tetra.outbox import FAILED_ON_AIR
from drivers.tetra.sending import TOO_LONG
from gateway.domain.events import DeliveryReport, TextReport
from gateway.errors import LinkError, RefusedError
from gateway.ports import Outgoing


def settings(radio, **more) -> Settings:
    """Settings as a config file gives them."""
    return msgspec.convert({"port": radio.port} | more, Settings)


@asynccontextmanager
async def running(driver):
    """The driver in a task, cancelled at the end."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(driver.run())
        yield task
        task.cancel()


async def up(driver):
    """Wait until the radio is ready."""
    async with asyncio.timeout(10):
        while driver.health().state != "up":
            await asyncio.sleep(0.005)


def takes(radio, *fates):
    """A radio that takes messages and says what became of each."""
    told = iter(fates)

    def command(text):
        radio.commands.append(text)
        fate = next(told, b"") if text.startswith("AT+CMGS=") else b""
        radio.say(b"\r\nOK\r\n" + fate)

    radio._command = command


async def test_a_text_is_sent_and_its_reports_come_back(radio, intake, context):
    """Sent returns with the reference that the delivery report carries."""
    driver = build(settings(radio, spacing_s=0.01), context)
    with pytest.raises(LinkError):
        await driver.downlink.send(Outgoing("t0", 4711, "text", text="too early"))
    async with running(driver):
        await up(driver)
        assert driver.downlink.ready
        takes(radio, b"\r\n+CMGS: 0,4,65\r\n", b"\r\n+CMGS: 0,4,66\r\n")
        first = await driver.downlink.send(Outgoing("t1", 4711, "text", text="Attend Queen St"))
        second = await driver.downlink.send(Outgoing("t2", 4711, "text", text="€"))
        assert second.reference == (first.reference + 1) & 0xFF
        radio.say(f"\r\n+CTSDSR: 12,4711,0,9,0,32\r\n821000{first.reference:02X}\r\n".encode())
        await intake.until(lambda: any(isinstance(event, DeliveryReport) for event in intake.events))
        assert driver.health().counters["sent"] == 2
        assert driver.downlink.waiting == 0
    sent = [command for command in radio.commands if "CTSDS=" in command or "CMGS=" in command]
    assert sent == ["AT+CTSDS=12,0,0,0,1", "AT+CMGS=4711,152", "AT+CMGS=4711,48"]
    (report,) = [event for event in intake.events if isinstance(event, DeliveryReport)]
    assert (report.reference, report.delivery) == (first.reference, "received")
    assert not driver.downlink.ready


async def test_what_the_radio_refuses_and_what_is_cut_off(radio, intake, context):
    """Its own code; and a port that goes while a message waits."""
    driver = build(settings(radio, spacing_s=0.01), context)
    async with running(driver) as stop:
        await up(driver)
        takes(radio, b"\r\n+CMGS: 0,5,1\r\n")
        with pytest.raises(RefusedError) as refused:
            await driver.downlink.send(Outgoing("s", 4711, "status", value=0x8003))
        assert refused.value.code == FAILED_ON_AIR
        with pytest.raises(RefusedError) as refused:
            await driver.downlink.send(Outgoing("t", 4711, "text", text="x" * 500))
        assert refused.value.code == TOO_LONG
        radio.say(b"\r\n+CTICN: 1,0,0,5,7,1,1,0,1,1,5,9,0\r\n")
        async with asyncio.timeout(5):
            while driver.downlink.ready:
                await asyncio.sleep(0.005)
        async with asyncio.TaskGroup() as group:
            waits = group.create_task(gone(driver.downlink, Outgoing("u", 4711, "location_request", urgent=True)))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await driver.downlink.send(Outgoing("v", 4711, "interval", seconds=30))
            assert driver.downlink.waiting == 1, "who waits no longer has taken it back"
            stop.cancel()
            await waits


async def gone(downlink, message):
    """Send what cannot be sent."""
    with pytest.raises(LinkError):
        await downlink.send(message)


def test_what_fits(context):
    """Octets over the limit of the bearer: ISO 8859-1 one a letter, else UTF-16 two."""
    downlink = build(Settings(port="x", limit_bits=120), context).downlink
    assert [downlink.fits("x" * letters) for letters in (10, 11, 12)] == [-1, 0, 1]
    assert downlink.fits("€" * 6) == 1


@pytest.mark.parametrize(
    ("message", "more", "bits"),
    [
        (Outgoing("a", 1, "location_request"), {}, "0A4580"),
        (Outgoing("a", 1, "interval", seconds=60), {}, "0A59E6840C08"),
        (Outgoing("a", 1, "interval"), {}, "0A5DA13810"),
        (Outgoing("a", 1, "interval", seconds=60), {"interval_by": "basic"}, "0A550D80"),
        (Outgoing("a", 1, "status", value=0x800B), {}, "800B"),
    ],
)
def test_what_each_kind_of_message_is_on_the_air(context, message, more, bits):
    """LIP requests by the dialect, statuses as they are."""
    reference, parcel = build(Settings(port="x", **more), context).downlink._parcel(message)
    assert reference is None
    assert parcel.bits.hex() == bits
    assert parcel.bits.length % 8 == 0


async def test_a_text_whose_rest_never_comes(radio, intake, context):
    """It comes out with its gap marked, and is counted."""
    driver = build(settings(radio, parts_s=0.05), context)
    async with running(driver):
        radio.say(PART)
        await intake.until(lambda: any(isinstance(event, TextReport) for event in intake.events))
        assert driver.health().counters["incomplete"] == 1
    (text,) = [event for event in intake.events if isinstance(event, TextReport)]
    assert (text.text, text.origin.issi) == ("Hi[…]", 777)


PART = b"\r\n+CTSDSR: 12,777,0,2,0,96\r\n8A000701050003C902014869\r\n"


async def test_named_states_and_figures(radio, intake, context):
    """No service, then direct mode, each with its words; figures beside the counters."""
    driver = build(settings(radio), context)
    radio.answers["AT+CSQ?"] = b"\r\n+CSQ: 20,99\r\nOK\r\n"
    async with running(driver):
        await up(driver)
        radio.say(b"\r\n+CREG: 0,1,9\r\n")
        await intake.until(lambda: driver.health().state == "no_service")
        assert "searching" in driver.health().problem
        assert driver.health().counters["registration"] == 0
        radio.say(b"\r\n+CTOM: 1\r\n")
        await intake.until(lambda: driver.health().state == "direct")
