"""An export end to end: stock tools pass it, and any change of it fails one of the printed steps."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence_half import records_at
from tests.api.site import noise
from tests.cli.bagged import WORDS, sealed_again, steps, stock
from tests.cli.conftest import Lapel, outside
from tests.peers import package

FILM = noise(200_000)


@pytest.fixture(scope="module")
def home(pattern: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """store, bag of both exhibits, trust.txt."""
    home = tmp_path_factory.mktemp("export")
    store = home / "store"
    shutil.copytree(pattern, store)
    with records_at(store / "evidence", store / "keys") as opened:
        ids = [row.id for row in opened.catalogue.exhibits()[0:]]
        for number in range(6):
            detail = {"what": "content", "purpose": f'=HYPERLINK("{number}")'}
            opened.custody.record_now(Act("view", "=cmd|' /C calc'!A0", ExhibitId(ids[0]), detail=detail))
    done = outside("evidence", "export", *ids, "-o", home / "bag", *WORDS, "--own-time", "--data", store, "--json")
    assert done.code == 0, done.err
    assert done.json["exhibits"] == ids
    (home / "trust.txt").write_text(outside("trust", "print", "--own-time", "--data", store).out)
    return home


@pytest.fixture
def bag(home: Path, tmp_path: Path) -> Path:
    """A copy of the bag, to be changed."""
    shutil.copytree(home / "bag", tmp_path / "bag")
    return tmp_path / "bag"


def _chain(bag: Path) -> Path:
    """The custody of the exhibit with the most acts."""
    return max(bag.glob("data/*/custody.jsonl"), key=lambda path: path.stat().st_size)


def test_stock_tools_pass_it(home: Path) -> None:
    """Every printed step, in an empty environment; the lines of step 1 are those that were published."""
    code, said = stock(home / "bag", steps(home / "bag"))
    assert (code, "PASSED: 2 exhibits of export E-" in said) == (0, True), said
    for line in (home / "trust.txt").read_text().splitlines():
        assert line.removesuffix(" self-asserted") in said
    masters = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (home / "bag").glob("data/*/master.*")}
    assert hashlib.sha256(FILM).hexdigest() in masters


def test_bagit_passes_it(home: Path, bag: Path) -> None:
    """The Library of Congress's own validator takes it, and refuses a changed copy."""
    package("bagit")

    def validated(folder: Path) -> int:
        return subprocess.run([sys.executable, "-m", "bagit", "--validate", folder], capture_output=True).returncode

    assert validated(home / "bag") == 0
    _chain(bag).write_bytes(b"")
    assert validated(bag) != 0


def test_our_verifier_wants_the_published_lines(home: Path, lapel: Lapel, tmp_path: Path) -> None:
    """With them 0, without them 1 and said so, with somebody else's 3."""
    good = lapel("verify-export", home / "bag", "--trust", home / "trust.txt")
    assert (good.code, good.err) == (0, "")
    alone = lapel("verify-export", home / "bag")
    assert (alone.code, "CONSISTENT, ORIGIN NOT CHECKED" in alone.out) == (1, True)
    other = (home / "trust.txt").read_text().replace("sha256:", "sha256:0000").splitlines()
    (tmp_path / "other").write_text("\n".join(line[: line.find("sha256:") + 71] for line in other if "sha256" in line))
    assert lapel("verify-export", home / "bag", "--trust", tmp_path / "other").code == 3
    (tmp_path / "none").write_text("signing-certificate sha256:xyz\n")
    assert lapel("verify-export", home / "bag", "--trust", tmp_path / "none").code == 2


def test_any_flipped_byte_fails(home: Path, bag: Path, lapel: Lapel) -> None:
    """In every file but the token: a printed step fails, and so does our verifier."""
    script, chance = steps(home / "bag"), random.Random(7)
    for path in sorted(each for each in bag.rglob("*") if each.is_file() and each.suffix != ".tsr"):
        whole = path.read_bytes()
        for at in {0, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(2))}:
            path.write_bytes(whole[:at] + bytes((whole[at] ^ 1 << chance.randrange(8),)) + whole[at + 1 :])
            assert stock(bag, script)[0] != 0, (path.name, at)
            assert lapel("verify-export", bag, "--trust", home / "trust.txt").code == 3, (path.name, at)
        path.write_bytes(whole)
    assert stock(bag, script)[0] == 0


def test_a_flipped_byte_of_the_token_fails_or_changes_nothing(home: Path, bag: Path) -> None:
    """Imprint, time and serial number stay as they are wherever openssl still takes it."""
    path = bag / "tagmanifest-sha256.txt.p7s.tsr"
    whole, chance, refused = path.read_bytes(), random.Random(8), 0

    def told() -> list[str]:
        done = subprocess.run(["openssl", "ts", "-reply", "-in", path, "-text"], capture_output=True, text=True)
        return [line for line in done.stdout.splitlines() if line.startswith(("Time stamp", "Serial", "    00"))]

    before = told()
    assert len(before) >= 4
    verify = ["openssl", "ts", "-verify", "-data", bag / "tagmanifest-sha256.txt.p7s", "-in", path]
    verify += ["-CAfile", bag / "trust/timestamp.pem"]
    for at in chance.sample(range(len(whole)), 60):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 1 << chance.randrange(8),)) + whole[at + 1 :])
        if subprocess.run(verify, capture_output=True).returncode != 0:
            refused += 1
        else:
            assert told() == before, at
    assert refused > 40


def _reworded(lines: list[str]) -> list[str]:
    line = json.loads(lines[2])
    detail = json.loads(base64.b64decode(line["detail"]))
    line["detail"] = base64.b64encode(json.dumps({**detail, "actor": "nobody"}).encode()).decode()
    return [*lines[:2], json.dumps(line, separators=(",", ":"), sort_keys=True), *lines[3:]]


@pytest.mark.parametrize(
    "change",
    [
        _reworded,
        lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
        lambda lines: [*lines[:3], *lines[4:]],
        lambda lines: lines[:-5],
        lambda lines: [*lines[:-5], lines[-1]],
        lambda lines: [*lines, lines[-1]],
    ],
    ids=["reworded", "reordered", "deleted", "last-five", "all-but-the-last-of-five", "twice"],
)
def test_not_even_the_operator_changes_custody(
    home: Path, bag: Path, lapel: Lapel, change: Callable[[list[str]], list[str]]
) -> None:
    """Signed and stamped anew with the store's own keys, the log still says otherwise."""
    path = _chain(bag)
    path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))
    assert "a file differs" in stock(bag, steps(bag))[1]
    sealed_again(bag, home / "store/keys")
    code, said = stock(bag, steps(bag))
    assert (code, "FAILED: X-" in said) == (3, True), said
    assert lapel("verify-export", bag, "--trust", home / "trust.txt").code == 3


def test_an_insider_who_changes_nothing_passes(home: Path, bag: Path) -> None:
    """The control of the test before: signing anew is not what fails."""
    sealed_again(bag, home / "store/keys")
    assert stock(bag, steps(bag))[0] == 0


def test_files_added_or_taken_away_are_noticed(home: Path, bag: Path, lapel: Lapel) -> None:
    """What no manifest names does not belong there."""
    (bag / "data/note.txt").write_text("x")
    assert "were added" in stock(bag, steps(bag))[1]
    assert lapel("verify-export", bag, "--trust", home / "trust.txt").code == 3
    (bag / "data/note.txt").unlink()
    (bag / "tagmanifest-sha256.txt.p7s.tsr").unlink()
    assert stock(bag, steps(home / "bag"))[0] != 0
    assert lapel("verify-export", bag, "--trust", home / "trust.txt").code == 3


def test_the_reading_copy_has_no_formula(home: Path) -> None:
    """An actor that a spreadsheet would run is text there, and as it was in custody.jsonl."""
    rows = list(csv.reader(_chain(home / "bag").with_name("custody.csv").open(newline="")))
    assert rows[0][:5] == ["n", "index", "at", "kind", "actor"]
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert "'=cmd|' /C calc'!A0" in {row[4] for row in rows}


def test_what_it_says_of_itself(home: Path) -> None:
    """Each proof has its label; purpose, recipient and legal gateway stand in the papers and in custody."""
    bag = home / "bag"
    manifest = json.loads(_chain(bag).with_name("manifest.json").read_text())
    labels = {proof["what"]: proof["label"] for proof in manifest["proofs"]}
    assert labels == {
        "device signature": "none",
        "log": "self-asserted",
        "signature": "self-asserted",
        "time-stamp": "self-asserted",
    }
    assert (manifest["recipient"], manifest["legal_gateway"]) == ("CPS East", "CPIA 1996")
    last = json.loads(_chain(bag).read_text().splitlines()[-1])
    detail = json.loads(base64.b64decode(last["detail"]))
    assert (detail["purpose"], detail["recipient"]) == ("trial R v X", "CPS East")
    assert b"CPS" not in base64.b64decode(last["leaf"])
    record = json.loads((bag / "fault-record.json").read_text())
    assert {"versions", "starts", "quarantined", "not_recorded", "log_entries"} <= record.keys()
    assert outside("fault-record", "--from", "2026-01-01T00:00:00Z", "--data", home / "store").json["v"] == 1


def test_the_store_verifies_afterwards(home: Path, lapel: Lapel) -> None:
    """An export is acts like any others."""
    assert lapel("evidence", "verify", "--all", "--data", home / "store").code == 0


def test_encrypted_to_a_recipient(store: Path, lapel: Lapel, tmp_path: Path) -> None:
    """Stock age and tar give the bag back; nothing in clear stays behind."""
    subprocess.run(["age-keygen", "-o", tmp_path / "key"], check=True, capture_output=True)
    recipient = subprocess.run(["age-keygen", "-y", tmp_path / "key"], capture_output=True, text=True).stdout.strip()
    (row, *_) = lapel("evidence", "list", "--data", store, "--json").json["exhibits"]
    out = tmp_path / "out"
    out.mkdir()
    words = ("evidence", "export", row["id"], "-o", out / "bag", *WORDS, "--to-age", recipient, "--data", store)
    assert lapel(*words).code == 0
    assert [path.name for path in out.iterdir()] == ["bag.tar.age"]
    command = f"age -d -i {tmp_path}/key {out}/bag.tar.age | tar -x -C {tmp_path}"
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True)
    code, said = stock(tmp_path / "bag", steps(tmp_path / "bag"))
    assert (code, "no time-stamp" in said) == (0, True), said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("X-NONE",), 1, "X-NONE: there is no such exhibit"),
        (("{id}", "{id}"), 2, "named twice"),
        (("{id}", "--purpose", " "), 2, "purpose: say it"),
        (("{id}", "--to-age", "age1nothing"), 2, "to_age"),
        (("{id}", "-o", "{here}"), 1, "is there already"),
        (("{id}", "-o", "/nowhere/bag"), 2, "there is no such folder"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_recorded(
    store: Path, lapel: Lapel, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    """A clear word, the right exit code, nothing in custody, nothing on disk."""
    row = lapel("evidence", "list", "--data", store, "--json").json["exhibits"][0]["id"]
    (tmp_path / "here").mkdir()
    filled = [word.format(id=row, here=tmp_path / "here") for word in words]
    done = lapel("evidence", "export", "-o", tmp_path / "bag", *WORDS, "--data", store, *filled)
    assert (done.code, said in done.err) == (code, True), done.err
    shown = lapel("evidence", "show", row, "--data", store, "--json").json
    assert "export" not in [each["kind"] for each in shown["custody"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "store"]
