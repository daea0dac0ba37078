"""The independent verifier on media facts and thumbnails: what the document says, and nothing near it."""

from __future__ import annotations

import os

import pytest

from gateway.evidence.verify.store import verify_store
from tests.evidence.verify.build_store import MEDIA, Store

PICTURE = b"\xff\xd8\xff" + os.urandom(2_000) + b"\xff\xd9"
FOUND = {
    "container": "mp4",
    "codecs": ["h264", "aac"],
    "duration_s": 12.023,
    "media_created_at": "2026-11-21T21:05:03Z",
    "playable": "playable",
}


@pytest.fixture
def store(tmp_path) -> Store:
    """One exhibit examined with a picture, one without, one not yet."""
    made = Store(tmp_path)
    for name in ("X-00AA", "X-00AB", "X-00AC"):
        made.seal(name, os.urandom(1000))
    made.examine("X-00AA", PICTURE, **FOUND)
    made.examine("X-00AB", playable="unplayable", media_reason="not_recognised")
    return made


def check(store: Store, keys: bool = True):
    """The verifier's report."""
    return verify_store(store.evidence, store.keys if keys else None)


def test_a_good_store(store: Store) -> None:
    """Facts agree with and without keys; the thumbnail is counted."""
    store.write()
    assert check(store).ok, check(store)
    assert check(store, keys=False).ok
    assert check(store).counts["thumbnails"] == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("playable", "unplayable"),
        ("container", None),
        ("codecs", '["vp9"]'),
        ("codecs", None),
        ("duration_s", 9.0),
        ("media_created_at", "2020-01-01T00:00:00.000Z"),
        ("thumbnail", "ab" * 32),
    ],
)
def test_a_catalogue_that_says_otherwise(store: Store, column: str, value: object) -> None:
    """Each media column is compared with the fold, and so is what nobody said."""
    import sqlite3

    store.write()
    with sqlite3.connect(store.evidence / "evidence.db") as db:
        db.execute(f"UPDATE exhibit SET {column} = ? WHERE id = 'X-00AA'", (value,))
    db.close()
    assert not check(store).ok


@pytest.mark.parametrize(("column", "value"), [("playable", "playable"), ("codecs", '["h264"]'), ("thumbnail", "ab")])
def test_facts_from_nowhere(store: Store, column: str, value: str) -> None:
    """An exhibit that nobody has examined has none."""
    import sqlite3

    store.write()
    with sqlite3.connect(store.evidence / "evidence.db") as db:
        db.execute(f"UPDATE exhibit SET {column} = ? WHERE id = 'X-00AC'", (value,))
    db.close()
    assert not check(store).ok


def test_a_catalogue_of_an_earlier_version(tmp_path) -> None:
    """Without the columns, and without an entry that would need them, nothing differs; with one, it does."""
    store = Store(tmp_path)
    store.seal("X-00AA", b"film")
    store.media = ()
    store.write()
    assert check(store).ok, check(store)
    store.media = MEDIA
    store.examine("X-00AA", playable="playable")
    store.write()
    assert check(store).ok
    import sqlite3

    with sqlite3.connect(store.evidence / "evidence.db") as db:
        for name in MEDIA:
            db.execute(f"ALTER TABLE exhibit DROP COLUMN {name}")
    db.close()
    assert not check(store).ok


def test_a_second_examination_replaces_the_first(store: Store) -> None:
    """What the second did not find is gone; what a derived copy says is no matter of the master."""
    store.examine("X-00AA", playable="not_examined", media_reason="time_limit")
    store.act("derive", "X-00AA", {"container": "webm", "playable": "playable"}, what="redaction")
    store.write()
    report = check(store)
    assert report.ok, report


def test_a_changed_thumbnail(store: Store) -> None:
    """Another byte, or another exhibit's picture, is a difference."""
    store.write()
    path = store.thumbnail("X-00AA")
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    (found,) = check(store).findings
    assert "thumbnails/AA/X-00AA.age" in str(found)


def test_a_lost_thumbnail_is_no_fault(store: Store) -> None:
    """It can be made again; it is counted."""
    store.write()
    store.thumbnail("X-00AA").unlink()
    report = check(store)
    assert report.ok
    assert report.counts["thumbnails_missing"] == 1
    assert "thumbnails" not in report.counts


def test_a_thumbnail_without_end(store: Store) -> None:
    """A file larger than a thumbnail can be is not read."""
    store.write()
    store.thumbnail("X-00AA").write_bytes(bytes(3 << 20))
    assert not check(store).ok


def test_an_exhibit_of_another_name(tmp_path) -> None:
    """A name that would lead elsewhere leads nowhere."""
    store = Store(tmp_path)
    store.seal("../../X-0", b"film")
    store.act("derive", "../../X-0", {"playable": "playable"}, what="media", thumbnail="ab" * 32)
    store.write()
    assert not check(store).ok
