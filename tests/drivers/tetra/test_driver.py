"""The driver on a real pseudo-terminal against a small scripted radio."""

import asyncio
import subprocess
import sys
import termios
from contextlib import asynccontextmanager

import msgspec
import pytest

from drivers import registry
from drivers.tetra.driver import Settings, build, status_codes
from drivers.tetra.settings import chosen_dialect
from gateway.domain.events import EmergencyReport, PositionReport, StatusReport, TextReport
from gateway.errors import LinkError


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


async def test_the_recording_through_a_real_port(radio, intake, context, fragments):
    """563 fragments, 273 short data, each with its frame."""
    driver = build(settings(radio), context)
    async with running(driver):
        for piece in fragments:
            radio.say(piece)
            await asyncio.sleep(0)
        await intake.until(lambda: driver.health().counters["short_data"] == 273)
    frames = [frame for frame, _ in intake.accepted if frame.channel == "+CTSDSR"]
    assert len(frames) == 273
    assert all(frame.payload.startswith(b"+CTSDSR: ") and frame.via == "radio-1" for frame in frames)
    assert frames[0].payload == b"+CTSDSR: 13,1000001,0,1000002,0,16\r\n8004"
    assert frames[0].issi == 1000001
    assert not intake.quarantined
    positions = [event for event in intake.events if isinstance(event, PositionReport)]
    statuses = [event for event in intake.events if isinstance(event, StatusReport)]
    assert len(positions) + len(statuses) == 273
    assert driver.health().counters["positions"] == len(positions) > 200
    assert any(event.fix is None for event in positions)


async def test_set_up_over_a_real_port(radio, intake, context):
    """The whole list arrives; the driver says that it is up."""
    driver = build(settings(radio), context)
    assert driver.health().state == "down"
    async with running(driver):
        async with asyncio.timeout(10):
            while driver.health().state != "up":
                await asyncio.sleep(0.01)
    assert radio.commands[:3] == ["AT+GMI?", "AT+GMM?", "ATE0"]
    assert "AT+CTSP=1,3,10" in radio.commands
    assert not [command for command in radio.commands if command.startswith("ATZ")]
    assert driver.health().state == "down"


async def test_an_emergency_reaches_intake(radio, intake, context):
    """Byte by byte, from an unknown radio, without a fix: three kinds of it."""
    driver = build(settings(radio), context)
    said = (
        b"\r\n+CTSDSR: 13,777,0,2,0,16\r\n0000\r\n"
        b"\r\n+CTSDSR: 12,777,0,2,0,84\r\n0A30000000000007FFE020\r\n"
        b"\r\n+CTICN: 1,0,0,5,777,1,1,0,1,1,5,99,15\r\n"
    )
    async with running(driver):
        for at in range(len(said)):
            radio.say(said[at : at + 1])
            await asyncio.sleep(0)
        await intake.until(lambda: driver.health().counters["emergencies"] == 3)
    emergencies = [event for event in intake.events if isinstance(event, EmergencyReport)]
    assert [event.trigger for event in emergencies] == ["tetra_status", "lip_reason", "tetra_call"]
    assert {event.origin.issi for event in emergencies} == {777}


async def test_an_odd_header_costs_no_emergency(radio, intake, context):
    """An indication of five fields: the emergency is accepted, anything else quarantined."""
    driver = build(settings(radio), context)
    async with running(driver):
        radio.say(b"+CTSDSR: 13,777,0,2,16\r\n0000\r\n+CTSDSR: 13,777,0,2,16\r\n8003\r\n")
        await intake.until(lambda: intake.quarantined)
    assert [type(event) for event in intake.events] == [EmergencyReport, StatusReport]
    (quarantined,) = intake.quarantined
    assert quarantined[0].payload == b"+CTSDSR: 13,777,0,2,16\r\n8003"
    assert "5 fields" in quarantined[1]


async def test_what_cannot_be_read_is_quarantined_with_its_reason(radio, intake, context):
    """Noise and a cut-off report; what follows is read."""
    driver = build(settings(radio), context)
    async with running(driver):
        radio.say(b"\x00\x01\r\n+CTSDSR: 12,7,0,2,0,84\r\n0A30\r\n+CTSDSR: 12,7,0,2,0,64\r\n8204010574657374\r\n")
        await intake.until(lambda: any(isinstance(event, TextReport) for event in intake.events))
    assert [frame.payload for frame, _ in intake.quarantined] == [
        b"\x00\x01",
        b"+CTSDSR: 12,7,0,2,0,84\r\n0A30",
    ]
    assert all(reason for _, reason in intake.quarantined)
    assert driver.health().counters["unreadable"] == 2


async def test_noise_of_other_business_is_kept(radio, intake, context):
    """An unsolicited line is a frame without events."""
    driver = build(settings(radio), context)
    async with running(driver):
        radio.say(b"\r\n+ENCR: 15,SHFW SE 30-43LF8/6\r\n")
        await intake.until(lambda: intake.accepted)
    frame, events = intake.accepted[0]
    assert (frame.channel, frame.payload, events) == ("+ENCR", b"+ENCR: 15,SHFW SE 30-43LF8/6", [])


async def test_unplugging_is_a_link_error_and_a_new_run_works(radio, intake, context):
    """The supervisor restarts it; the driver can run again."""
    driver = build(settings(radio), context)
    asyncio.get_running_loop().call_later(0.05, radio.unplug)
    with pytest.raises(LinkError):
        async with asyncio.timeout(10):
            await driver.run()
    assert driver.health().state == "down"
    assert driver.health().problem
    with pytest.raises(LinkError):
        await driver.run()


async def test_what_an_unplugged_port_left_unfinished_is_kept(radio, intake, context):
    """An emergency whose line end never came counts; half a header is quarantined."""
    driver = build(settings(radio), context)
    for said in (b"+CTSDSR: 13,777,0,2,0,16\r\n0000", b"+CTSDSR: 13,778,0,2,0,16"):
        async with running(driver):
            await asyncio.sleep(0.05)
            radio.say(said)
            await asyncio.sleep(0.05)
    assert [event.origin.issi for event in intake.events if isinstance(event, EmergencyReport)] == [777]
    assert [frame.payload for frame, _ in intake.quarantined] == [b"+CTSDSR: 13,778,0,2,0,16"]


async def test_no_such_port(context):
    """A LinkError, not a crash."""
    with pytest.raises(LinkError, match="nowhere"):
        await build(Settings(port="/dev/nowhere"), context).run()


async def test_a_radio_that_falls_silent_is_said_so(radio, intake, context):
    """Health says silent, then up when it answers again, set up anew."""
    driver = build(settings(radio, reply_s=0.05, keepalive_s=0.1), context)
    async with running(driver):
        async with asyncio.timeout(20):
            while driver.health().state != "up":
                await asyncio.sleep(0.01)
            radio.mute = True
            while driver.health().state != "silent":
                await asyncio.sleep(0.01)
            radio.mute = False
            while driver.health().state != "up":
                await asyncio.sleep(0.01)
    assert radio.commands.count("ATE0") >= 2


async def test_a_refused_registration_is_a_problem_in_health(radio, intake, context):
    """LIP cannot be registered: up, with its problem named."""
    radio.answers |= {f"AT+CTSP={profile},3,10": b"\r\n+CME ERROR: 39\r\n" for profile in (1, 2)}
    driver = build(settings(radio), context)
    async with running(driver):
        async with asyncio.timeout(10):
            while driver.health().state != "up":
                await asyncio.sleep(0.01)
    assert "registration table full" in driver.health().problem


def test_settings_are_closed():
    """Unknown keys, ranges, dialects and tables are refused with their name."""
    for wrong, said in [
        ({"prot": "x"}, "prot"),
        ({"port": "x", "baud": 50}, "baud"),
        ({"port": "x", "baud": "fast"}, "baud"),
        ({"port": "x", "profiles": ["ATZ"]}, "profiles"),
        ({"port": "x", "charset": "\r\nATZ"}, "command"),
        ({"port": "x", "flow": "xon"}, "flow"),
        ({"port": "x", "dialect": "klingon"}, "klingon"),
        ({"port": "x", "status_map": {"7C00": 1}}, "7C00"),
        ({"port": "x", "status_map": {"8001": 17}}, "17"),
        ({"port": "x", "status_map": {"zz": 1}}, "zz"),
        ({"port": "x", "status_map": [{"value": 32769, "code": 1, "name": "x"}]}, "name"),
    ]:
        with pytest.raises(msgspec.ValidationError, match=said):
            msgspec.convert(wrong, Settings)


def test_both_forms_of_a_status_map():
    """A list of value and code, or a table of hex strings."""
    listed = msgspec.convert(
        {"port": "x", "status_map": [{"value": "8003", "code": 1}, {"value": 32772, "code": 2}]}, Settings
    )
    table = msgspec.convert({"port": "x", "status_map": {"8003": 1, "8004": 2}}, Settings)
    assert status_codes(listed.status_map) == status_codes(table.status_map) == {0x8003: 1, 0x8004: 2}
    assert status_codes(None)[0x8010] == 16


def test_the_registry_finds_it():
    """By its kind."""
    assert registry.settings_type("tetra") is Settings


def test_what_the_operator_changes_of_a_dialect():
    """Registrations, charset, limits: data, not code."""
    changed = chosen_dialect(
        Settings(port="x", profiles=["2,2,20", "1,3,10"], charset='"UTF8"', limit_bits=800, interval_by="basic")
    )
    assert [command.text for command in changed.setup if "CTSP" in command.text] == ["AT+CTSP=2,2,20", "AT+CTSP=1,3,10"]
    assert 'AT+CSCS="UTF8"' in [command.text for command in changed.setup]
    assert (changed.limit_bits, changed.interval_by, changed.spacing_s) == (800, "basic", 1.0)


async def test_a_program_on_the_port_is_named(radio, context):
    """Held: said with its pid, in health as well."""
    rival = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-c",
            "import os, sys, time; os.open(sys.argv[1], os.O_RDWR); print(flush=True); time.sleep(60)",
        ),
        radio.port,
        stdout=subprocess.PIPE,
    )
    try:
        await rival.stdout.readline()
        driver = build(settings(radio), context)
        with pytest.raises(LinkError, match=f"port held by pid {rival.pid} "):
            await driver.run()
        assert driver.health().state == "held"
        assert str(rival.pid) in driver.health().problem
    finally:
        rival.kill()
        await rival.communicate()


@pytest.mark.parametrize("baud", [9600, 38_400, 115_200])
async def test_the_speed_is_found_out(radio, intake, context, baud):
    """A radio that answers only at its own speed, as the master sees it; the emergency said meanwhile is heard."""
    code = getattr(termios, f"B{baud}")
    radio.listens = lambda: termios.tcgetattr(radio.master)[5] == code
    driver = build(settings(radio, baud=0, probe_s=0.1), context)
    radio.answers["AT"] = b"\r\nOK\r\n\r\n+CTSDSR: 13,777,0,2,0,16\r\n0000\r\n"
    async with running(driver):
        await up(driver)
        assert driver.health().counters["baud"] == baud
        del radio.answers["AT"]
    assert [type(event) for event in intake.events][:1] == [EmergencyReport]
    radio.commands.clear()
    async with running(driver):
        await up(driver)
    assert radio.commands[:2] == ["", "AT"], "the speed of last time is tried first"


async def test_no_speed_is_answered(radio, intake, context):
    """Said with what was tried; what was heard is kept."""
    radio.mute = True
    driver = build(settings(radio, baud="probe", flow="probe", probe_s=0.01), context)
    radio.say(b"\x80\x81")
    with pytest.raises(LinkError, match="no answer at 38400, 9600"):
        async with asyncio.timeout(10):
            await driver.run()
    assert intake.quarantined[0][0].payload == b"\x80\x81"


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
