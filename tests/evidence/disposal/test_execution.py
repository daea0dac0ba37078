"""Carrying a disposal out: what is gone, what stays, what goes on later."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from tests.evidence.disposal.lab import CopyPlace, Lab


@pytest.fixture
def lab(tmp_path: Path):
    """An open store."""
    made = Lab(tmp_path / "store")
    with made.opened():
        yield made
    made.close()


def test_from_request_to_certificate(lab: Lab) -> None:
    """Key, blob, thumbnail gone; another exhibit untouched; the certificate says what was done; it verifies."""
    gone, kept = lab.seal(), lab.seal()
    one = lab.ready(gone)
    desk = lab.desk()
    lab.execution(desk).turn()
    assert desk.one(one.id).state(desk.now) == "done"
    assert lab.kinds(gone)[-4:] == ["dispose_request", "dispose_approve", "key_destroy", "dispose"]
    assert lab.keyring.names(f"identity/{gone}") == lab.keyring.names(f"run/{gone}") == []
    assert lab.keyring.get(f"identity/{kept}") is not None
    assert [path for path in lab.files() if gone in path.name] == []
    assert len(lab.files()) == 2
    row = lab.catalogue.exhibit(gone)
    assert row.gone
    assert row.device == "cam-1"
    said = lab.custody.detail(lab.catalogue.custody(gone)[-1].log_index)[0]["certificate"]
    assert (said["requested"]["by"], said["approved"]["by"]) == ("officer", "boss")
    assert said["copies"] == {"removed": 1, "of": 1, "places": ["store"]}
    assert said["not_reached"]["key_backups"] == ["keys-2026-11-20 (offline)"]
    assert said["sha256"] == row.sha256
    report = lab.verified()
    assert (report.counts["disposed"], report.counts["sealed"]) == (1, 1)


def test_a_copy_that_does_not_answer(lab: Lab) -> None:
    """The key is gone here at once; dispose waits for the copy, says how far, and goes on when it answers."""
    exhibit = lab.seal()
    copy = CopyPlace()
    copy.keys, copy.gone = {f"identity/{exhibit}"}, True
    one = lab.ready(exhibit)
    desk = lab.desk()
    execution = lab.execution(desk, copy)
    execution.turn()
    execution.turn()
    assert desk.one(one.id).state(desk.now) == "under_way"
    assert (execution.progress[exhibit].done, execution.progress[exhibit].of) == (1, 2)
    assert "does not answer" in execution.progress[exhibit].problem
    assert execution.figures()["stuck"] == 1
    assert lab.keyring.get(f"identity/{exhibit}") is None
    assert lab.kinds(exhibit).count("key_destroy") == 1
    lab.verified()
    copy.gone = False
    execution.turn()
    assert copy.keys == set()
    assert lab.kinds(exhibit)[-1] == "dispose"
    assert lab.verified().counts["disposed"] == 1


def test_erasure_takes_the_details(lab: Lab) -> None:
    """Nothing but the destruction's own detail can be read; the row names nobody; a rebuilt catalogue says the same."""
    exhibit = lab.seal()
    lab.custody.record_now(Act("annotate", "P-9", ExhibitId(exhibit), detail={"text": "the man in the red coat"}))
    one = lab.ready(exhibit, ground="erasure", erase=True, reason="request of Mr Red")
    desk = lab.desk()
    lab.execution(desk).turn()
    assert desk.one(one.id).state(desk.now) == "done"
    read = [lab.custody.detail(entry.log_index) for entry in lab.catalogue.custody(exhibit)]
    assert [found is None for found in read] == [True] * 6 + [False, False]
    assert "Red" not in str(read)
    assert (read[-1][0]["certificate"]["requested"]["by"], read[-2][0]["approver"]) == ("officer", "boss")
    row = lab.catalogue.exhibit(exhibit)
    assert (row.device, row.recording, row.holder, row.flags) == (None, None, None, ())
    before = (row, lab.catalogue.custody(exhibit))
    lab.verified()
    lab.catalogue.clear()
    lab.custody.record_now(Act("browse", "x"))
    assert (lab.catalogue.exhibit(exhibit), lab.catalogue.custody(exhibit)) == before
    lab.verified()


def test_no_byte_of_a_name_is_left(lab: Lab) -> None:
    """After an erasure no file of the store says who it was, the catalogue's journal and free pages among them."""
    words = {"holder": "P-HOLDER77", "recording": "rec-NAMED-77", "name": "redcoat77.mp4"}
    exhibit = lab.seal(detail=words)
    for number in range(30):
        lab.custody.record_now(Act("view", f"P-VIEWER{number:02d}", ExhibitId(exhibit), detail={"what": "facts"}))
    sought = [*(word.encode() for word in words.values()), b"P-VIEWER"]

    def found() -> list[str]:
        files = [path for path in lab.evidence.rglob("*") if path.is_file()]
        return [path.name for path in files if any(word in path.read_bytes() for word in sought)]

    assert found(), "the search finds what is there"
    lab.ready(exhibit, ground="erasure", erase=True)
    lab.execution(lab.desk()).turn()
    assert lab.kinds(exhibit)[-1] == "dispose"
    assert found() == []
    lab.verified()
