"""The log at a second place, entry by entry over tile borders, and over a successor."""

from __future__ import annotations

import msgspec

from gateway.crypto.notes import parse_vkey
from gateway.domain.evidence import Act
from gateway.evidence.copies.log_files import LogFiles, look_at
from gateway.evidence.details import Details
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.writer import LogWriter
from gateway.evidence.succession import former_of, succeed
from gateway.evidence.verify.store import verify_log
from tests.evidence.copies.lab import Store
from tests.evidence.copies.test_faults import turn


def grow(store: Store, entries: int) -> None:
    """So many entries more, one batch."""
    acts = [Act("browse", "me", None, {}, {"number": n}) for n in range(entries)]
    store.custody._ask(acts).result()


def test_every_size_over_two_tile_borders(tmp_path):
    """Each step is a log that verifies, and leaves no narrower tiles."""
    store = Store(tmp_path)
    first = store.first()
    (store.paths[0] / "evidence").mkdir()
    log = LogFiles(store.evidence, store.paths[0] / "evidence", first.files)
    for step in (1, 3, 251, 1, 1, 255, 1, 300, 2):
        grow(store, step)
        look = look_at(store.evidence / "log")
        log.bring(look)
        assert log.held(look) == look.head.size
        report = verify_log(store.paths[0] / "evidence")
        assert report.ok, (look.head.size, report.findings)
        assert "superseded_tiles" not in report.counts
        log.bring(look)
    store.close()


def test_what_lies_beside_comes_behind(tmp_path):
    """`cosigned` and `halted` are copied, and go when they are gone."""
    store = Store(tmp_path)
    grow(store, 2)
    first = store.first()
    (store.paths[0] / "evidence").mkdir()
    log = LogFiles(store.evidence, store.paths[0] / "evidence", first.files)
    look = look_at(store.evidence / "log")
    log.bring(msgspec.structs.replace(look, beside={"cosigned": look.note.encode(), "halted": b"{}"}))
    there = store.paths[0] / "evidence/log"
    assert (there / "cosigned").read_bytes() == look.note.encode()
    assert (there / "halted").exists()
    log.bring(look)
    assert not (there / "halted").exists()
    store.close()


def test_a_successor_is_copied_beside_the_old_log(tmp_path):
    """The old one moves to former/1, with what it held beyond ours."""
    store = Store(tmp_path)
    store.seal(1, 1000)
    turn(store, store.files)
    grow(store, 1)
    store.custody.close_now()
    writer = LogWriter(store.evidence / "log", store.custody.origin, store.keystore.log_signer, Disk())
    with writer.locked():
        former = former_of(writer, "", 99)
        plugs = (Details(store.evidence / "details", store.keyring, Disk()), store.catalogue.clear)
        succeed(
            store.evidence, store.keystore.log_signer, plugs, (Act("successor", "me"), store.custody.clock, "t"), former
        )
    store.custody = store.log(origin="lapel.test/log/g2")
    store.custody.open_now()
    assert parse_vkey(store.custody.vkey).name == "lapel.test/log/g2"
    turn(store, store.files)
    place = store.paths[0] / "evidence"
    assert (place / "former/1/checkpoint").exists()
    assert (place / "log/checkpoint").read_bytes() == (store.evidence / "log/checkpoint").read_bytes()
    report = store.verified(0)
    assert report.ok, (report.findings, report.unread)
    store.close()
