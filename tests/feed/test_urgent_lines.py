"""The urgent log read back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed.urgent_lines import UrgentRecord, image, read

MARK = b'{"v":1,"epoch":"E1","mark":1000}'


def duty(seq: int, unit: str = "PCC.A") -> UrgentRecord:
    """A duty record, as small as one may be."""
    return UrgentRecord(
        seq, "duty", f"duty {unit}", unit, b'{"v":1,"seq":%d,"unit":"%b","code":2}' % (seq, unit.encode())
    )


def emergency(seq: int) -> UrgentRecord:
    """An emergency record."""
    payload = b'{"v":1,"seq":%d,"id":"EM-1","unit":null,"triggers":["manual"]}' % seq
    return UrgentRecord(seq, "emergency", "emergency EM-1", None, payload)


def removed(seq: int) -> UrgentRecord:
    """A removed record."""
    payload = b'{"v":1,"seq":%d,"unit":"PCC.A","reason":"off_duty"}' % seq
    return UrgentRecord(seq, "removed", "removed PCC.A", "PCC.A", payload)


RECORDS = (duty(3), emergency(5), removed(6))


def test_what_is_written_is_read() -> None:
    """Each kind told by what it carries; numbers go on at the mark."""
    found = read(MARK, image("E1", 2, RECORDS))
    assert found.whole
    assert (found.epoch, found.first, found.horizon, found.records) == ("E1", 1000, 2, RECORDS)


@settings(derandomize=True)
@given(st.integers(0, 400))
def test_any_torn_tail_is_the_trace_of_a_crash(cut) -> None:
    """Whole lines count, the epoch goes on, unless the first line itself is gone."""
    log = image("E1", 2, RECORDS)[:cut]
    found = read(MARK, log)
    assert found.records == RECORDS[: max(0, log.count(b"\n") - 1)]
    assert found.whole == (b"\n" in log)


@pytest.mark.parametrize(
    ("mark", "log"),
    [
        (None, image("E1", 2, RECORDS)),
        (b"{", image("E1", 2, RECORDS)),
        (b"", image("E1", 2, RECORDS)),
        (MARK, image("E2", 2, RECORDS)),
        (MARK, image("E1", 2, RECORDS) + b"garbage\n"),
        (MARK, image("E1", 2, RECORDS) + b"\x00\xff\n"),
        (MARK, image("E1", 2, RECORDS) + b'{"v":1}\n'),
        (MARK, image("E1", 2, RECORDS) + b'{"v":1,"seq":7,"unit":"PCC.A"}\n'),
        (MARK, image("E1", 2, RECORDS) + b'{"v":1,"seq":1e300,"unit":"PCC.A","code":1}\n'),
        (MARK, image("E1", 2, [*RECORDS, duty(4)])),
        (MARK, image("E1", 2, [*RECORDS, duty(1000)])),
        (MARK, image("E1", 1000, RECORDS)),
        (MARK, b"".join(record.payload + b"\n" for record in RECORDS)),
    ],
)
def test_damage_ends_the_epoch_and_loses_no_state(mark, log) -> None:
    """What can be read still counts, and new numbers begin behind all of it."""
    found = read(mark, log)
    assert not found.whole
    assert found.found
    assert set(RECORDS) <= set(found.records)
    assert found.first == found.horizon + 1 > 6


def test_nothing_at_all() -> None:
    """Is a first start; a mark without a log is a loss."""
    assert not read(None, None).found
    assert read(MARK, None).found
    assert not read(MARK, None).whole
    assert not read(MARK, b"").whole


@settings(derandomize=True)
@given(st.binary(max_size=200), st.binary(max_size=300))
def test_no_bytes_break_it(mark, log) -> None:
    """Whatever lies on the disk."""
    read(mark, log)
    read(MARK, image("E1", 2, RECORDS) + log)
