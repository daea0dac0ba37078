"""The record of questions on disk: whole lines, one day a file, a torn line costs itself alone."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime

import msgspec
import pytest

from gateway.errors import StoreBusyError
from gateway.feed.questions import Question, question
from gateway.feed.wanted import Candidate, Ranking, Wanted
from gateway.store.questions import QuestionStore

FIRST, LAST = datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)


def made(at: str, account: str = "dispatch", *units: str) -> Question:
    """One that offered these units."""
    found = tuple(Candidate(unit, 100.0, 0.0, 84.4, "straight line", 3.0, ("duty available",)) for unit in units)
    wanted = Wanted(lat=52.57, lon=-0.24, power=("pcn",))
    return question(at, account, None, wanted, Ranking(found, 9, {"power": 3}))


def test_it_says_what_was_asked_and_answered() -> None:
    """What was not said is left out."""
    one = made("2026-11-21T21:00:00Z", "dispatch", "PCC.CSO-014")
    assert one.asked == {"lat": 52.57, "lon": -0.24, "limit": 5, "power": ("pcn",)}
    assert [offer.unit for offer in one.offered] == ["PCC.CSO-014"]
    assert (one.considered, one.rejected) == (9, {"power": 3})


def test_days_and_spans(tmp_path) -> None:
    """Read back in order, to is exclusive; a day is forgotten whole."""
    store = QuestionStore(tmp_path / "asked")
    times = ["2026-11-21T23:59:59Z", "2026-11-22T00:00:00Z", "2026-11-23T12:00:00Z"]
    store.add([made(at) for at in times[:2]])
    store.add([made(times[2], "other", "A.B")])
    assert [one.at for one in store.between(FIRST, LAST)] == times
    assert [
        one.at for one in store.between(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, 12, tzinfo=UTC))
    ] == [times[1]]
    assert store.expire(date(2026, 11, 23)) == 2
    assert [one.account for one in store.between(FIRST, LAST)] == ["other"]
    assert oct((tmp_path / "asked/2026-11-23.jsonl").stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_torn_line(tmp_path, cut) -> None:
    """A crash in the middle of an append: that line is lost and counted, what comes after it is not."""
    store = QuestionStore(tmp_path)
    store.add([made("2026-11-21T21:00:00Z"), made("2026-11-21T21:00:01Z")])
    path = tmp_path / "2026-11-21.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    store.add([made("2026-11-21T21:00:02Z")])
    seconds = [one.at[-3:-1] for one in store.between(FIRST, LAST)]
    assert seconds == (["00", "01", "02"] if cut == 1 else ["00", "02"])
    assert store.unreadable == (0 if cut == 1 else 1)


def test_a_disk_that_refuses(tmp_path, monkeypatch) -> None:
    """Said as such; half a write is taken back, so that trying again makes no second record."""
    store = QuestionStore(tmp_path)
    store.add([made("2026-11-21T21:00:00Z")])
    real = os.write
    monkeypatch.setattr(os, "fdatasync", _refuse)
    with pytest.raises(StoreBusyError, match="questions can't be kept"):
        store.add([made("2026-11-21T21:00:01Z")])
    monkeypatch.undo()
    assert os.write is real
    store.add([made("2026-11-21T21:00:01Z")])
    assert [one.at[-3:-1] for one in store.between(FIRST, LAST)] == ["00", "01"]
    assert store.unreadable == 0


def _refuse(_file: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_of_nobodys(tmp_path) -> None:
    """Is left alone."""
    (tmp_path / "2026-99-99.jsonl").write_bytes(msgspec.json.encode({}))
    assert QuestionStore(tmp_path).days() == []
