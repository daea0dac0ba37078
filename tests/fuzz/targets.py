"""What is fuzzed: any octets in, and nothing out of it but what is documented."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from drivers.tetra import dialects, lip, lip_json, pei, sds, sds_json
from drivers.tetra.bits import Bits, from_octets
from drivers.tetra.outbox import Parcel
from drivers.tetra.session import SdsIndication, Session
from drivers.tetra.translate import Translator
from gateway.domain.time import Instant
from gateway.errors import WireError
from tests.fuzz.footage import FOOTAGE_SEEDS, FOOTAGE_TARGETS

Target = Callable[[bytes], None]
START = datetime(2026, 11, 21, tzinfo=UTC)
VECTORS = Path(os.environ.get("LAPEL_SHARED", "../shared")) / "vectors" / "tetra"


def fuzz_pei(octets: bytes) -> None:
    """The first octet says in what pieces the rest comes and how fast; a session hears it, a message waits.

    Any pieces give the same items, every event can be told on, and the deadline is always a number.
    """
    step, rest = 1 + octets[0] % 64 if octets else 1, octets[1:]
    whole, pieces = pei.LineReader(), pei.LineReader()
    expected = whole.feed(rest) + whole.finish()
    found = [item for at in range(0, len(rest), step) for item in pieces.feed(rest[at : at + step])]
    assert found + pieces.finish() == expected, "the pieces change what is read"
    session, now_s = Session(dialects.GENERIC), 100.0
    translator = Translator("fuzz")
    session.tick(_at(now_s))
    session.post(Parcel(1, 7, 12, Bits(0x82, 8)), _at(now_s))
    for at in range(0, len(rest), step):
        session.receive(rest[at : at + step], _at(now_s))
        now_s += step / 8
        if now_s >= session.deadline():
            session.tick(_at(now_s))
        for heard in session.events():
            if isinstance(heard, SdsIndication):
                _translate(translator, heard, now_s)
        session.to_send()
        assert session.deadline() < now_s + 1000
    session.hang_up(_at(now_s))


def _translate(translator: Translator, heard: SdsIndication, now_s: float) -> None:
    try:
        translator.short_data(heard, _at(now_s))
    except WireError:
        return


def _at(now_s: float) -> Instant:
    return Instant(now_s, START)


def fuzz_sds(octets: bytes) -> None:
    """The first octet is the AI service; what is read prints back to the same bits, through JSON too."""
    try:
        service, bits = (octets[0] % 16, from_octets(octets[1:])) if octets else (13, Bits(0, 0))
        message = sds.decode(service, bits)
    except WireError:
        return
    printed = sds.encode(message)
    assert printed.value == bits.first(printed.length), "prints something else"
    known = json.loads(json.dumps(sds_json.as_dict(message)))
    assert sds.encode(sds_json.from_dict(known)) == printed, "JSON loses something"


def fuzz_lip(octets: bytes) -> None:
    """A PDU without its PID; what is read prints back, and no code has a meaning that raises."""
    try:
        bits = from_octets(octets)
        pdu = lip.decode(bits)
    except WireError:
        return
    printed = lip.encode(pdu)
    assert printed.value == bits.first(printed.length), "prints something else"
    known = json.loads(json.dumps(lip_json.as_dict(pdu)))
    assert lip.encode(lip_json.from_dict(known)).length == printed.length, "JSON loses something"


TARGETS: dict[str, Target] = {"pei": fuzz_pei, "sds": fuzz_sds, "lip": fuzz_lip, **FOOTAGE_TARGETS}


def seeds() -> dict[str, list[bytes]]:
    """Where fuzzing begins: the recorded vectors where they are, and one of each kind in any case."""
    found: dict[str, list[bytes]] = {
        "pei": [b"\x07\r\n+CTSDSR: 13,777,0,2,0,16\r\n0000\r\nOK\r\n+CME ERROR: 36\r\n+CMGS: 0,4,1\r\n+CTOM: 1\r\n"],
        "sds": [bytes.fromhex("0C" + text) for text in ("82040801476A61", "8A000701050003C902014869", "0A4580")],
        "lip": [
            bytes.fromhex(text) for text in ("30000000000007FFE810", "4580", "4DD400000000000000005FE0002308517A1000")
        ],
        **{name: list(octets) for name, octets in FOOTAGE_SEEDS.items()},
    }
    if (VECTORS / "chunked_stream.json").exists():
        stream = "".join(json.loads((VECTORS / "chunked_stream.json").read_text())).encode("latin-1")
        found["pei"] += [b"\x10" + stream[at : at + 500] for at in range(0, len(stream), 500)]
        reader = pei.LineReader()
        bodies = [item.bits.octets() for item in reader.feed(stream) if isinstance(item, pei.SdsIndication)]
        found["sds"] += [b"\x0c" + body for body in bodies]
        found["lip"] += [body[1:] for body in bodies if body[:1] == b"\x0a"]
    return found
