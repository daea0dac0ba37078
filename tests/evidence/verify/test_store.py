"""The whole verifier on whole stores: good ones pass, each kind of damage is named where it is."""

import json
import os
import shutil

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.errors import VerificationError
from gateway.evidence.verify.logfiles import LogFiles
from gateway.evidence.verify.store import verify_log, verify_store
from tests.evidence.verify.build_store import (
    Store,
    age_file,
    checkpoint,
    log_of,
    put,
    sha,
    small_store,
    tile_path,
    write_log,
)


@pytest.fixture
def store(tmp_path):
    """A small whole store."""
    return small_store(tmp_path)


def check(store, exhibit=None):
    """Verify a store that is there."""
    return verify_store(store.evidence, store.keys, exhibit)


def paths(report):
    """The paths that findings name."""
    return {finding.path for finding in report.findings}


def blob_file(store, exhibit):
    """Where an exhibit's blob lies."""
    blob = store.exhibits[exhibit][0]
    return store.evidence / "blobs" / blob[:2] / blob[2:4] / f"{blob}.age"


def listing(top):
    """Every file below, with its bytes."""
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def test_a_good_store(store):
    """Everything is counted, nothing found, nothing written."""
    before = listing(store.root)
    report = check(store)
    assert report.ok, report
    assert report.notes == []
    wanted = {"entries": 8, "exhibits": 2, "sealed": 2, "blobs": 2, "details": 8, "wrapped_keys": 3}
    assert {name: report.counts[name] for name in wanted} == wanted
    assert report.counts["bytes"] == sum(blob_file(store, name).stat().st_size for name in store.exhibits)
    assert report.checkpoint["size"] == 8
    assert listing(store.root) == before


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600])
def test_logs_of_every_shape(tmp_path, size):
    """Empty, one, and both sides of a full tile."""
    built = log_of(tmp_path, size)
    for report in (verify_log(built.evidence), check(built)):
        assert report.ok, report
        assert report.counts["entries"] == size


def test_one_exhibit(store):
    """One exhibit alone is checked; the other's damage is not its matter."""
    put(blob_file(store, "X-0001"), b"garbage")
    assert check(store, "X-0000").ok
    assert check(store, "X-0000").counts["blobs"] == 1
    assert any("blobs/" in path for path in paths(check(store, "X-0001")))
    nobody = check(store, "X-9999")
    assert (nobody.ok, paths(nobody), [each.path for each in nobody.unread]) == (False, set(), ["X-9999"])


def test_without_keys_only_ciphertexts_are_checked(store):
    """Somebody without keys still finds a changed blob."""
    assert verify_store(store.evidence, None).ok
    shutil.rmtree(store.keys)
    os.unlink(store.evidence / "keys.db")
    assert verify_store(store.evidence, None).ok
    put(blob_file(store, "X-0001"), b"garbage")
    assert len(verify_store(store.evidence, None).findings) == 1


@pytest.mark.parametrize(
    "name",
    ["checkpoint", "log.vkey", "tile/entries/000.p/8", "tile/0/000.p/8"],
)
def test_deleted_log_files(store, name):
    """A missing file of the log is named."""
    (store.evidence / "log" / name).unlink()
    assert f"log/{name}" in paths(check(store))
    assert f"log/{name}" in paths(verify_log(store.evidence))


@pytest.mark.parametrize("name", ["evidence/keys.db", "evidence/evidence.db", "evidence/details/000000.dtl"])
def test_deleted_files(store, name):
    """A missing database or details file is found."""
    (store.root / name).unlink()
    found = paths(check(store))
    assert name.removeprefix("evidence/") in found or "log entry 0" in found


def test_deleted_key_files(store):
    """Without the KEK nothing opens, and that is said; without log.key only noted."""
    (store.keys / "log.key").unlink()
    assert check(store).ok
    assert "log.key" in check(store).notes[0]
    (store.keys / "kek-1.key").unlink()
    assert "keys.db details/000000" in paths(check(store))


def test_deleted_blob(store):
    """A missing blob is named."""
    blob_file(store, "X-0000").unlink()
    assert [f.path for f in check(store).findings] == [str(blob_file(store, "X-0000").relative_to(store.evidence))]


def test_everything_missing(tmp_path):
    """An empty directory, or none, is a finding and no traceback."""
    for top in (tmp_path, tmp_path / "none"):
        assert not verify_store(top, top).ok
        assert not verify_log(top).ok


@pytest.mark.parametrize("what", [b"", b"garbage\n", b"\x00" * 5000, b"\xff" * 70_000])
def test_every_file_replaced_with_garbage(store, what):
    """Whichever file is garbage, there is a finding and nothing else."""
    for path in [p for p in store.root.rglob("*") if p.is_file() and p.name != "lock"]:
        before = path.read_bytes()
        path.write_bytes(what)
        report = check(store)
        assert report.findings, path
        with pytest.raises(VerificationError):
            report.raise_first()
        path.write_bytes(before)
    assert check(store).ok


def test_every_file_cut(store):
    """Whichever file is cut, there is a finding."""
    for path in [p for p in store.root.rglob("*") if p.is_file() and p.name != "lock"]:
        before = path.read_bytes()
        for end in (1, len(before) // 2, len(before) - 1):
            if path.name in {"kek-1.key", "log.vkey"} and end == len(before) - 1:
                continue  # "one line", with its newline or without
            path.write_bytes(before[:end])
            assert check(store).findings, (path, end)
        path.write_bytes(before)


def test_a_directory_in_a_files_place(store):
    """A directory where a file should be is a finding."""
    for name in ("log/checkpoint", "keys.db", "details/000000.dtl"):
        path = store.evidence / name
        before = path.read_bytes()
        path.unlink()
        path.mkdir()
        assert check(store).findings
        path.rmdir()
        path.write_bytes(before)


def test_a_pipe_in_a_files_place_does_not_hang(store):
    """A FIFO instead of a file is a finding, at once."""
    path = store.evidence / "log" / "checkpoint"
    path.unlink()
    os.mkfifo(path)
    assert "log/checkpoint" in paths(check(store))


def test_swapped_blobs(store):
    """Two blobs exchanged: both are named."""
    one, two = blob_file(store, "X-0000"), blob_file(store, "X-0001")
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    wanted = {str(path.relative_to(store.evidence)) for path in (one, two)}
    assert paths(check(store)) == wanted


def test_hidden_second_recipient(tmp_path):
    """A blob that somebody else can open as well is found, though every hash is right."""
    built = Store(tmp_path)
    escrow = X25519PrivateKey.generate().public_key().public_bytes_raw()
    identity, plain, blob = os.urandom(32), b"footage", "ab" * 16
    own = X25519PrivateKey.from_private_bytes(identity).public_key().public_bytes_raw()
    raw = age_file(plain, [own, escrow])
    built.wrap("identity/X-1", identity)
    facts = {"sha256": sha(plain).hex(), "size": 7, "complete": True, "blob": blob, "blob_sha256": sha(raw).hex()}
    built.act("seal", "X-1", {"flags": []}, **facts)
    put(built.evidence / "blobs" / "ab" / "ab" / f"{blob}.age", raw)
    write_log(built.evidence / "log", built.entries, built.key)
    built.write_details()
    built.write_keys()
    report = verify_store(built.evidence, built.keys)
    assert "one X25519 recipient" in {finding.expected for finding in report.findings}


def test_plaintext_of_another_hash(tmp_path):
    """A seal that states another plaintext hash or size is found though the ciphertext is right."""
    for name, value in (("sha256", "0" * 64), ("size", 3)):
        built = Store(tmp_path / name)
        built.seal("X-1", b"footage")
        original = json.loads(built.entries[-1])
        built.entries[-1] = rfc8785.dumps(original | {name: value})
        built.write()
        assert any(f.path.startswith("blobs/") and name in f.expected for f in check(built).findings)


def test_checkpoint_signed_by_another_key(store):
    """Signed again by somebody else, with or without their verifier key beside it."""
    other = Ed25519PrivateKey.generate()
    signed, vkey = checkpoint(store.entries, other)
    put(store.evidence / "log" / "checkpoint", signed)
    assert paths(verify_log(store.evidence)) == {"log/checkpoint"}
    put(store.evidence / "log" / "log.vkey", vkey)
    assert paths(check(store)) == {"keys/log.key"}


def test_another_origin(store):
    """The origin asked for must be the log's."""
    assert verify_log(store.evidence, "lapel.example/pes").ok
    assert paths(verify_log(store.evidence, "lapel.example/other")) == {"log/log.vkey"}


def test_reordered_leaves(store):
    """Two leaves exchanged, the whole log rebuilt and signed: the chain is broken."""
    store.entries[1], store.entries[2] = store.entries[2], store.entries[1]
    write_log(store.evidence / "log", store.entries, store.key)
    assert verify_log(store.evidence).ok
    assert "log entry 1 (exhibit X-0000)" in paths(check(store))


def test_a_leaf_taken_out(store):
    """A leaf left out of a log that was rebuilt and signed: the exhibit's chain shows it."""
    del store.entries[5]
    for path in (store.evidence / "log" / "tile").rglob("*.p/*"):
        path.unlink()
    write_log(store.evidence / "log", store.entries, store.key)
    assert any("(exhibit X-0000)" in path for path in paths(check(store)))


def test_exchanged_entries_in_a_bundle(store):
    """Entries exchanged on disk alone: each is named by its index, the hash tile is believed."""
    path = store.evidence / "log" / "tile" / tile_path("entries", 0, 8)
    entries = [store.entries[i] for i in (1, 0, 2, 3, 4, 5, 6, 7)]
    path.write_bytes(b"".join(len(one).to_bytes(2, "big") + one for one in entries))
    found = paths(verify_log(store.evidence))
    assert found == {f"log entry {i} (log/tile/entries/000.p/8)" for i in (0, 1)}


def test_orphans_are_counted_not_found(store):
    """A detail and a blob without a leaf, a cut last record, staging: counted, noted, no failure."""
    record, _ = store.detail_record({"v": 1, "actor": "system"})
    cut, _ = store.detail_record({"v": 1, "actor": "system"})
    store.records += [record, cut[:-3]]
    store.write_details()
    blob = "cd" * 16
    put(store.evidence / "blobs" / "cd" / "cd" / f"{blob}.age", b"never sealed")
    put(store.evidence / "staging" / "X-0007" / "run-0.rec", b"LAPELRUN1\n")
    report = check(store)
    assert report.ok, report
    wanted = {"orphan_details": 1, "orphan_blobs": 1, "staging": 1}
    assert {name: report.counts[name] for name in wanted} == wanted
    assert any("trace of a crash" in note for note in report.notes)


def test_a_blob_without_entry_and_upload_is_found(store):
    """What a log that was cut back leaves behind: a seal under way would still have its staging."""
    blob = "cd" * 16
    put(store.evidence / "blobs" / "cd" / "cd" / f"{blob}.age", b"sealed once")
    assert "blobs" in paths(check(store))


def test_a_blob_sealed_while_we_read_is_not_called_a_finding(store, monkeypatch):
    """Its entry lies behind the checkpoint that was read; what a moving log can't show is said in a note."""
    put(store.evidence / "blobs" / "cd" / "cd" / f"{'cd' * 16}.age", b"sealed just now")
    monkeypatch.setattr(LogFiles, "moved", lambda _files: True)
    report = check(store)
    assert report.ok, report
    assert any("the log grew" in note for note in report.notes)


def test_disposed_exhibit(tmp_path):
    """After its disposal an exhibit has neither blob nor key, and its details are erased where it says so."""
    for details, erased in (("kept", 0), ("erased", 4)):
        built = small_store(tmp_path / details)
        built.dispose("X-0000", details)
        report = check(built)
        assert report.ok, report
        assert (report.counts["disposed"], report.counts["sealed"]) == (1, 1)
        assert report.counts.get("erased_details", 0) == erased + 2 * bool(erased)


def test_unreadable_is_not_damage(store, monkeypatch):
    """What the rights forbid is unread, not different."""
    denied = store.evidence / "details" / "000000.dtl"
    real = os.open

    def refuse(path, *rest, **more):
        if str(path) == str(denied):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    report = check(store)
    assert [one.path for one in report.unread] == ["details/000000.dtl"]


def test_writes_during_the_reading(store, monkeypatch):
    """A batch that lands between checkpoint and tiles does not disturb: the old size is verified."""
    from gateway.evidence.verify import logfiles

    real, done = logfiles.LogFiles.scan, []

    def scan_late(self, sink):
        if not done:
            done.append(1)
            for name in ("entries", "0"):
                (store.evidence / "log" / "tile" / name / "000.p" / "8").unlink()
            store.act("view", "X-0000", {"seconds": 9})
            store.write()
        return real(self, sink)

    monkeypatch.setattr(logfiles.LogFiles, "scan", scan_late)
    report = check(store)
    assert report.ok, report
    assert report.checkpoint["size"] == 8
