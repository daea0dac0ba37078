"""Places and certificates: every file an exhibit may have left, a copy given up, what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.errors import EvidenceError
from gateway.evidence.disposal.certificate import as_text
from gateway.evidence.purge import StorePlace, file_names, key_names
from gateway.evidence.vault.files import DiskFiles
from tests.evidence.disposal.lab import CopyPlace, Lab


@pytest.fixture
def lab(tmp_path: Path):
    """An open store."""
    made = Lab(tmp_path / "store")
    with made.opened():
        yield made
    made.close()


def certified(lab: Lab, exhibit: str) -> dict:
    """The certificate of an exhibit."""
    return lab.custody.detail(lab.catalogue.custody(exhibit)[-1].log_index)[0]["certificate"]


def test_every_leftover_goes(lab: Lab) -> None:
    """Staging, an import's marker and file, a thumbnail being written, run keys, the next identity."""
    exhibit = lab.seal()
    for name in ("identity/{}/next", "run/{}/7"):
        lab.keyring.put(name.format(exhibit), bytes(32))
    left = [f"staging/{exhibit}/blob.age", f"imports/{exhibit}.json", f"imports/{exhibit}.age"]
    left += [f"imports/{exhibit}.part", f"thumbnails/{exhibit[-2:]}/{exhibit}.new"]
    for name in left:
        (lab.evidence / name).parent.mkdir(parents=True, exist_ok=True)
        (lab.evidence / name).write_bytes(b"left")
    lab.ready(exhibit)
    lab.execution(lab.desk()).turn()
    assert lab.keyring.names() == ["details/000000"]
    assert [path for path in lab.evidence.rglob("*") if exhibit in str(path)] == []
    assert certified(lab, exhibit)["key_destroyed"]["keys"] == sorted(
        [f"identity/{exhibit}", f"identity/{exhibit}/next", f"run/{exhibit}/0", f"run/{exhibit}/7"]
    )
    lab.verified()


def test_forgetting_twice(lab: Lab) -> None:
    """Whether there was something; again is no error, and nothing else is touched."""
    exhibit, other = lab.seal(), lab.seal()
    place = StorePlace(lab.evidence, lab.keyring, DiskFiles())
    row = lab.catalogue.exhibit(exhibit)
    assert key_names(exhibit, lab.keyring) == [f"identity/{exhibit}", f"identity/{exhibit}/next", f"run/{exhibit}/0"]
    assert [place.forget_key(name) for name in key_names(exhibit, lab.keyring)] == [True, False, True]
    blob, thumbnail, *rest = file_names(row)
    assert [place.forget_file(name) for name in (blob, thumbnail, *rest)] == [True, True] + [False] * len(rest)
    assert not any(place.forget_file(name) or place.has_file(name) for name in file_names(row))
    assert place.forget_key(f"identity/{exhibit}") is False
    assert lab.keyring.get(f"identity/{other}") is not None
    assert len(lab.files()) == 2


def test_backups_of_wrapped_keys(lab: Lab) -> None:
    """One that answers is rid of the key; one that does not is named, and nothing waits for it."""
    exhibit, near = lab.seal(), CopyPlace("keys-2026-11-21")
    near.keys = {f"identity/{exhibit}", "identity/X-OTHER"}
    lab.key_backups = [near]
    lab.ready(exhibit)
    lab.execution(lab.desk()).turn()
    assert near.keys == {"identity/X-OTHER"}
    assert certified(lab, exhibit)["not_reached"]["key_backups"] == ["keys-2026-11-20 (offline)"]


def test_a_copy_given_up(lab: Lab) -> None:
    """Lost for good: named so, the disposal ends, and the certificate says what was not reached."""
    exhibit = lab.seal()
    lost = CopyPlace("van")
    lost.gone = True
    one = lab.ready(exhibit)
    desk = lab.desk()
    execution = lab.execution(desk, lost)
    execution.turn()
    execution.turn(frozenset({"another"}))
    assert desk.one(one.id).state(desk.now) == "under_way"
    execution.turn(frozenset({"van"}))
    assert desk.one(one.id).state(desk.now) == "done"
    said = certified(lab, exhibit)
    assert (said["copies"], said["not_reached"]["places"]) == (
        {"removed": 1, "of": 2, "places": ["store"]},
        ["van"],
    )
    assert lab.verified().counts["disposed"] == 1


def test_a_copy_that_was_taken_out_of_the_configuration(lab: Lab) -> None:
    """What the destruction named is owed, also by a process that no longer knows the place."""
    exhibit = lab.seal()
    copy = CopyPlace("van")
    copy.gone = True
    lab.ready(exhibit)
    lab.execution(lab.desk(), copy).turn()
    later = lab.execution(lab.desk())
    later.turn()
    assert "no longer among the copies" in later.progress[exhibit].problem
    copy.gone = False
    lab.execution(lab.desk(), copy).turn()
    assert lab.kinds(exhibit)[-1] == "dispose"


def test_one_that_cannot_go_on_holds_up_no_other(lab: Lab) -> None:
    """A place with a defect of its own is logged, and the next disposal is carried out all the same."""
    one, two = lab.seal(thumbnail=False), lab.seal(thumbnail=False)
    lab.ready(one)
    copy = CopyPlace()
    real = copy.forget_key

    def broken(name: str) -> bool:
        if one in name:
            raise RuntimeError("a defect")
        return real(name)

    copy.forget_key = broken
    lab.ready(two)
    execution = lab.execution(lab.desk(), copy)
    execution.turn()
    assert lab.catalogue.exhibit(two).disposed_at is not None
    assert lab.catalogue.exhibit(one).disposed_at is None
    assert execution.progress[one].problem == "a defect"
    copy.forget_key = real
    execution.turn()
    assert lab.catalogue.exhibit(one).disposed_at is not None


def test_the_certificate_in_words(lab: Lab) -> None:
    """Everything that a court asks is on it; exports made before are named."""
    exhibit = lab.seal()
    made = lab.custody.record_now(Act("export", "P-1", ExhibitId(exhibit), {"export": "E-1"}))
    one = lab.ready(exhibit, reason="order 7")
    lab.execution(lab.desk()).turn()
    said = certified(lab, exhibit)
    text = as_text({**said, "log": {"index": 99, "at": "2026-11-29T21:08:02Z"}})
    row = lab.catalogue.exhibit(exhibit)
    for words in (one.id, exhibit, row.sha256, row.blob_sha256, "by officer", "by boss", "order 7", "log entry 99"):
        assert words in text
    assert f"log entry {made.index}" in text.split("Exports made before:")[1].splitlines()[0]
    assert "keys-2026-11-20 (offline)" in text
    assert said["exports_made"] == [f"log entry {made.index}"]


def test_somebody_looks_while_details_are_erased(lab: Lab) -> None:
    """An entry that comes between is erased too, before dispose says that all are."""
    exhibit = lab.seal()
    one = lab.ready(exhibit, ground="erasure", erase=True)
    desk = lab.desk()
    execution = lab.execution(desk)
    real, looked = lab.custody.erase_detail, []

    def erase(index: int) -> None:
        real(index)
        if not looked:
            looked.append(lab.custody.record_now(Act("view", "P-9", ExhibitId(exhibit), detail={"what": "facts"})))

    lab.custody.erase_detail = erase
    execution.turn()
    assert desk.one(one.id).state(desk.now) == "under_way"
    execution.turn()
    assert desk.one(one.id).state(desk.now) == "done"
    assert lab.custody.detail(looked[0].index) is None
    lab.verified()


def test_a_gone_exhibit_is_not_read(lab: Lab) -> None:
    """Between key_destroy and dispose the reader says that there is no key."""
    from gateway.evidence.vault.reading import Reader

    exhibit = lab.seal()
    copy = CopyPlace()
    copy.gone = True
    lab.ready(exhibit)
    lab.execution(lab.desk(), copy).turn()
    reader = Reader(lab.evidence, lab.keyring, lab.catalogue.exhibit)
    with pytest.raises(EvidenceError, match="no key"):
        list(reader.read(ExhibitId(exhibit)))
