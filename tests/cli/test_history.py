"""`lapel history`: a track proved to a stranger with stock tools, and destroyed without touching anybody else's."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.crypto.journal_keys import JournalKeys
from gateway.crypto.keys import KeyStore
from gateway.history.rooting import Rooting
from gateway.history_half import entries_of
from gateway.pipeline import journal as journal_module
from gateway.pipeline.journal import Journal, hour_of
from gateway.store.keyring import Keyring
from tests.cli.bagged import WORDS, steps, stock
from tests.cli.conftest import Lapel
from tests.history.lab import BEGIN, Clocked, row

SPAN = ("--from", "2026-11-21T00:00:00Z", "--to", "2026-11-22T00:00:00Z")
LIP = b"+CTSDSR: 12,2341014,0,1,0,88\r\n0A0A7CF3A8DEF14C6F4D02"


@pytest.fixture
def heard(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store, with a journal of two devices and a radio over two hours, rooted."""
    from gateway.evidence_half import records_at

    monkeypatch.setattr(journal_module, "datetime", Clocked)
    Clocked.at = BEGIN
    keystore = KeyStore(store / "keys")
    keystore.load()
    shutil.rmtree(store / "journal", ignore_errors=True)
    keyring = Keyring(store / "journal" / "keys.db", keystore)
    keyring.open()
    journal = Journal(store / "journal", JournalKeys(keyring))
    for minute in range(0, 60, 12):
        radio = ("radio-1", "+CTSDSR", None, 2341014, Clocked.at, "raw", LIP)
        journal.write([row(minute, "bcn-1"), row(minute, "bcn-2"), radio])
        Clocked.at += timedelta(minutes=12)
    journal.close()
    Clocked.at += timedelta(days=1)
    with records_at(store / "evidence", store / "keys") as records:
        logged = lambda: entries_of(records.custody, records.catalogue, "journal_root")  # noqa: E731
        Rooting(store / "journal", journal.turn, records.custody.record_now, logged).once(hour_of(Clocked.at))
    keyring.close()
    return store


@pytest.fixture
def package(lapel: Lapel, heard: Path, tmp_path: Path) -> Path:
    """One device's track."""
    done = lapel("history", "prove", "--device", "bcn-1", *SPAN, "-o", tmp_path / "track", *WORDS, "--data", heard)
    assert done.code == 0, done.err
    return tmp_path / "track"


def pinned(lapel: Lapel, store: Path, tmp_path: Path) -> Path:
    """What the operator publishes, kept elsewhere."""
    path = tmp_path / "published"
    path.write_text(lapel("trust", "print", "--data", store).out)
    return path


def test_a_track_is_proved_to_a_stranger(lapel: Lapel, heard: Path, package: Path, tmp_path: Path) -> None:
    """By our verifier, by the printed steps with stock tools; read as CSV; nothing of anybody else is in it."""
    trust = pinned(lapel, heard, tmp_path)
    done = lapel("history", "verify", package, "--trust", trust, "--json")
    assert (done.code, done.json["counts"]["frames"], done.json["counts"]["roots"]) == (0, 5, 2)
    unpinned = lapel("history", "verify", package)
    assert (unpinned.code, "ORIGIN NOT CHECKED" in unpinned.out) == (1, True)
    code, said = stock(package, steps(package))
    assert code == 0, said
    assert "PASSED: 5 frames" in said
    rows = list(csv.DictReader((package / "positions.csv").open(newline="")))
    assert [each["latitude"] for each in rows][:2] == ["52.0", "52.0012"]
    assert (package / "track.gpx").read_text().count("<trkpt") == 5
    about = json.loads((package / "about.json").read_bytes())
    assert (about["frames"], about["files_gone"], len(about["roots"])) == (5, [], 2)
    everything = b"".join(path.read_bytes() for path in package.rglob("*") if path.is_file())
    assert b"bcn-2" not in everything
    assert b"2341014" not in everything
    chain = [json.loads(each.read_bytes())["kind"] for each in (package / "roots").glob("*.leaf")]
    assert chain == ["journal_root"] * 2


def test_any_change_fails_a_step(lapel: Lapel, heard: Path, package: Path, tmp_path: Path) -> None:
    """A byte of any file, a frame left out, an hour left out, a file more: our verifier and the printed steps."""
    trust = pinned(lapel, heard, tmp_path)
    script = steps(package)

    def refused(*, by_stock: bool) -> bool:
        ours = lapel("history", "verify", package, "--trust", trust).code == 3
        return ours and (not by_stock or stock(package, script)[0] != 0)

    told = {"0001.jsonl", "0002.leaf", "disclosure.tlog-proof", "about.json"}
    for path in sorted(path for path in package.rglob("*") if path.is_file()):
        if path.name in ("VERIFY.md", "published.txt"):
            continue  # instructions, and a copy of what is compared with what was published elsewhere
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 1
        path.write_bytes(changed)
        assert refused(by_stock=path.name in told), path
        path.write_bytes(whole)
    lines = package / "frames" / "0001.jsonl"
    whole = lines.read_bytes()
    lines.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    assert refused(by_stock=True)
    lines.write_bytes(whole)
    (package / "more").write_text("x")
    assert refused(by_stock=True)
    (package / "more").unlink()
    assert lapel("history", "verify", package, "--trust", trust).code == 0


def test_a_person_has_what_they_held(lapel: Lapel, heard: Path, tmp_path: Path) -> None:
    """By the bookings of the roster; a radio's frames are decoded too; what is not theirs is not in it."""
    words = (*SPAN, *WORDS, "--data", heard, "--json")
    mine = lapel("history", "prove", "--person", "P-0014", *words, "-o", tmp_path / "mine")
    assert mine.code == 0, mine.err
    rows = list(csv.DictReader((tmp_path / "mine" / "positions.csv").open(newline="")))
    assert {each["who"] for each in rows} >= {"2341014"}
    assert all(each["latitude"] for each in rows if each["who"] == "2341014")
    unit = lapel("history", "prove", "--unit", "PCC.CSO-014", *words, "-o", tmp_path / "unit")
    assert unit.json["frames"] == mine.json["frames"]
    again = lapel("history", "prove", "--person", "P-0014", *words, "-o", tmp_path / "mine")
    assert (again.code, "is there already" in again.err) == (1, True)


def test_deleted_for_good_and_the_others_still_proved(lapel: Lapel, heard: Path, tmp_path: Path) -> None:
    """Two people; on record; what was disclosed before still verifies, and so does what is left."""
    before = tmp_path / "before"
    lapel("history", "prove", "--device", "bcn-1", *SPAN, "-o", before, *WORDS, "--data", heard)
    words = ("--reason", "erasure asked for", "--by", "P-0014", "--approved-by", "P-0015", "--data", heard)
    assert lapel("keys", "backup", "-o", tmp_path / "keys", "--data", heard).code == 0
    saved = next((tmp_path / "keys").glob("K-*.keys"))
    frames_saved = saved.read_bytes().count(b'"journal/')
    done = lapel("history", "delete", "--device", "bcn-1", *SPAN, *words, "--json")
    assert (done.code, done.json["frames"], done.json["not_reached"]) == (0, 5, []), done.err
    assert 0 < saved.read_bytes().count(b'"journal/') < frames_saved
    again = lapel("history", "delete", "--device", "bcn-1", *SPAN, *words, "--json")
    assert (again.code, again.json["frames"]) == (0, 0)
    trust = pinned(lapel, heard, tmp_path)
    of = ("--device", "bcn-1", *SPAN, "-o", tmp_path / "none", *WORDS, "--data", heard)
    assert lapel("history", "prove", *of).code == 1
    target = tmp_path / "after"
    lapel("history", "prove", "--device", "bcn-2", *SPAN, "-o", target, *WORDS, "--data", heard)
    found = lapel("history", "verify", target, "--trust", trust, "--json")
    assert (found.code, found.json["counts"]["frames"]) == (0, 5)
    assert lapel("history", "verify", before, "--trust", trust).code == 0
    whole = lapel("evidence", "verify", "--all", "--data", heard, "--json")
    assert (whole.code, whole.json["counts"]["journal_frames_destroyed"]) == (0, 5), whole.json["findings"]
    damaged = next((heard / "journal").glob("*.jrn"))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert lapel("evidence", "verify", "--all", "--data", heard).code == 3
    assert lapel("evidence", "verify", "--all", "--no-journal", "--data", heard).code == 0


def test_nothing_to_prove(lapel: Lapel, heard: Path, tmp_path: Path) -> None:
    """Exit 1 in plain words, nothing written, nothing on record; also said where files of those hours are gone."""
    before = (heard / "evidence/log/checkpoint").read_text()
    words = ("history", "prove", "-o", tmp_path / "track", *WORDS, "--data", heard)
    none = lapel(*words, "--device", "bcn-9", *SPAN)
    said = "there are no frames of device bcn-9 in this span: nothing is written\n"
    assert (none.code, none.out, none.err) == (1, "", said)
    assert lapel(*words, "--device", "bcn-1", "--from", "2026-11-19", "--to", "2026-11-20", "--json").code == 1
    for path in (heard / "journal").glob("*.jrn"):
        path.unlink()
    gone = lapel(*words, "--device", "bcn-1", *SPAN)
    assert (gone.code, "2 journal files of these hours are there no more" in gone.err) == (1, True), gone.err
    assert not list(tmp_path.glob("track*"))
    assert (heard / "evidence/log/checkpoint").read_text() == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("prove", *SPAN, "-o", "/tmp/nowhere/x/y", *WORDS), 2),
        (("prove", "--device", "a", "--unit", "b", *SPAN, "-o", "x", *WORDS), 2),
        (("prove", "--device", "a", "--from", SPAN[3], "--to", SPAN[1], "-o", "x", *WORDS), 2),
        (("prove", "--person", "P-NO", *SPAN, "-o", "x", *WORDS), 2),
        (("delete", "--device", "a", *SPAN, "--reason", "x", "--by", "P-0014", "--approved-by", "P-0014"), 2),
        (("delete", "--device", "a", *SPAN, "--reason", "x", "--by", "P-0014", "--approved-by", "P-NO"), 2),
    ],
)
def test_words_that_do_nothing(lapel: Lapel, heard: Path, words: tuple[str, ...], code: int) -> None:
    """Exit codes as everywhere, nothing on record."""
    before = (heard / "evidence/log/checkpoint").read_text()
    assert lapel("history", *words, "--data", heard).code == code
    assert (heard / "evidence/log/checkpoint").read_text() == before
