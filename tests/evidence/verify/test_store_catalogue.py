"""A store whose catalogue or keys say something else than its log."""

import base64
import sqlite3

import pytest

from tests.evidence.verify.build_store import (
    put,
)
from tests.evidence.verify.test_store import check, paths, store

__all__ = ["store"]


def test_catalogue_differs(store):
    """Each changed column is named with its row."""
    changes = {
        "exhibit": [
            "size = 5",
            "sha256 = 'x'",
            "blob = NULL",
            "n = 9",
            "prev = NULL",
            "log_index = 0",
            "holder = 'P-1'",
        ],
        "custody": [
            "kind = 'export'",
            "actor = 'nobody'",
            "leaf_sha256 = 'x'",
            "hmac = 'x'",
            "exhibit = 'X-1'",
            "n = 7",
        ],
    }
    for table, each in changes.items():
        for change in each:
            where = "id = 'X-0000'" if table == "exhibit" else "log_index = 2"
            change_catalogue(store, f"UPDATE {table} SET {change} WHERE {where}")
            report = check(store)
            assert paths(report) == {"evidence.db " + ("exhibit X-0000" if table == "exhibit" else "custody 2")}, change
            assert change.split()[0] in report.findings[0].expected
            store.write_catalogue()


def change_catalogue(store, *statements):
    """Change the catalogue behind everybody's back."""
    db = sqlite3.connect(store.evidence / "evidence.db")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("statement", "path"),
    [
        ("DELETE FROM exhibit WHERE id = 'X-0001'", "evidence.db exhibit X-0001"),
        ("DELETE FROM custody WHERE log_index = 3", "evidence.db custody 3"),
        ("INSERT INTO custody(log_index) VALUES (99)", "evidence.db custody 99"),
        ("INSERT INTO exhibit(id) VALUES ('X-7')", "evidence.db exhibit X-7"),
        ("UPDATE meta SET value = '9'", "evidence.db meta"),
        ("UPDATE meta SET value = 'x'", "evidence.db meta"),
        ("DELETE FROM meta", "evidence.db custody 0"),
        ("DROP TABLE custody", "evidence.db"),
        ("ALTER TABLE exhibit DROP COLUMN blob", "evidence.db"),
    ],
)
def test_catalogue_rows(store, statement, path):
    """Rows too many, too few, and a catalogue ahead of its log."""
    change_catalogue(store, statement)
    assert path in paths(check(store))


def test_catalogue_behind_the_log_is_noted(store):
    """A catalogue that lacks the last entries is compared as far as it goes."""
    store.write_catalogue(applied=6)
    report = check(store)
    assert report.ok, report
    assert "lacks the last 2 entries" in report.notes[0]


def test_a_view_in_a_tables_place(store):
    """A view that pretends to be the table is not read."""
    change_catalogue(store, "ALTER TABLE custody RENAME TO c2", "CREATE VIEW custody AS SELECT * FROM c2")
    assert "a table custody" in {finding.expected for finding in check(store).findings}


def test_key_rows(store):
    """A key missing, wrapped under another name, of another length, or under no known KEK."""
    for change in (
        "DELETE FROM wrapped WHERE name = 'identity/X-0000'",
        "UPDATE wrapped SET kek = 'kek-9' WHERE name = 'identity/X-0000'",
        "UPDATE wrapped SET sealed = x'00' WHERE name = 'identity/X-0000'",
        "UPDATE wrapped SET sealed = 'text' WHERE name = 'identity/X-0000'",
        "UPDATE wrapped SET sealed = (SELECT max(sealed) FROM wrapped WHERE name > 'identity/X-0000')",
        "DROP TABLE wrapped",
    ):
        db = sqlite3.connect(store.evidence / "keys.db")
        db.execute(change)
        db.commit()
        db.close()
        assert any(path.startswith("keys.db") for path in paths(check(store))), change
        store.write_keys()
    store.wrapped["identity/X-0000"] = store.wrapped["details/000000"]
    store.wrap("identity/X-0001", bytes(31))
    store.write_keys()
    assert {"keys.db identity/X-0000", "keys.db identity/X-0001"} <= paths(check(store))


def test_a_wrong_kek_is_named(store):
    """Where a KEK opens nothing of its own, its file is named."""
    put(store.keys / "kek-1.key", base64.b64encode(bytes(32)) + b"\n")
    assert "keys/kek-1.key" in paths(check(store))


def test_values_from_nowhere(store):
    """A column that no entry ever set must be empty; what an amendment set must be there."""
    change_catalogue(store, "UPDATE exhibit SET size = 3 WHERE id = 'X-0000'")
    assert paths(check(store)) == {"evidence.db exhibit X-0000"}
    store.act("amend", "X-0000", {"holder": "P-0099"})
    store.act("amend", "X-0001", size=0, complete=False)
    store.act("receive", "X-5", {"flags": []})
    for path in (store.evidence / "log" / "tile").rglob("*.p/*"):
        path.unlink()
    store.write()
    assert check(store).ok, check(store)
    change_catalogue(store, "UPDATE exhibit SET sha256 = 'a' WHERE id = 'X-5'")
    change_catalogue(store, "UPDATE exhibit SET holder = 'P-0014' WHERE id = 'X-0000'")
    assert paths(check(store)) == {"evidence.db exhibit X-5", "evidence.db exhibit X-0000"}
