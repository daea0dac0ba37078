"""Who is masked, by roster file and by acts of named persons: the latest word counts, and outlives a start."""

from __future__ import annotations

import pytest

from gateway.domain.people import Unit
from gateway.roster.importer import RosterFile
from gateway.store.masking import MASKING, Masking
from gateway.store.roster import RosterStore


class Shelf:
    """A roster.db, and words about one unit."""

    def __init__(self, folder) -> None:
        self.store, self.acts = RosterStore(folder / "roster.db"), 0

    def file(self, masked, callsign="CSO1") -> None:
        """The roster file is imported, as at each start."""
        more = {} if masked is None else {"masked": masked}
        units = [Unit("PCC.CSO-1", callsign, "PCC", **more), Unit("PCC.CSO-2", "CSO2", "PCC")]
        self.store.import_file(RosterFile([], units, [], []), "roster file")

    def act(self, masked) -> None:
        """A named person's word."""
        self.acts += 1
        self.store.put(MASKING, "PCC.CSO-1", Masking(masked, "I3", "why", f"act {self.acts}"), "desk")

    @property
    def masked(self) -> bool:
        """As the roster has it."""
        assert not self.store.roster().unit("PCC.CSO-2").masked
        return bool(self.store.roster().unit("PCC.CSO-1").masked)


@pytest.fixture
def shelf(tmp_path):
    """Closed at the end."""
    made = Shelf(tmp_path)
    yield made
    made.store.close()


@pytest.mark.parametrize("masked", [None, False, True])
def test_the_file_says_so(shelf, masked):
    """Without any act."""
    shelf.file(masked)
    assert shelf.masked is bool(masked)


def test_an_act_outlives_the_import_at_each_start(shelf):
    """A file that says what it said is no news, whatever else of the unit it changes."""
    shelf.file(None)
    shelf.act(True)
    assert shelf.masked
    shelf.file(None)
    shelf.file(None, "CSO1B")
    assert shelf.masked
    shelf.act(False)
    assert not shelf.masked
    shelf.act(True)
    assert shelf.masked


def test_a_file_that_says_otherwise_than_before_is_news(shelf):
    """Both ways."""
    shelf.file(None)
    shelf.act(True)
    shelf.act(False)
    shelf.file(True)
    assert shelf.masked
    shelf.act(False)
    shelf.file(True)
    assert not shelf.masked
    shelf.act(True)
    shelf.file(False)
    assert not shelf.masked


def test_each_act_is_kept_and_changes_the_version(shelf):
    """The same word twice is two acts; whoever watches the file sees each."""
    shelf.file(None)
    versions = {shelf.store.version()}
    for masked in (True, True, False):
        shelf.act(masked)
        versions.add(shelf.store.version())
    assert len(versions) == 4


def test_a_roster_without_masked_units_is_written_as_before(shelf):
    """No unit gets a new version because there is a new key."""
    shelf.file(None)
    version = shelf.store.version()
    shelf.file(None)
    assert shelf.store.version() == version
