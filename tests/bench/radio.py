"""Bytes of a serial port to domain events: reports a second on one core, against a bare loop over the same bytes."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

from drivers.tetra import dialects, lip
from drivers.tetra.lip_long import LongReport, encode_extended
from drivers.tetra.lip_short import ShortReport, encode_short
from drivers.tetra.session import SdsIndication, Session
from drivers.tetra.translate import Translator
from gateway.domain.events import PositionReport
from gateway.domain.time import Instant

REPORTS = 10_000
ROUNDS = 5
PIECE = 120
"""Bytes a read: what a port at speed gives."""
NOW = Instant(100.0, datetime(2026, 11, 21, tzinfo=UTC))


def _stream(encode: Callable[[random.Random], str]) -> bytes:
    """Reports as a radio prints them, of many officers."""
    chance = random.Random(83)
    lines = []
    for _ in range(REPORTS):
        digits = encode(chance)
        lines.append(f"\r\n+CTSDSR: 12,{chance.randint(1, 9_999_999)},0,9999,0,{4 * len(digits)}\r\n{digits}\r\n")
    return "".join(lines).encode()


def _short(chance: random.Random) -> str:
    widths = (2, 25, 24, 3, 7, 4, 1, 8)
    fields = [chance.getrandbits(width) for width in widths]
    fields[6:] = [0, 129]
    return lip.with_pid(encode_short(ShortReport(*fields))).hex()


def _long(chance: random.Random) -> str:
    fields = {"pdu_type": 1, "extension": 3, "time_type": 2, "day": 20, "hour": 3, "minute": 4, "second": 5}
    fields |= {"shape": 5, "longitude": chance.getrandbits(25), "latitude": chance.getrandbits(24)}
    fields |= {"horizontal_uncertainty": 10, "altitude": 300, "velocity_type": 5, "horizontal_velocity": 30}
    fields |= {"direction": 9, "ack_request": 0, "additional_type": 0, "additional": 129}
    return lip.with_pid(encode_extended(LongReport(fields))).hex()


def _to_events(stream: bytes) -> int:
    """All that the driver does with bytes but hand over."""
    session, translator, positions = Session(dialects.GENERIC), Translator("bench"), 0
    for at in range(0, len(stream), PIECE):
        session.receive(stream[at : at + PIECE], NOW)
        for heard in session.events():
            if isinstance(heard, SdsIndication):
                events = translator.short_data(heard, NOW)
                positions += isinstance(events[-1], PositionReport)
    return positions


def _bare(stream: bytes) -> int:
    """What any reader must do at least: find the lines."""
    found, left = 0, b""
    for at in range(0, len(stream), PIECE):
        *lines, left = (left + stream[at : at + PIECE]).split(b"\r\n")
        found += sum(line.startswith(b"+CTSDSR:") for line in lines)
    return found


def _per_second(work: Callable[[bytes], int], stream: bytes) -> float:
    rates = []
    for _ in range(ROUNDS):
        began = time.process_time()
        assert work(stream) == REPORTS
        rates.append(REPORTS / (time.process_time() - began))
    return statistics.median(rates)


def run() -> dict[str, float]:
    """Reports a second of processor time, short and long, and how many times slower than only finding lines."""
    figures: dict[str, float] = {}
    for name, encode in (("short", _short), ("long", _long)):
        stream = _stream(encode)
        events, bare = _per_second(_to_events, stream), _per_second(_bare, stream)
        figures |= {f"{name}_reports_per_s": round(events), f"{name}_bare_per_s": round(bare)}
        figures[f"{name}_ratio"] = round(bare / events, 2)
    return figures


if __name__ == "__main__":
    print(json.dumps(run()))
