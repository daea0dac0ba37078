"""`lapel evidence reconcile` over real stores, whole and damaged: exit codes, words, JSON, what goes on record."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Lapel, outside


def size(store: Path) -> int:
    """How many entries the log has."""
    return int((store / "evidence/log/checkpoint").read_text().split("\n")[1])


def blob(store: Path) -> Path:
    """The larger blob."""
    return max((store / "evidence/blobs").rglob("*.age"), key=lambda path: path.stat().st_size)


def test_all_is_there(lapel: Lapel, store: Path) -> None:
    """Exit 0, counts, an entry in the log, the report kept; again with JSON."""
    before = size(store)
    done = lapel("evidence", "reconcile", "--data", store)
    assert (done.code, done.err) == (0, "")
    assert "2 exhibits: 2 sealed" in done.out
    assert "2 of 2 blobs" in done.out
    assert "all is there" in done.out
    assert size(store) == before + 1
    body = lapel("evidence", "reconcile", "--data", store, "--json").json
    assert (body["v"], body["ok"], body["faults"], body["items"]) == (1, True, 0, [])
    assert (body["counts"]["sealed"], body["log_index"]) == (2, before + 1)
    assert json.loads((store / "evidence/reconciled.json").read_bytes()) == body
    assert lapel("evidence", "verify", "--data", store).code == 0


def test_a_missing_blob(lapel: Lapel, store: Path) -> None:
    """Exit 3; the blob, its exhibit, what it is known from; `verify_fail` on record with the counts."""
    path = blob(store)
    path.unlink()
    done = lapel("evidence", "reconcile", "--data", store)
    name = str(path.relative_to(store / "evidence"))
    assert done.code == 3
    assert f"missing: blob {name} of X-" in done.err
    assert "known from log entry 1 (seal); found none" in done.err
    assert "1 missing" in done.out
    assert "1 of 2 blobs" in done.out
    with sqlite3.connect(store / "evidence/evidence.db") as link:
        ((kind,),) = link.execute("SELECT kind FROM custody ORDER BY log_index DESC LIMIT 1")
    assert kind == "verify_fail"


def test_only_looking(lapel: Lapel, store: Path) -> None:
    """With --no-record nothing is written at all."""
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    assert lapel("evidence", "reconcile", "--data", store, "--no-record").code == 0
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_where_nothing_can_be_recorded(lapel: Lapel, store: Path) -> None:
    """A log that can't be opened is what is named; that it is not on record is said, and changes nothing."""
    (store / "evidence/log/checkpoint").unlink()
    done = lapel("evidence", "reconcile", "--data", store)
    assert done.code == 3
    assert "missing: log log/checkpoint" in done.err
    assert "not on record" in done.err


def test_a_lagging_catalogue_is_named_before_it_catches_up(lapel: Lapel, store: Path) -> None:
    """Opening the store brings the catalogue up to date, so it is looked at first; then all is there."""
    yesterday = (store / "evidence/evidence.db").read_bytes()
    assert lapel("evidence", "list", "--data", store).code == 0
    for path in (store / "evidence").glob("evidence.db*"):
        path.unlink()
    (store / "evidence/evidence.db").write_bytes(yesterday)
    done = lapel("evidence", "reconcile", "--data", store)
    assert done.code == 3
    assert "stale: catalogue evidence.db: known from log/checkpoint" in done.err
    assert "1 behind" in done.err
    assert lapel("evidence", "reconcile", "--data", store).code == 0


def test_unread_is_not_missing(lapel: Lapel, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read now is exit 1: nothing is known of it."""
    from gateway.evidence.verify import kept
    from gateway.evidence.verify.report import UnreadError

    def refused(*_: object) -> None:
        raise UnreadError("blobs/x", "a readable file", "Permission denied")

    monkeypatch.setattr(kept, "_look", refused)
    done = lapel("evidence", "reconcile", "--data", store)
    assert done.code == 1
    assert "unread: blob blobs/" in done.err


def test_wrong_usage(lapel: Lapel, tmp_path: Path) -> None:
    """Exit 2, and the reason."""
    assert lapel("evidence", "reconcile").code == 2
    assert lapel("evidence", "reconcile", "--data", tmp_path / "nowhere").code == 2


def test_as_the_gateway_asks_it(store: Path) -> None:
    """In a process of its own, idle, with the keys named: one JSON document."""
    where = ("--data", store, "--keys", store / "keys")
    done = outside("evidence", "reconcile", *where, "--json", "--no-record", "--idle")
    assert (done.code, done.json["ok"]) == (0, True)
