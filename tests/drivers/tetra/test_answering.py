"""What officers' messages ask back: sent by the terminal that heard it, never before the message is on disk."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import msgspec
import pytest

from drivers.tetra import sds
from drivers.tetra.answering import MOST, Answering
from drivers.tetra.bits import Bits
from drivers.tetra.driver import Settings, build
from drivers.tetra.lip_long import LongReport
from drivers.tetra.owed import owed
from drivers.tetra.pei import LineReader, SdsIndication
from gateway.domain.events import ReadReceipt
from gateway.errors import WireError
from gateway.ports import Outgoing, Receipt


def heard(header: str, data: str) -> SdsIndication:
    """An indication as the port gives it."""
    (item,) = LineReader().feed(f"\r\n+CTSDSR: {header}\r\n{data}\r\n".encode())
    assert isinstance(item, SdsIndication)
    return item


@pytest.mark.parametrize(
    ("data", "kind", "protocol", "reference"),
    [
        ("8204C90174657374", "report", 0x82, 0xC9),
        ("820CC90174657374", "report", 0x82, 0xC9),
        ("82060A0174657374", "report", 0x82, 0x0A),
        ("8208C90174657374", None, 0, 0),
        ("8200C90174657374", None, 0, 0),
        ("0201746573746D657373616765", None, 0, 0),
        ("821800C9", "report_ack", 0x82, 0xC9),
        ("821000C9", None, 0, 0),
        ("822001C9", None, 0, 0),
        ("0A0BA7D5B95BC50AFFE160", None, 0, 0),
    ],
)
def test_what_is_owed(data: str, kind: str | None, protocol: int, reference: int) -> None:
    """A receipt where one is asked, an acknowledgement where a report asks; else nothing."""
    answer = owed(heard(f"12,4711,0,9,0,{len(data) * 4}", data), 9)
    assert (None if answer is None else answer.kind) == kind
    if answer is not None:
        assert (answer.issi, answer.protocol, answer.reference) == (4711, protocol, reference)


def test_a_long_report_that_asks_is_acknowledged(other_vectors: list[dict[str, str]]) -> None:
    """By a LIP acknowledgement; one that does not ask by nothing."""
    longs = []
    for vector in other_vectors:
        digits = vector["hex"] if vector["hex"].startswith("0A") else "0A" + vector["hex"]
        try:
            message = sds.decode(12, Bits(int(digits, 16), 4 * len(digits)))
        except WireError:
            continue
        if isinstance(message, sds.Lip) and isinstance(message.pdu, LongReport):
            longs.append(message.pdu)
    assert longs
    for pdu in longs:
        for asks in (0, 1):
            said = msgspec.structs.replace(pdu, fields={**pdu.fields, "ack_request": asks})
            bits = sds.encode(sds.Lip(said))
            answer = owed(heard(f"12,4711,0,9,0,{bits.length}", bits.hex()), 9)
            assert (None if answer is None else answer.kind) == ("location_ack" if asks else None)


def test_a_message_to_a_group_is_answered_by_nobody() -> None:
    """Hundreds would; one to us, or by a radio that has not told its number, is."""
    data, bits = "8204C90174657374", 64
    assert owed(heard(f"12,4711,0,77,0,{bits}", data), 9) is None
    assert owed(heard(f"12,4711,0,77,0,{bits}", data), None) is not None
    assert owed(heard(f"12,0,0,9,0,{bits}", data), 9) is None


@contextlib.asynccontextmanager
async def running(part):
    """It runs beside the test."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(part)
        yield
        task.cancel()


class Air:
    """A downlink that remembers."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    async def send(self, message: Outgoing) -> None:
        """Gone."""
        self.sent.append(message)


async def test_nothing_is_answered_before_it_is_on_disk():
    """The answer waits for the receipt; where the disk refuses there is none."""
    air, counters = Air(), Counter()
    answering = Answering(air, counters)
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    answering.owe(first, Outgoing("a", 1, "report", value=0, protocol=0x82, reference=1))
    answering.owe(second, Outgoing("b", 1, "report", value=0, protocol=0x82, reference=2))
    async with running(answering.run()):
        await asyncio.sleep(0.02)
        assert air.sent == []
        first.set_result(Receipt(journalled=False))
        second.set_result(Receipt(journalled=True))
        await asyncio.sleep(0.02)
    assert [message.id for message in air.sent] == ["b"]
    assert counters == {"answers_withheld": 1, "answers": 1}


async def test_the_queue_is_bounded():
    """What is dropped is counted."""
    counters = Counter()
    answering = Answering(Air(), counters)
    never = asyncio.get_running_loop().create_future()
    for number in range(MOST + 3):
        answering.owe(never, Outgoing(str(number), 1, "location_ack"))
    assert counters["answers_dropped"] == 3


async def test_a_text_that_asks_gets_its_report_over_a_real_port(radio, intake, context):
    """The radio is told to send SDS-REPORT "received" of that reference to the officer, once."""
    driver = build(Settings(port=radio.port, spacing_s=0.01), context)

    def command(text):
        radio.commands.append(text)
        said = b"\r\n+CMGS: 0,4,65\r\n" if text.startswith("AT+CMGS=") else b""
        radio.say(radio.answers.get(text, b"\r\nOK\r\n") + said)

    radio._command = command
    async with running(driver.run()):
        async with asyncio.timeout(10):
            while driver.health().state != "up":
                await asyncio.sleep(0.005)
        radio.say(b"\r\n+CTSDSR: 12,4711,0,2,0,64\r\n8204C90174657374\r\n")
        async with asyncio.timeout(10):
            while driver.health().counters["answers"] < 1:
                await asyncio.sleep(0.005)
    sent = [text for text in radio.commands if text.startswith("AT+CMGS=")]
    assert sent == ["AT+CMGS=4711,32"]


async def test_a_text_to_a_group_asks_nothing_of_the_control_room(radio, intake, context):
    """Its sender is told neither that it came nor that it was dealt with; of one to us the control room knows."""
    driver = build(Settings(port=radio.port), context)
    async with running(driver.run()):
        async with asyncio.timeout(10):
            while driver.health().state != "up":
                await asyncio.sleep(0.005)
        for called in (77, 2):
            radio.say(f"\r\n+CTSDSR: 12,4711,0,{called},0,64\r\n8208C90174657374\r\n".encode())
        await intake.until(lambda: len(intake.events) > 1)
    assert [event.receipt for event in intake.events] == [None, ReadReceipt("radio-1", 4711, 0x82, 0xC9)]
    assert driver.health().counters["answers"] == 0
