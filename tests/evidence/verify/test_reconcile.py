"""Reconciliation of a real store: whatever is deleted, changed or put back is named exactly, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.verify.reconcile import reconcile
from tests.evidence.verify.real_store import RealStore


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> RealStore:
    """Two days: yesterday laid aside, then two exhibits more, one disposed of, one with a picture, one on its way."""
    store = RealStore(tmp_path_factory.mktemp("pattern") / "store")
    store.seal("a", "b", "c")
    store.record(Act("hold", "P-1", ExhibitId(store.exhibits[0]), {"hold": "H-0123456789AB"}, {"reason": "case"}))
    store.keep("evidence.db", "keys.db", "log")
    store.seal("d", "e")
    store.dispose(store.exhibits[1])
    store.picture(store.exhibits[3])
    store.begin("f")
    return store


@pytest.fixture
def store(pattern: RealStore, tmp_path: Path) -> RealStore:
    """A copy of it, to be worked on."""
    shutil.copytree(pattern.root, tmp_path / "store")
    copy = RealStore(tmp_path / "store")
    copy.exhibits = list(pattern.exhibits)
    return copy


def below(store: RealStore, path: Path) -> str:
    """A path as reconciliation names it."""
    return str(path.relative_to(store.evidence))


def test_all_is_there(store: RealStore) -> None:
    """Nothing is named, and everything is counted, with and without keys; nothing is written."""
    before = {path: path.stat().st_mtime_ns for path in store.evidence.rglob("*")}
    told = store.reconcile()
    assert told.items == []
    wanted = {
        "exhibits": 6,
        "receiving": 1,
        "sealed": 4,
        "disposed": 1,
        "held": 1,
        "uploads": 1,
        "blobs_wanted": 4,
        "blobs_found": 4,
    }
    assert {name: told.counts[name] for name in wanted} == wanted
    kept = store.sql("SELECT size FROM exhibit WHERE sealed_at IS NOT NULL AND disposed_at IS NULL")
    assert told.counts["bytes"] == sum(size for (size,) in kept)
    assert told.checkpoint is not None
    assert told.checkpoint["size"] == told.counts["entries"] == 17
    assert {path: path.stat().st_mtime_ns for path in store.evidence.rglob("*")} == before


def test_a_blob_deleted(store: RealStore) -> None:
    """Its exhibit is named, and that its seal says so."""
    path = store.blob(store.exhibits[2])
    path.unlink()
    (item,) = store.reconcile().items
    assert (item.state, item.thing, item.name) == ("missing", "blob", below(store, path))
    assert (item.exhibit, item.known_from, item.found) == (store.exhibits[2], "log entry 5 (seal)", "none")
    counts = store.reconcile().counts
    assert (counts["blobs_wanted"], counts["blobs_found"], counts["lost_exhibits"]) == (4, 3, 1)


@pytest.mark.parametrize("change", ["shorter", "longer", "another", "folder"])
def test_a_blob_that_is_another(store: RealStore, change: str) -> None:
    """Cut, grown, one of another exhibit in its place, a folder: named without being read whole."""
    path, other = store.blob(store.exhibits[3]), store.blob(store.exhibits[0])
    raw = path.read_bytes()
    path.unlink()
    match change:
        case "shorter":
            path.write_bytes(raw[:-1])
        case "longer":
            path.write_bytes(raw + b"x")
        case "another":
            path.write_bytes(other.read_bytes())
        case "folder":
            path.mkdir()
    state = "missing" if change == "folder" else "differs"
    assert store.named() == {(state, "blob", below(store, path), store.exhibits[3])}


@pytest.mark.parametrize("seal", range(3))
def test_a_row_deleted_or_changed(store: RealStore, seal: int) -> None:
    """A row of an exhibit, a row of an act, and any value of one."""
    exhibit = store.exhibits[seal]
    ((index,),) = store.sql("SELECT log_index FROM custody WHERE exhibit = ? AND kind = 'seal'", exhibit)
    store.sql("UPDATE exhibit SET holder = 'P-9999' WHERE id = ?", exhibit)
    assert store.named() == {("differs", "row", f"evidence.db exhibit {exhibit}", exhibit)}
    store.sql("DELETE FROM exhibit WHERE id = ?", exhibit)
    assert store.named() == {("missing", "row", f"evidence.db exhibit {exhibit}", exhibit)}
    store.sql("DELETE FROM custody WHERE log_index = ?", index)
    assert store.named() == {
        ("missing", "row", f"evidence.db exhibit {exhibit}", exhibit),
        ("missing", "row", f"evidence.db custody {index}", exhibit),
    }


def test_a_row_of_nobody(store: RealStore) -> None:
    """An exhibit that no entry of the log knows is too much."""
    store.sql("UPDATE exhibit SET id = 'X-FORGED' WHERE id = ?", store.exhibits[0])
    assert store.named() == {
        ("missing", "row", f"evidence.db exhibit {store.exhibits[0]}", store.exhibits[0]),
        ("surplus", "row", "evidence.db exhibit X-FORGED", "X-FORGED"),
    }


def test_its_own_size_deleted(store: RealStore) -> None:
    """The row that says how much was applied is one row: the others are not blamed."""
    store.sql("DELETE FROM meta")
    assert store.named() == {("missing", "row", "evidence.db meta applied_size", None)}


def test_every_tile_deleted_in_turn(store: RealStore) -> None:
    """Each is named by its path and alone, also the one that holds the entries themselves."""
    tiles = list((store.evidence / "log/tile").rglob("17"))
    assert len(tiles) == 2
    for path in tiles:
        raw = path.read_bytes()
        path.unlink()
        assert store.named() == {("missing", "tile", below(store, path), None)}
        path.write_bytes(raw)
    assert store.named() == set()


def test_one_of_several_bundles_deleted(store: RealStore) -> None:
    """What the unread entries were about is not judged, and said to be so; the rest still is."""
    store.record(*(Act("browse", "P-1", None, {}, {"listed": number}) for number in range(260)))
    (store.evidence / "log/tile/entries/000").unlink()
    assert store.named() == {("missing", "tile", "log/tile/entries/000", None)}
    (note,) = [note for note in store.reconcile().notes if "not judged" in note]
    assert note.startswith("256 entries were not read")
    assert store.exhibits[0] in note


@pytest.mark.parametrize("name", ["checkpoint", "log.vkey"])
def test_the_log_has_no_head(store: RealStore, name: str) -> None:
    """Without it nothing can be judged: it is what is named."""
    (store.evidence / "log" / name).unlink()
    assert store.named() == {("missing", "log", f"log/{name}", None)}


def test_no_evidence_db(store: RealStore) -> None:
    """The file is named, not each of its rows."""
    (store.evidence / "evidence.db").unlink()
    assert store.named() == {("missing", "catalogue", "evidence.db", None)}


def test_yesterdays_evidence_db(store: RealStore) -> None:
    """It is stale: by how many entries, and of which exhibits; nothing else is."""
    store.put_back("evidence.db")
    (item,) = store.reconcile().items
    assert (item.state, item.thing, item.name) == ("stale", "catalogue", "evidence.db")
    assert item.known_from == "log/checkpoint: 17 entries"
    assert item.found.startswith("7 entries: 10 behind: ")
    upload = next((store.evidence / "staging").iterdir()).name
    assert {*store.exhibits[3:], store.exhibits[1], upload} == set(item.found.split(": ")[2].split(", "))


def test_yesterdays_keys_db(store: RealStore) -> None:
    """The keys of what was sealed since are missing, and the one that was destroyed is back."""
    store.put_back("keys.db")
    gone, back = store.exhibits[3:], store.exhibits[1]
    upload = next((store.evidence / "staging").iterdir()).name
    assert store.named() == {
        *(("missing", "key", f"keys.db identity/{name}", name) for name in gone),
        ("surplus", "key", f"keys.db identity/{back}", back),
        ("missing", "key", f"keys.db identity/{upload}", upload),
        ("missing", "key", f"keys.db run/{upload}/0", upload),
    }
    (item,) = [item for item in store.reconcile().items if item.state == "surplus"]
    assert item.known_from == "log entry 13 (key_destroy): it was destroyed"


def test_yesterdays_log(store: RealStore) -> None:
    """The log is stale, by today's catalogue; every entry that it lost is named with its exhibit."""
    lost = store.sql("SELECT log_index, exhibit FROM custody WHERE log_index >= 7")
    store.put_back("log")
    named = store.named()
    assert len(lost) == 10
    assert named == {
        ("stale", "log", "log/checkpoint", None),
        *(("missing", "entry", f"log entry {index}", exhibit) for index, exhibit in lost),
    }
    (stale,) = [item for item in store.reconcile().items if item.state == "stale"]
    assert (stale.known_from, stale.found) == ("evidence.db: 17 entries", "7 entries: 10 behind")


def test_yesterdays_log_and_catalogue(store: RealStore) -> None:
    """Where both are old, the blobs that no entry names tell of it."""
    new = [below(store, store.blob(name)) for name in store.exhibits[3:]]
    store.put_back("log", "evidence.db")
    old = next((store.evidence / "staging").iterdir()).name
    named = store.named()
    assert {("surplus", "blob", name, None) for name in new} <= named
    assert ("missing", "blob", below(store, store.blob(store.exhibits[1])), store.exhibits[1]) in named
    assert ("missing", "key", f"keys.db identity/{store.exhibits[1]}", store.exhibits[1]) in named
    assert old not in str(named)


def test_a_key_deleted(store: RealStore) -> None:
    """Its exhibit can't be opened any more: named by the key."""
    name = f"identity/{store.exhibits[0]}"
    store.sql("DELETE FROM wrapped WHERE name = ?", name, file="keys.db")
    assert store.named() == {("missing", "key", f"keys.db {name}", store.exhibits[0])}


def test_a_run_key_that_its_seal_deleted(store: RealStore) -> None:
    """Back from somewhere: it would open what staging held, and is named."""
    name = f"run/{store.exhibits[0]}/0"
    ((kek, sealed),) = store.sql("SELECT kek, sealed FROM wrapped WHERE name LIKE 'run/%'", file="keys.db")
    store.sql("INSERT INTO wrapped VALUES (?, ?, ?)", name, kek, sealed, file="keys.db")
    assert store.named() == {
        ("surplus", "key", f"keys.db {name}", store.exhibits[0]),
        ("differs", "key", f"keys.db {name}", store.exhibits[0]),
    }


def test_keys_exchanged(store: RealStore) -> None:
    """A key wrapped for another name does not open; the blob is not blamed."""
    first, second = (f"identity/{name}" for name in store.exhibits[2:4])
    ((sealed,),) = store.sql("SELECT sealed FROM wrapped WHERE name = ?", first, file="keys.db")
    store.sql("UPDATE wrapped SET sealed = ? WHERE name = ?", sealed, second, file="keys.db")
    assert store.named() == {("differs", "key", f"keys.db {second}", store.exhibits[3])}


def test_no_keys_db_and_no_kek(store: RealStore) -> None:
    """A file that is not there is named once, not all that it held."""
    kek = next(store.keys.glob("kek-*.key"))
    kek.rename(kek.with_name("away"))
    assert store.named() == {("missing", "key file", f"keys/{kek.name}", None)}
    (store.evidence / "keys.db").unlink()
    assert store.named() == {("missing", "key file", "keys.db", None)}


def test_a_details_file_deleted(store: RealStore) -> None:
    """The file is named, by the key that it has; its records are counted."""
    (store.evidence / "details/000000.dtl").unlink()
    (item,) = store.reconcile().items
    assert (item.state, item.thing, item.name) == ("missing", "detail", "details/000000.dtl")
    assert store.reconcile().counts["details_missing"] == 17


def test_a_details_file_cut(store: RealStore) -> None:
    """Each entry whose detail is gone is named with its exhibit."""
    path = store.evidence / "details/000000.dtl"
    path.write_bytes(path.read_bytes()[:-10])
    ((index, exhibit),) = store.sql("SELECT log_index, exhibit FROM custody ORDER BY log_index DESC LIMIT 1")
    assert store.named() == {("missing", "detail", f"detail of log entry {index}", exhibit)}


def test_a_detail_erased_of_a_kept_exhibit(store: RealStore) -> None:
    """An erasure that no disposal asked for is a loss, named."""
    path = store.evidence / "details/000000.dtl"
    raw = bytearray(path.read_bytes())
    at = 10
    for _ in range(4):
        at += 49 + int.from_bytes(raw[at + 1 : at + 5], "big")
    length = int.from_bytes(raw[at + 1 : at + 5], "big")
    raw[at : at + 1] = b"E"
    raw[at + 49 : at + 49 + length] = bytes(length)
    path.write_bytes(raw)
    ((exhibit,),) = store.sql("SELECT exhibit FROM custody WHERE log_index = 4")
    assert ("missing", "detail", "detail of log entry 4", exhibit) in store.named()


def test_a_thumbnail_deleted_or_changed(store: RealStore) -> None:
    """Named as what it is."""
    path = next((store.evidence / "thumbnails").rglob("*.age"))
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert store.named() == {("differs", "thumbnail", below(store, path), store.exhibits[3])}
    path.unlink()
    assert store.named() == {("missing", "thumbnail", below(store, path), store.exhibits[3])}


def test_what_was_disposed_of_is_back(store: RealStore) -> None:
    """A blob that an entry says is gone, restored from somewhere, is too much."""
    path = store.blob(store.exhibits[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"from a backup")
    assert store.named() == {("surplus", "blob", below(store, path), store.exhibits[1])}


def test_blobs_of_nobody(store: RealStore) -> None:
    """As many as uploads are on their way are a seal under way; more are named."""
    for number, digit in enumerate("ab"):
        path = store.evidence / "blobs" / (digit * 2) / (digit * 2) / f"{digit * 32}.age"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"nobody's")
        assert len(store.named()) == (0, 2)[number]
    assert {item.thing for item in store.reconcile().items} == {"blob"}


def test_an_upload_deleted(store: RealStore) -> None:
    """Footage that was received, and is neither sealed nor in staging, is missing; its exhibit is named."""
    upload = next((store.evidence / "staging").iterdir())
    shutil.rmtree(upload)
    assert store.named() == {("missing", "upload", f"staging/{upload.name}", upload.name)}
    assert store.reconcile().counts["keys_of_no_seal"] == 2


def test_an_upload_of_which_nothing_came(store: RealStore) -> None:
    """It was said in the log, so it is not looked for."""
    upload = next((store.evidence / "staging").iterdir())
    shutil.rmtree(upload)
    for name in (f"identity/{upload.name}", f"run/{upload.name}/0"):
        store.sql("DELETE FROM wrapped WHERE name = ?", name, file="keys.db")
    nothing = Act(
        "amend", "system", ExhibitId(upload.name), {"size": 0, "complete": False}, {"reason": "nothing_received"}
    )
    store.record(nothing)
    assert store.named() == set()
    assert store.reconcile().counts["nothing_received"] == 1


def test_copies(store: RealStore, tmp_path: Path) -> None:
    """Fewer copies than the log says that were verified: which, and where."""
    place = tmp_path / "second"
    shutil.copytree(store.evidence / "blobs", place / "blobs")
    exhibit = store.exhibits[0]
    store.record(Act("copy_verified", "system", ExhibitId(exhibit), {"copies": 2, "of": 2}))
    assert store.named(copies=[place]) == set()
    lost = place / below(store, store.blob(exhibit))
    lost.unlink()
    assert store.named(copies=[place]) == {
        ("missing", "copy", f"copy {place}: {below(store, store.blob(exhibit))}", exhibit)
    }


def test_without_keys(store: RealStore) -> None:
    """What can be said without opening anything still is."""
    store.blob(store.exhibits[0]).unlink()
    told = reconcile(store.evidence, None)
    assert [item.thing for item in told.items] == ["blob"]
    assert any("no keys given" in note for note in told.notes)


def test_hostile_databases(store: RealStore) -> None:
    """Garbage in place of a database is a difference with a name, never a traceback."""
    for name in ("evidence.db", "keys.db"):
        store.keep(name)
        (store.evidence / name).write_bytes(b"SQLite format 3\0" + bytes(500))
        named = store.named()
        assert len(named) == 1
        assert name in next(iter(named))[2]
        store.put_back(name)


NOT_OWED = ("log/lock", "keys.db-wal", "keys.db-shm", "evidence.db-wal", "evidence.db-shm")


def test_any_one_file_deleted(store: RealStore) -> None:
    """Every file of the store in turn: it is named, by its own name or its exhibit's, or nothing is owed by it."""
    narrower = [path for path in (store.evidence / "log/tile").rglob("*") if path.is_file() and path.name != "17"]
    unseen = []
    for path in sorted(path for path in store.evidence.rglob("*") if path.is_file()):
        raw, mode = path.read_bytes(), path.stat().st_mode
        name = below(store, path)
        path.unlink()
        named = store.named()
        path.write_bytes(raw)
        path.chmod(mode)
        if path in narrower or name in NOT_OWED or name.startswith("staging/"):
            continue
        if len(named) != 1 or next(iter(named))[0] != "missing" or next(iter(named))[2] != name:
            unseen.append((name, named))
    assert unseen == []
    assert store.named() == set()
