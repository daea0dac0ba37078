"""Rotations of the log's key, checked by code that did not make them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.crypto.notes import VerifierKey, parse_note, parse_vkey, sign_note
from gateway.evidence.log.rotation import Rotation
from gateway.evidence.verify.proof import prove
from gateway.evidence.verify.rotations import parse_rotation
from gateway.evidence.verify.store import verify_log, verify_store
from gateway.evidence.verify.trust import trust
from tests.evidence.log.lab import FaultyDisk, Lab, act
from tests.evidence.log.test_rotation import attempt, rotated
from tests.evidence.log.witness_lab import LOG_SIGNER, WITNESS_SIGNER


class Turned:
    """A log of nine entries under three keys; the checkpoint at three entries was cosigned."""

    def __init__(self, folder: Path) -> None:
        self.lab = Lab(folder / "store")
        self.log = self.lab.evidence / "log"
        self._grow(3)
        (self.log / "cosigned").write_text((self.log / "checkpoint").read_text())
        self.first, self.second = rotated(self.lab)
        self._grow(2)
        _, self.third = rotated(self.lab)
        self._grow(2)

    def _grow(self, count: int) -> None:
        with self.lab.opened() as custody:
            for number in range(count):
                custody.record_now(act(number))

    def findings(self, vkey: VerifierKey | None = None) -> list[str]:
        """What differs, by path."""
        report = verify_log(self.lab.evidence, None, trust(None if vkey is None else str(vkey), ()))
        return [finding.path for finding in report.findings]


@pytest.fixture
def turned(tmp_path: Path) -> Turned:
    """A log that was rotated twice."""
    return Turned(tmp_path)


def test_from_any_pinned_key(turned: Turned) -> None:
    """The first key, the one between, the present one: each leads there; another's does not."""
    for key in (None, turned.first, turned.second, turned.third):
        assert turned.findings(key) == []
    report = verify_log(turned.lab.evidence, None, trust(str(turned.first), ()))
    assert report.counts["rotations"] == 2
    assert any("was rotated, by its own signature" in note for note in report.notes)
    assert turned.findings(VerifierKey("lapel.test/log", LOG_SIGNER.public)) == ["log/log.vkey"]


def test_the_whole_store(turned: Turned) -> None:
    """With the private keys: the one that counts is among them; a proof is made under it."""
    keys = turned.lab.directory / "keys"
    report = verify_store(turned.lab.evidence, keys)
    assert report.ok, report.findings
    assert prove(turned.lab.evidence, 2).text.endswith((turned.log / "checkpoint").read_text())
    (keys / "log-3.key").unlink()
    assert [each.path for each in verify_store(turned.lab.evidence, keys).findings] == ["keys/log.key"]


def test_the_chain_is_that_of_the_entries(turned: Turned) -> None:
    """Without its file, one line short, in another order, with a line of somebody else's, damaged: named."""
    path = turned.log / "keys.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    other = VerifierKey("lapel.test/log", LOG_SIGNER.public)
    forged = Rotation(other, VerifierKey("lapel.test/log", WITNESS_SIGNER.public), 9, bytes(32))
    more = json.dumps({"v": 1, "note": forged.sign(LOG_SIGNER, WITNESS_SIGNER)}).encode() + b"\n"
    for content in (b"", lines[0], lines[1], lines[1] + lines[0], whole + more, whole[:-1], b"{}\n", b"[" * 9):
        path.write_bytes(content)
        assert any("keys.jsonl" in each or "cosigned" in each for each in turned.findings()), content
    path.unlink()
    assert "log/keys.jsonl" in turned.findings()
    path.write_bytes(whole)
    assert turned.findings() == []


def test_any_flipped_byte(turned: Turned) -> None:
    """Of the chain, whichever byte: something differs."""
    path = turned.log / "keys.jsonl"
    whole = path.read_bytes()
    for at in range(0, len(whole), 31):
        path.write_bytes(bytes([*whole[:at], whole[at] ^ 1, *whole[at + 1 :]]))
        assert turned.findings(), at


def test_an_old_key_signs_no_more(turned: Turned) -> None:
    """The checkpoint or the cosigned one, signed anew by the first key alone: refused beyond what it handed over."""
    signer = turned.lab.keystore.log_keys.of(turned.first.public)
    assert signer is not None
    for name in ("checkpoint", "cosigned"):
        path = turned.log / name
        whole = (turned.log / "checkpoint").read_text()
        path.write_text(sign_note(parse_note(whole.encode()).text, turned.first.name, signer))
        assert f"log/{name}" in turned.findings()
        path.write_text(whole)
    assert turned.findings() == []


def test_a_rotation_that_was_not_finished(tmp_path: Path) -> None:
    """A crash at any step: the verifier finds nothing wrong, whatever key is pinned; it says what to do."""
    count = FaultyDisk()
    lab = Lab(tmp_path / "count")
    assert attempt(lab, count)
    lab.close()
    said = set()
    for at in range(count.count):
        lab = Lab(tmp_path / str(at))
        with lab.opened() as log:
            log.record_now(act(0))
            vkey = log.vkey
        attempt(lab, FaultyDisk(at))
        report = verify_log(lab.evidence, None, trust(vkey, ()))
        assert report.ok, (at, report.findings)
        said |= {note for note in report.notes if "not finished" in note}
        lab.close()
    assert len(said) == 1


def test_a_statement_that_is_none() -> None:
    """Signed by one key only, of two origins, of one key twice: refused."""
    keys = [VerifierKey("a.test/log", each.public) for each in (LOG_SIGNER, WITNESS_SIGNER)]
    good = Rotation(keys[0], keys[1], 3, bytes(32))
    note = good.sign(LOG_SIGNER, WITNESS_SIGNER)
    assert parse_rotation(note, "x").size == 3
    bad = [
        sign_note(good.text, "a.test/log", LOG_SIGNER),
        sign_note(good.text, "a.test/log", WITNESS_SIGNER),
        Rotation(keys[0], keys[0], 3, bytes(32)).sign(LOG_SIGNER, LOG_SIGNER),
        Rotation(keys[0], VerifierKey("b.test/log", keys[1].public), 3, bytes(32)).sign(LOG_SIGNER, WITNESS_SIGNER),
        sign_note(good.text.replace("ends", "stays"), "a.test/log", LOG_SIGNER),
        sign_note(good.text.replace("size 3", "size 03"), "a.test/log", LOG_SIGNER),
        sign_note("something\n", "a.test/log", LOG_SIGNER),
        "",
    ]
    for each in bad:
        with pytest.raises(Exception, match="x: ") as caught:
            parse_rotation(each, "x")
        assert type(caught.value).__name__ == "VerificationError"
    assert parse_vkey(str(keys[0])) == keys[0]
