"""The journal against its roots: sound, damaged anywhere, thinned out, or with frames gone that nobody disposed of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.domain.evidence import Act
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.store import verify_store
from gateway.history.files import journal_files
from tests.history.lab import Clocked, HistoryLab, lab_at, row


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HistoryLab]:
    """Two rooted hours and one that is not over."""
    with lab_at(tmp_path / "store", monkeypatch) as opened:
        opened.shift()
        opened.root()
        yield opened


def verified(lab: HistoryLab, *, keys: bool = True) -> Report:
    """What the verifier finds."""
    return verify_store(lab.evidence, lab.directory / "keys" if keys else None)


def test_a_sound_journal_verifies_with_keys_and_without(lab: HistoryLab) -> None:
    """Every root, every frame; what has no root yet is counted, not judged."""
    report = verified(lab)
    assert report.ok, report.findings
    wanted = {"journal_roots": 2, "journal_frames": 27, "journal_files": 2, "journal_files_without_root": 1}
    assert wanted.items() <= report.counts.items()
    without = verified(lab, keys=False)
    assert without.ok, without.findings
    assert any("by their leaves alone" in note for note in without.notes)


def test_any_flipped_byte_of_a_rooted_file_is_named(lab: HistoryLab) -> None:
    """Of the file of frames or of its leaves: one finding at least, that names the file, and no traceback."""
    first = journal_files(lab.journal_folder)[0]
    for path in (first, first.with_suffix(".leaves")):
        whole = path.read_bytes()
        for at in range(0, len(whole), 11):
            content = bytearray(whole)
            content[at] ^= 1
            path.write_bytes(content)
            report = verified(lab)
            # The number of the first frame is only in the nonces: with it wrong, none opens.
            assert any(path.name in each.path for each in report.findings), (path.suffix, at)
        path.write_bytes(whole)


def test_frames_that_nobody_disposed_of_are_missed(lab: HistoryLab) -> None:
    """A file taken away, a file cut short, and a root that covers what is not there: named with the numbers."""
    first, second = journal_files(lab.journal_folder)[:2]
    whole = second.read_bytes()
    second.write_bytes(whole[: len(whole) // 2])
    assert any(second.name in each.path for each in verified(lab).findings)
    second.write_bytes(whole)
    kept = first.read_bytes()
    first.unlink()
    (finding,) = verified(lab).findings
    assert finding.path == "journal/2026-11-21"
    assert (finding.expected, finding.found) == ("0 frames destroyed, as the log says", "9 are gone")
    first.write_bytes(kept)
    first.with_suffix(".leaves").unlink()
    assert any(first.with_suffix(".leaves").name in each.path for each in verified(lab).findings)


def test_a_disposal_that_did_not_happen_is_missed_too(lab: HistoryLab) -> None:
    """The log says that frames were destroyed, and there they are."""
    with lab.opened() as log:
        log.record_now(Act("dispose", "system", facts={"what": "history", "days": [["2026-11-21", 2], 7, ["x"]]}))
    (finding,) = verified(lab).findings
    assert (finding.path, finding.found) == ("journal/2026-11-21", "0 are gone")


def test_leaves_of_no_root_and_a_file_in_two_roots(lab: HistoryLab) -> None:
    """Neither can be made by the gateway: each is named."""
    first = journal_files(lab.journal_folder)[0]
    with lab.opened() as log:
        entry = next(leaf for leaf in lab.check() if leaf["kind"] == "journal_root")
        log.record_now(
            Act("journal_root", "system", facts={k: entry[k] for k in ("from", "to", "root", "frames", "files")})
        )
        log.record_now(Act("journal_root", "system", facts={"root": "x", "frames": -1, "files": 3}))
    stray = first.with_name("2026-11-21T20-00112233445566ff.leaves")
    stray.write_bytes(first.with_suffix(".leaves").read_bytes())
    paths = [each.path for each in verified(lab).findings]
    assert f"journal/{stray.name}" in paths
    assert {"log entry 2", "log entry 3"} <= set(paths)


def test_without_a_journal_it_is_said(lab: HistoryLab) -> None:
    """An evidence directory restored by itself has roots and nothing to compare them with."""
    lab.journal_folder.rename(lab.directory / "elsewhere")
    report = verified(lab)
    assert report.ok
    assert any("no journal here" in note for note in report.notes)
    (lab.directory / "elsewhere").rename(lab.journal_folder)


def test_one_exhibit_does_not_ask_for_the_journal(lab: HistoryLab) -> None:
    """It has nothing to do with it."""
    lab.journal.write([row(1)])
    Clocked.at += timedelta(hours=1)
    report = verify_store(lab.evidence, None, "X-1")
    assert "journal_roots" not in report.counts
