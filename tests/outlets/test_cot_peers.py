"""Other people's readers: pytak cuts our stream into events, takproto makes TAK protocol of them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from gateway.domain.time import from_rfc3339
from gateway.outlets import cot
from tests import peers
from tests.outlets.cot_features import LOOK, feature, pressed

NOW = from_rfc3339("2026-11-21T23:31:00Z")
NAMES = ("CSO14", 'Ünit <7> & "co"', "14 Bravo", "警察-1", "x" * 200)
PLACE = {"latitude": 51.5, "longitude": -0.1, "accuracy_m": 12.0, "fix_time": "2026-11-21T23:30:59Z"}


def events() -> list[bytes]:
    """Every kind of event, for every kind of name."""
    found = []
    for name in NAMES:
        bare = {"heading_deg": None, "speed_mps": None, "battery_pct": None, "issi": None, "accuracy_m": None}
        for more in ({}, bare, {"source": "manual"}, {"fix_time": "2026-11-21T21:00:28Z"}):
            found.append(cot.position(msgspec.convert(feature(callsign=name, **more), cot.Unit), LOOK))
        unit = msgspec.convert(feature(callsign=name), cot.Unit)
        found.append(cot.dropped(unit, LOOK, NOW))
        for record in (pressed(), pressed(position=PLACE), pressed(unit=None)):
            raised = msgspec.convert(record, cot.Emergency)
            shown = unit if raised.unit else None
            found += [cot.alert(raised, shown, LOOK, NOW), cot.cancelled(raised, shown, LOOK, NOW)]
    return found


async def test_pytak_reads_the_stream() -> None:
    """Its own receiver, on all events back to back."""
    pytak = peers.package("pytak")
    sent, reader = events(), asyncio.StreamReader()
    reader.feed_data(b"".join(sent))
    reader.feed_eof()

    class Receiver(pytak.RXWorker):
        async def handle_data(self, data):
            await self.put_queue(data)

    worker = Receiver(asyncio.Queue(), {}, reader)
    worker.use_protobuf = False
    read = []
    while (event := await worker.readcot()) is not None:
        read.append(event)
    assert read == sent


@pytest.mark.parametrize("number", range(len(events())))
def test_takproto_reads_every_event(number) -> None:
    """And keeps what TAK knows: who, where, when, how urgent."""
    takproto = peers.package("takproto")
    event = events()[number]
    made = takproto.parse_proto(bytearray(takproto.xml2proto(event, takproto.TAKProtoVer.STREAM))).cotEvent
    assert made.uid.startswith("LAPEL.")
    assert made.type in ("a-f-G-U-C", "b-a-o-tbl", "b-a-o-can")
    assert made.qos == ("9-i-g" if made.type.startswith("b-") else "1-r-c")
    assert made.sendTime == made.startTime > 0
    assert made.hae == made.le == 9999999.0
    assert made.detail.contact.callsign
    if made.type == "a-f-G-U-C" and made.staleTime > made.startTime:
        assert made.detail.group.name == "Cyan"
        assert "<__lapel" in made.detail.xmlDetail
        assert abs(made.lat - 52.573921) < 1e-7
    elif made.type != "a-f-G-U-C":
        assert "<emergency" in made.detail.xmlDetail
        assert made.staleTime - made.startTime == (600_000 if made.type == "b-a-o-tbl" else 10_000)
