"""Exports made before and after keys were changed, against lines that were published before and after."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gateway.crypto.notes import parse_note, parse_vkey, sign_note
from gateway.evidence_half import records_at
from tests.cli.bagged import WORDS, sealed_again, steps, stock
from tests.cli.conftest import Lapel, outside

REASON = ("--reason", "yearly")


class Home:
    """A store, a bag and the published lines of each of three moments: at first, log rotated, certificates too."""

    def __init__(self, folder: Path, pattern: Path) -> None:
        self.folder, self.store = folder, folder / "store"
        shutil.copytree(pattern, self.store)
        self.make("first")
        assert outside("keys", "rotate", "log", *REASON, "--data", self.store).code == 0
        self.make("log")
        for what in ("export", "tsa"):
            assert outside("keys", "rotate", what, *REASON, "--data", self.store).code == 0
        self.make("both")

    def make(self, name: str) -> None:
        """Export and publish."""
        with records_at(self.store / "evidence", self.store / "keys") as opened:
            exhibit = opened.catalogue.exhibits()[0].id
        words = ("-o", self.folder / name, *WORDS, "--own-time", "--data", self.store)
        done = outside("evidence", "export", exhibit, *words)
        assert done.code == 0, done.err
        self.trust(name).write_text(outside("trust", "print", "--own-time", "--data", self.store).out)

    def trust(self, name: str) -> Path:
        """The lines published then."""
        return self.folder / f"{name}.txt"


@pytest.fixture(scope="module")
def home(pattern: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Made once."""
    return Home(tmp_path_factory.mktemp("rotated"), pattern)


@pytest.mark.parametrize("name", ["first", "log", "both"])
def test_stock_tools_pass_each(home: Home, name: str) -> None:
    """Also the statement of a rotation is checked by bash and openssl."""
    code, said = stock(home.folder / name, steps(home.folder / name))
    assert (code, "PASSED: 1 exhibits" in said) == (0, True), said
    assert ("rotated: old lapel.test/log+" in said) == (name != "first")


def test_each_against_each(home: Home, lapel: Lapel) -> None:
    """A former key is good for what was made then, and said so; a log's key is followed from the one before."""
    said = {}
    for bag in ("first", "log", "both"):
        for lines in ("first", "log", "both"):
            done = lapel("verify-export", home.folder / bag, "--trust", home.trust(lines))
            said[bag, lines] = (done.code, done.out + done.err)
    codes = {pair: code for pair, (code, _) in said.items()}
    assert codes == {pair: 3 if pair in {("both", "first"), ("both", "log")} else 0 for pair in said}
    assert "was rotated, by its own signature, to" in said["log", "first"][1]
    assert "trust/log.vkey" in said["first", "log"][1]
    assert "counted until" in said["first", "log"][1]
    assert "trust/signing.pem: " in said["log", "both"][1]
    assert "a certificate that was published" in said["both", "log"][1]
    assert "trust/log.vkey" not in said["both", "log"][1]
    assert "counted until" not in said["both", "both"][1]


def test_what_is_published(home: Home) -> None:
    """New and former with their spans; at first, none."""
    first, both = (home.trust(name).read_text().splitlines() for name in ("first", "both"))
    assert [line.split(" ")[0] for line in first] == ["log", "signing-certificate", "timestamp-certificate"]
    assert "since=" not in "".join(first)
    words = [line.split(" ")[0] for line in first]
    assert [line.split(" ")[0] for line in both] == [word for word in words for _ in "ab"]
    assert " since=2" in both[0]
    assert both[1].startswith(first[0])
    assert " until=2" in both[1]
    assert " size=" in both[1]
    assert both[3].startswith(first[1])
    assert both[5].startswith(first[2])
    assert (home.folder / "both/trust/published.txt").read_text().splitlines() == both


def test_a_changed_statement_fails(home: Home, tmp_path: Path, lapel: Lapel) -> None:
    """Another size, another key, one signature: both kinds of check find it in a bag that is otherwise whole."""
    whole = (home.folder / "both/trust/rotations.jsonl").read_text()
    note = json.loads(whole)["note"]
    shorter = note.rsplit("—", 1)[0]
    changes = [(note, 0), (note.replace("\nsize ", "\nsize 1"), 3), (shorter, 3), (note.replace("ends", "goes on"), 3)]
    for number, (changed, code) in enumerate(changes):
        bag = tmp_path / str(number)
        shutil.copytree(home.folder / "both", bag)
        line = json.dumps({"note": changed, "v": 1}, ensure_ascii=False, separators=(",", ":"))
        (bag / "trust/rotations.jsonl").write_text(line + "\n")
        sealed_again(bag, home.store / "keys")
        assert lapel("verify-export", bag, "--trust", home.trust("both")).code == code
        assert stock(bag, steps(bag))[0] == code


def test_the_old_key_beyond_what_it_handed_over(home: Home, tmp_path: Path, lapel: Lapel) -> None:
    """Whoever has the old private key makes a bag under it: refused, by its size, with any published lines."""
    bag = tmp_path / "bag"
    shutil.copytree(home.folder / "both", bag)
    old = parse_vkey(home.trust("first").read_text().split()[1])
    with records_at(home.store / "evidence", home.store / "keys") as opened:
        signer = opened.keystore.log_keys.of(old.public)
    assert signer is not None
    path = bag / "trust/checkpoint"
    before = path.read_text()
    forged = sign_note(parse_note(before.encode()).text, old.name, signer)
    path.write_text(forged)
    (bag / "trust/log.vkey").write_text(f"{old}\n")
    sealed_again(bag, home.store / "keys")
    for name in ("first", "both"):
        done = lapel("verify-export", bag, "--trust", home.trust(name))
        assert (done.code, "entries under a key that was rotated then" in done.err) == (3, True)
