"""roster.db: history kept, corrections never overwrite, changes seen by other processes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.domain.ids import DeviceId
from gateway.errors import GatewayError
from gateway.roster.importer import read
from gateway.roster.watch import Watch
from gateway.store.roster import RosterStore
from tests.roster.people import DEVICES, PEOPLE, SHIFT, UNITS
from tests.roster.test_importer import GOOD, roster

CAM = DeviceId("cam-1")
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path):
    """With the small roster in it."""
    store = RosterStore(tmp_path / "roster.db")
    for kind, rows in (("person", PEOPLE), ("unit", UNITS), ("device", DEVICES)):
        for row in rows:
            store.put(kind, row.id, row, "test")
    yield store
    store.close()


def test_what_was_put_comes_back(store: RosterStore) -> None:
    """People, units and devices whole."""
    here = store.roster()
    assert list(here.people()) == PEOPLE
    assert list(here.units()) == UNITS
    assert list(here.devices()) == DEVICES


def test_every_version_of_a_record_is_kept(store: RosterStore) -> None:
    """The latest counts; the same again is no new version."""
    import msgspec

    changed = msgspec.structs.replace(PEOPLE[0], role="Sergeant")
    before = store.version()
    assert not store.put("person", PEOPLE[0].id, PEOPLE[0], "test")
    assert store.version() == before
    assert store.put("person", changed.id, changed, "test")
    assert store.roster().person("P-0014").role == "Sergeant"
    with store.engine.connect() as connection:
        from sqlalchemy import text

        count = connection.execute(text("SELECT count(*) FROM record WHERE id='P-0014'")).scalar_one()
    assert count == 2


def test_importing_twice_changes_nothing(store: RosterStore, tmp_path: Path) -> None:
    """Idempotent, bookings included."""
    file = read(roster(tmp_path, GOOD))
    first, second = store.import_file(file, "cli"), store.import_file(file, "cli")
    assert (first.people, first.units, first.devices, first.bookings) == (1, 1, 0, 1)  # the camera was there
    assert (second.people, second.units, second.devices, second.bookings) == (0, 0, 0, 0)


def test_handing_over_ends_the_other_at_the_same_moment(store: RosterStore) -> None:
    """No gap, no overlap; both stay readable."""
    store.book_on(CAM, "P-0014", SHIFT, how="card", actor="a")
    made, ended = store.book_on(CAM, "P-0015", SHIFT + HOUR, how="card", actor="b")
    assert [row.holder for row in ended] == ["P-0014"]
    assert ended[0].until == made.since
    here = store.roster()
    assert here.holder(CAM, SHIFT + HOUR - timedelta(seconds=1)).person == "P-0014"
    assert here.holder(CAM, SHIFT + HOUR).person == "P-0015"
    assert len(store.bookings(CAM)) == 3


def test_booking_off_and_correcting_keep_history(store: RosterStore) -> None:
    """The old rows are there, with who and why."""
    made, _ = store.book_on(CAM, "P-0014", SHIFT, how="card", actor="a")
    (ended,) = store.book_off(CAM, SHIFT + HOUR, actor="b")
    assert (ended.corrects, ended.reason, ended.actor) == (made.id, "booked off", "b")
    right = store.correct(ended.id, holder="P-0015", since=None, until=None, actor="c", reason="mixed up at the rack")
    assert (right.how, right.corrects, right.until) == ("corrected", ended.id, ended.until)
    assert store.roster().holder(CAM, SHIFT).person == "P-0015"
    assert [row.id for row in store.bookings()] == [made.id, ended.id, right.id]


def test_only_what_is_on_the_roster_can_be_booked(store: RosterStore) -> None:
    """The device and the holder are named in the refusal."""
    with pytest.raises(GatewayError, match="'cam-9' is not on the roster"):
        store.book_on(DeviceId("cam-9"), "P-0014", SHIFT, how="card", actor="a")
    with pytest.raises(GatewayError, match="'P-9' is neither a person nor a unit"):
        store.book_on(CAM, "P-9", SHIFT, how="card", actor="a")
    with pytest.raises(GatewayError, match="booking 7: there is none"):
        store.correct(7, holder=None, since=None, until=None, actor="a", reason="r")


def test_a_corrected_booking_cannot_be_corrected_again(store: RosterStore) -> None:
    """Only what is in force can be; a second correction names the first's row."""
    made, _ = store.book_on(CAM, "P-0014", SHIFT, how="card", actor="a")
    store.correct(made.id, holder="P-0015", since=None, until=None, actor="a", reason="r")
    with pytest.raises(GatewayError, match="there is none in force"):
        store.correct(made.id, holder="P-0014", since=None, until=None, actor="a", reason="r")


async def test_a_change_by_another_process_is_seen(store: RosterStore, tmp_path: Path) -> None:
    """Two connections stand for two processes."""
    here, told = store.roster(), []
    watch = Watch(store, here, lambda: told.append(1))
    await watch.look()
    other = RosterStore(tmp_path / "roster.db")
    other.book_on(CAM, "P-0015", SHIFT, how="console", actor="x")
    other.close()
    await watch.look()
    await watch.look()
    assert here.holder(CAM, SHIFT).person == "P-0015"
    assert len(told) == 2


async def test_an_unreadable_roster_leaves_the_last_one_standing(store: RosterStore) -> None:
    """Said in `problem`, cleared when it reads again."""

    class Flaky:
        """Fails once."""

        def __init__(self) -> None:
            self.broken = False

        def version(self) -> int:
            """Fail or pass on."""
            if self.broken:
                raise OSError("disk gone")
            return store.version()

        def roster(self):
            """Pass on."""
            return store.roster()

    source, here = Flaky(), store.roster()
    watch = Watch(source, here, lambda: None)
    await watch.look()
    source.broken = True
    await watch.look()
    assert watch.problem == "disk gone"
    assert here.person("P-0014") is not None
    source.broken = False
    await watch.look()
    assert watch.problem is None
