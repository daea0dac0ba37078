"""`lapel evidence rebuild` over a real store: words, JSON, exit codes, what goes on record."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from gateway.claim import claim
from tests.cli.conftest import Lapel


def newest(store: Path) -> str:
    """The kind of the newest entry."""
    with sqlite3.connect(store / "evidence/evidence.db") as link:
        ((kind,),) = link.execute("SELECT kind FROM custody ORDER BY log_index DESC LIMIT 1")
    link.close()
    return str(kind)


def test_deleted_and_rebuilt(lapel: Lapel, store: Path) -> None:
    """With evidence.db deleted: exit 0, the same exhibits, the store verifies and reconciles."""
    before = lapel("evidence", "list", "--data", store, "--json").json["exhibits"]
    for path in (store / "evidence").glob("evidence.db*"):
        path.unlink()
    done = lapel("evidence", "rebuild", "--data", store)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("2 exhibits from ")
    assert "nothing to compare" in done.out
    assert newest(store) == "verify_pass"
    assert lapel("evidence", "reconcile", "--data", store).code == 0
    assert lapel("evidence", "verify", "--data", store).code == 0
    assert lapel("evidence", "list", "--data", store, "--json").json["exhibits"] == before


def test_rows_that_had_been_changed_are_named(lapel: Lapel, store: Path) -> None:
    """A row that said something else is named, and that it did is on record."""
    with sqlite3.connect(store / "evidence/evidence.db") as link:
        ((name,),) = link.execute("SELECT id FROM exhibit LIMIT 1")
        link.execute("UPDATE exhibit SET holder = 'P-9999' WHERE id = ?", (name,))
    link.close()
    done = lapel("evidence", "rebuild", "--data", store, "--json")
    assert (done.code, done.json["differing"]) == (0, [f"exhibit {name}"])
    assert newest(store) == "verify_fail"
    again = lapel("evidence", "rebuild", "--data", store)
    assert "0 rows were other than log and details say" in again.out


def test_refused_while_a_gateway_runs(lapel: Lapel, store: Path) -> None:
    """Exit 2; the catalogue is as it was."""
    descriptor = claim(store)
    done = lapel("evidence", "rebuild", "--data", store)
    os.close(descriptor)
    assert done.code == 2
    assert "another gateway runs" in done.err
    assert newest(store) != "verify_pass"


def test_a_log_that_is_damaged(lapel: Lapel, store: Path) -> None:
    """Exit 3 names the tile, and the old catalogue stays."""
    tile = max((store / "evidence/log/tile/entries/000.p").iterdir(), key=lambda path: int(path.name))
    tile.unlink()
    before = (store / "evidence/evidence.db").read_bytes()
    done = lapel("evidence", "rebuild", "--data", store)
    assert done.code == 3
    assert "tile/entries/000" in done.err
    assert (store / "evidence/evidence.db").read_bytes() == before


def test_nothing_there(lapel: Lapel, tmp_path: Path) -> None:
    """Exit 2: there is no store to rebuild, and none is made."""
    (tmp_path / "empty").mkdir()
    assert lapel("evidence", "rebuild", "--data", tmp_path / "empty").code == 2
    assert list((tmp_path / "empty").iterdir()) == []
