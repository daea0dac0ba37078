"""Past fixes on disk: each once, in order, by day; days are forgotten whole, one device's way for good."""

from __future__ import annotations

import stat
import tempfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import StoreBusyError
from gateway.store import tracks
from gateway.store.tracks import TrackStore
from tests.feed.past import NOON_MS, fix

DAY_S = 86_400
ALWAYS = (0, NOON_MS * 2)
MANY = 10**6
moments = st.integers(-3 * DAY_S, 3 * DAY_S)


@pytest.fixture
def store(tmp_path: Path) -> TrackStore:
    """One of one's own."""
    return TrackStore(tmp_path / "tracks")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(moments, st.sampled_from("ab"), st.integers(0, 90)), min_size=1, max_size=8), max_size=6
    ),
    moments,
    st.integers(1, 3 * DAY_S),
)
def test_every_fix_of_the_span_once_in_order(batches, since_s, lasts_s):
    """Whatever was written in whatever batches, some of it twice: the span's fixes of the unit, each once, by time."""
    with tempfile.TemporaryDirectory() as folder:
        store = TrackStore(Path(folder))
        for batch in [*batches, *batches[:1]]:
            store.add([fix(at, lat, unit=unit, device=f"d{unit}") for at, unit, lat in batch])
        since, until = NOON_MS + since_s * 1000, NOON_MS + (since_s + lasts_s) * 1000
        wanted = {(at, lat) for batch in batches for at, unit, lat in batch if unit == "a"}
        inside = sorted(at for at, _ in wanted if since_s <= at < since_s + lasts_s)
        found = store.track("a", since, until, MANY)
        assert [each.fix_ms for each in found] == [NOON_MS + at * 1000 for at in inside]
        assert len({(each.fix_ms, each.latitude) for each in found}) == len(found)
        store.close()


def test_all_of_a_fix_comes_back(store):
    """What was written is what is read, unknown parts too; at most so many."""
    written = [fix(0, mark="held", quality="x,y"), fix(5, accuracy_m=None, person=None, altitude_m=-1.5)]
    store.add(written)
    assert store.track("PCC.CSO-014", *ALWAYS, MANY) == written
    assert len(store.track("PCC.CSO-014", *ALWAYS, 1)) == 1
    assert store.track("PCC.CSO-015", *ALWAYS, MANY) == []


def test_a_file_a_day(store):
    """By the day of the fix, 0600; a day is forgotten by removing its file, the rest stays."""
    store.add([fix(-DAY_S), fix(0), fix(DAY_S)])
    assert store.days() == [date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 22)]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in store.directory.glob("*.db")]
    assert modes == [0o600] * 3
    assert store.expire(date(2026, 11, 22)) == 2
    assert store.days() == [date(2026, 11, 22)]
    assert [path.name[:10] for path in store.directory.iterdir()] == ["2026-11-22"] * len(
        list(store.directory.iterdir())
    )
    store.add([fix(0)])
    assert len(store.track("PCC.CSO-014", *ALWAYS, MANY)) == 2


def test_strange_files_are_left(store):
    """What is no day of ours is nobody's history."""
    store.add([fix()])
    (store.directory / "2026-99-99.db").write_text("?")
    assert store.expire(date(2030, 1, 1)) == 1
    assert [path.name for path in store.directory.iterdir()] == ["2026-99-99.db"]


def test_nothing_is_made_by_reading(tmp_path):
    """A store that was never written is empty, and stays no store."""
    store = TrackStore(tmp_path / "none")
    assert store.track("u", *ALWAYS, 5) == []
    assert list(store.replay(*ALWAYS)) == []
    assert store.latest(0, 5) == []
    assert not store.directory.exists()


def test_replay_is_by_arrival(store):
    """Everybody's, as it came: late ones when they came, over midnight, what arrived outside left out."""
    store.add([fix(0, unit="a"), fix(1, unit="b")])
    late = fix(-100, unit="a", arrived_ms=fix(2).arrived_ms, mark="late")
    yesterday = fix(-50_000, unit="b", arrived_ms=fix(3).arrived_ms, mark="late")
    store.add([late, yesterday, fix(4, unit="a"), fix(50_000, unit="a")])
    found = list(store.replay(NOON_MS, NOON_MS + 60_000))
    assert found == [fix(0, unit="a"), fix(1, unit="b"), late, yesterday, fix(4, unit="a")]


def test_latest(store):
    """The last good fix of each device; outliers and late ones are where nobody is."""
    store.add([fix(0), fix(0, device="trm", unit="b"), fix(-DAY_S, device="old")])
    store.add([fix(5), fix(6, 53.0, mark="held"), fix(4, 54.0, mark="late")])
    found = store.latest(NOON_MS - 1000, MANY)
    assert [(each.device, each.fix_ms - NOON_MS) for each in found] == [("trm", 0), ("bcn-14", 5000)]
    assert [each.device for each in store.latest(NOON_MS - 1000, 1)] == ["bcn-14"]


def test_one_device_is_forgotten_for_good(store):
    """Its way of the span goes, also what came late in it; nobody else's, and not from the file's free pages."""
    store.add([fix(number, device="gone-for-good") for number in range(200)])
    store.add([fix(5), fix(1000, device="gone-for-good"), fix(-50_000, device="gone-for-good", arrived_ms=NOON_MS + 9)])
    assert store.forget("gone-for-good", NOON_MS, NOON_MS + 500_000) == 201
    left = store.track("PCC.CSO-014", *ALWAYS, MANY)
    assert [(each.device, each.fix_ms - NOON_MS) for each in left] == [("bcn-14", 5000), ("gone-for-good", 1_000_000)]
    store.forget("gone-for-good", *ALWAYS)
    store.close()
    assert not any(b"gone-for-good" in path.read_bytes() for path in store.directory.iterdir())


def test_a_full_disk(store, monkeypatch):
    """It is told as what it is, and nothing is half there."""
    store.add([fix()])
    engine = store._engines[date(2026, 11, 21)]
    with engine.connect() as link:
        link.exec_driver_sql("PRAGMA max_page_count=1").close()
    with pytest.raises(StoreBusyError):
        store.add([fix(number, quality="x" * 200) for number in range(1, 2000)])
    with engine.connect() as link:
        link.exec_driver_sql("PRAGMA max_page_count=100000").close()
    assert len(store.track("PCC.CSO-014", *ALWAYS, MANY)) == 1


def test_few_files_stay_open(store):
    """A device with a long queue does not keep a file open for each of its days."""
    store.add([fix(-number * DAY_S) for number in range(10)])
    assert len(store._engines) == tracks.DAYS_OPEN
    store.close()
    store.close()
    store.add([fix()])
    assert len(store.days()) == 10


def test_a_batch_of_more_than_one_statement_takes(store):
    """Whole statements and a rest: each fix is there once, under its own unit, as it was."""
    count = 2 * tracks.ROWS_AT_ONCE + 3
    written = [fix(number, unit=f"PCC.U-{number % 7}", device=f"d{number % 7}") for number in range(count)]
    store.add(written)
    found = [each for unit in range(7) for each in store.track(f"PCC.U-{unit}", *ALWAYS, MANY)]
    assert sorted(found, key=lambda each: each.fix_ms) == written
