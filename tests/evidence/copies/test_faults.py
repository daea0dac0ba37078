"""Every file operation of a turn fails once, lost or kept: the copy verifies at once, and the next turn ends it."""

from __future__ import annotations

import contextlib
import os
import shutil

import msgspec
import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.copies.log_files import look_at
from gateway.evidence.copies.second import SecondPlace
from gateway.evidence.vault.files import DiskFiles
from tests.evidence.copies.lab import Store
from tests.evidence.vault.lab import FaultyFiles
from tests.evidence.way_out import walk

STRIDE = int(os.environ.get("LAPEL_COPY_STRIDE", "13"))
"""Which operations fail by default: every so many, a prime so that both kinds of each come up."""


@pytest.fixture
def store(tmp_path):
    """A store of 250 entries, copied; then grown beyond a tile, with an exhibit and an erased detail more."""
    made = Store(tmp_path)
    one = made.seal(1, 70_000)
    made.custody._ask([Act("annotate", "me", ExhibitId(one), {}, {"text": str(n)}) for n in range(248)]).result()
    turn(made, DiskFiles())
    shutil.copytree(made.paths[0], tmp_path / "saved")
    two = made.seal(2, 70_000)
    made.picture(two)
    made.custody._ask([Act("annotate", "me", ExhibitId(two), {}, {"text": str(n)}) for n in range(30)]).result()
    walk(made.custody, one, "key_destroy")
    chain = made.catalogue.custody(one)
    for entry in chain[:-1]:  # that of its key's destruction stays
        made.custody.erase_detail(entry.log_index)
    walk(made.custody, one, since="dispose", details="erased", erased_to=len(chain))
    made.saved = tmp_path / "saved"
    yield made
    made.close()


def turn(store: Store, files: DiskFiles) -> None:
    """One turn of one place, as the background makes it."""
    place = SecondPlace(store.paths[0], msgspec.structs.replace(store.first(), files=files))
    with place.used():
        for row in store.catalogue.exhibits():
            if row.disposed_at is None:
                place.bring(row, counted=False)
        place.bring_log(look_at(store.evidence / "log"))
        for row in store.catalogue.exhibits():
            if row.disposed_at is not None:
                place.drop(row)


def restore(store: Store) -> None:
    """The place as it was before the growth."""
    shutil.rmtree(store.paths[0])
    shutil.copytree(store.saved, store.paths[0])


def points(store: Store) -> int:
    """How many operations a turn has."""
    files = FaultyFiles()
    turn(store, files)
    return len(files.calls)


@pytest.mark.parametrize("after", [False, True])
def test_growth_survives_each_failure(store, after):
    """Whatever fails, what lies there is a consistent copy, and the next turn makes it the same as the first store."""
    total = points(store)
    assert total > 60
    for at in range(int(after), total, STRIDE):
        restore(store)
        files = FaultyFiles()
        files.fail_at, files.after = at, after
        with contextlib.suppress(OSError, Exception):
            turn(store, files)
        report = store.verified(0)
        # A disk that tears the one write of an erasure leaves half of it; the next turn ends it.
        found = [each for each in report.findings if each.expected != "zeros in an erased record"]
        assert not found, (at, files.calls[-1], report.findings, report.unread)
        turn(store, DiskFiles())
        _is_same(store, at)


def test_a_first_copy_survives_each_failure(store):
    """From nothing: the mark, the keys, everything."""
    _as_new(store)
    total = points(store)
    for at in range(0, total, 2 * STRIDE):
        _as_new(store)
        files = FaultyFiles()
        files.fail_at, files.after = at, bool(at % 2)
        with contextlib.suppress(OSError, Exception):
            turn(store, files)
        turn(store, DiskFiles())
        _is_same(store, at)


def test_a_disk_that_is_full_says_so_and_harms_nothing(store):
    """ENOSPC all the way: the copy stays what it was; with room again it goes on."""
    files = FaultyFiles()
    files.full = True
    with pytest.raises(OSError):
        turn(store, files)
    assert store.verified(0).ok
    files.full = False
    turn(store, files)
    _is_same(store, "full")


def _as_new(store: Store) -> None:
    """An empty place that nobody has seen before."""
    shutil.rmtree(store.paths[0])
    store.paths[0].mkdir()
    (store.evidence / "copies.json").unlink(missing_ok=True)


def _is_same(store: Store, at: object) -> None:
    """File by file: blobs, details, log, but what is being written."""
    ours, theirs = store.evidence, store.paths[0] / "evidence"
    row = store.catalogue.exhibits()[0]
    assert store.blob(row.id).read_bytes() == store.blob(row.id, theirs).read_bytes(), at
    for folder in ("details", "log"):
        names = {path.relative_to(ours) for path in (ours / folder).rglob("*") if path.is_file()}
        there = {path.relative_to(theirs) for path in (theirs / folder).rglob("*") if path.is_file()}
        there = {path for path in there if not path.name.endswith(".part")}
        assert there <= names, at  # the first may still have narrower tiles; the verifier says that none is missing
        for name in there:
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), (at, name)
    report = store.verified(0)
    assert report.ok, (at, report.findings, report.unread)
