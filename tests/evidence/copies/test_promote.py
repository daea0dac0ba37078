"""A copy made a store: at any moment of copying; what was not copied is named, nothing is thrown away."""

from __future__ import annotations

import contextlib
import shutil

import pytest

from gateway.errors import IntegrityError
from gateway.evidence.copies.promote import promote
from gateway.evidence.copies.transfer import CopyError
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.verify.store import verify_store
from tests.evidence.copies.lab import Store
from tests.evidence.copies.test_faults import points, restore, store, turn  # noqa: F401 - a fixture
from tests.evidence.log.lab import Lab
from tests.evidence.vault.lab import FaultyFiles


def taken_over(place, keys) -> Lab:
    """A process that opens the place as its store, and writes to it."""
    shutil.rmtree(place / "keys", ignore_errors=True)
    shutil.copytree(keys, place / "keys")
    lab = Lab(place)
    with lab.opened() as log:
        from tests.evidence.log.lab import act

        log.record_now(act(exhibit=None, kind="browse"))
    lab.close()
    return lab


def test_a_whole_copy_takes_over(store):  # noqa: F811
    """Open, written to, verified."""
    turn(store, DiskFiles())
    made = promote(store.paths[0], DiskFiles())
    assert (made.lacking, made.unnamed, made.entries) == ((), 0, store.custody.size)
    taken_over(store.paths[0], store.directory / "keys")
    report = verify_store(store.paths[0] / "evidence", store.directory / "keys")
    assert report.ok, (report.findings, report.unread)
    with pytest.raises(CopyError, match="it is no copy"):
        promote(store.paths[0], DiskFiles())


@pytest.mark.parametrize("phase", range(2))
def test_taken_over_in_the_middle_of_a_turn(store, phase):  # noqa: F811
    """Wherever the first disk died: a store that verifies but for what was not copied, which is named."""
    total = points(store)
    for at in range(3 + 20 * phase, total, 59):
        restore(store)
        files = FaultyFiles()
        files.fail_at = at
        with contextlib.suppress(OSError, Exception):
            turn(store, files)
        made = promote(store.paths[0], DiskFiles())
        left = {each.name for each in (store.paths[0] / "evidence").rglob("*.part")}
        assert left == set()
        taken_over(store.paths[0], store.directory / "keys")
        report = verify_store(store.paths[0] / "evidence", store.directory / "keys")
        # What was disposed of and is still there goes with the gateway's first start (its sweep).
        later = (
            "zeros in an erased record",
            "no detail, as its exhibit's disposal",
            "no key, by log",
            "nothing, by log",
        )
        found = [each for each in report.findings if not each.expected.startswith(later)]
        assert not found, (at, files.calls[-1], found)
        assert made.lacking == ()


def test_blobs_that_no_entry_names_are_kept_aside(store):  # noqa: F811
    """Their seals were lost with the first store; they are not."""
    restore(store)
    orphan = store.paths[0] / f"evidence/blobs/ab/ab/{'ab' * 16}.age"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"age")
    assert promote(store.paths[0], DiskFiles()).unnamed == 1
    assert (store.paths[0] / f"evidence/unnamed/{'ab' * 16}.age").read_bytes() == b"age"


def test_what_was_not_copied_is_named(store):  # noqa: F811
    """A seal without its blob."""
    restore(store)
    name = "X-000000000001"
    store.blob(name, store.paths[0] / "evidence").unlink()
    assert promote(store.paths[0], DiskFiles()).lacking == (name,)


def test_a_log_that_is_not_whole_is_no_store(tmp_path):
    """Before its first checkpoint, or with a tile damaged."""
    made = Store(tmp_path)
    made.seal(1, 1000)
    with made.place().used():
        pass
    with pytest.raises(IntegrityError, match="never copied whole"):
        promote(made.paths[0], DiskFiles())
    turn(made, DiskFiles())
    tile = next((made.paths[0] / "evidence/log/tile/0").rglob("2"))
    tile.write_bytes(bytes(64))
    with pytest.raises(IntegrityError, match="do not have the root"):
        promote(made.paths[0], DiskFiles())
    assert (made.paths[0] / "copy.json").exists()
    made.close()
