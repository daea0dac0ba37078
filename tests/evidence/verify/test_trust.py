"""Pinned keys and cosignatures, checked by the verifier against what somebody else's code wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.cli.evidence_verify import verify
from gateway.cli.log import log
from gateway.crypto.cosignatures import WitnessKey, cosign
from gateway.crypto.keys import LogSigner
from gateway.crypto.notes import VerifierKey, parse_note
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.verify.store import verify_log
from gateway.evidence.verify.trust import trust
from tests.evidence.log.lab import Lab, act

ONE, TWO = (LogSigner(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)) for number in (1, 2))
KEY_ONE, KEY_TWO = WitnessKey("w.test/1", ONE.public), WitnessKey("w.test/2", TWO.public)


class Served:
    """A log of seven entries, cosigned by one witness at five."""

    def __init__(self, folder: Path) -> None:
        self.lab = Lab(folder / "store")
        self.root, self.log = self.lab.directory, self.lab.evidence / "log"
        with self.lab.opened() as custody:
            for number in range(5):
                custody.record_now(act(number))
            self.five = custody.checkpoint_text
            self.cosign(self.five)
            for number in range(2):
                custody.record_now(act(number))
            self.vkey = custody.vkey

    def cosign(self, note: str, time_s: int = 1_700_000_000) -> None:
        """Put a cosigned checkpoint there."""
        text = parse_note(note.encode()).text
        (self.log / "cosigned").write_text(note + cosign(text, KEY_ONE.name, ONE, time_s))

    def findings(self, vkey: str | None = None, *witnesses: object) -> list[str]:
        """What differs, by path."""
        report = verify_log(self.lab.evidence, None, trust(vkey, map(str, witnesses)))
        return [finding.path for finding in report.findings]


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """A log with a cosigned checkpoint."""
    return Served(tmp_path)


def test_good(served: Served) -> None:
    """The pinned key and the witness that did cosign: nothing differs, and it is said when."""
    report = verify_log(served.lab.evidence, None, trust(served.vkey, [str(KEY_ONE)]))
    assert report.ok, report.findings
    assert report.counts["cosigned_entries"] == 5
    assert "w.test/1 cosigned the first 5 entries at 2023-11-14T22:13:20+00:00" in report.notes


def test_what_is_not_trusted_is_found(served: Served) -> None:
    """Another pinned key; a witness that did not cosign; one of the same name with another key."""
    other = VerifierKey("lapel.test/log", TWO.public)
    assert served.findings(str(other)) == ["log/log.vkey"]
    assert served.findings(str(VerifierKey("other.test/log", ONE.public))) == ["log/log.vkey"]
    assert served.findings(served.vkey, KEY_ONE, KEY_TWO) == ["log/cosigned"]
    assert served.findings(None, WitnessKey(KEY_ONE.name, TWO.public)) == ["log/cosigned"]
    (served.log / "cosigned").unlink()
    assert served.findings() == []
    assert served.findings(None, KEY_ONE) == ["log/cosigned"]


def test_a_log_that_is_not_what_was_cosigned(served: Served) -> None:
    """Another root at that size, or fewer entries than that: found without anybody's key."""
    signer = served.lab.keystore.log_signer
    served.cosign(Checkpoint("lapel.test/log", 5, b"x" * 32).sign(signer))
    assert served.findings() == ["log/cosigned"]
    served.cosign(Checkpoint("lapel.test/log", 8, b"x" * 32).sign(signer))
    assert served.findings() == ["log/checkpoint"]
    (served.log / "cosigned").write_text(served.five.replace("\n5\n", "\n6\n"))
    assert served.findings() == ["log/cosigned"]


def test_a_halted_log_is_found(served: Served) -> None:
    """The checkpoint that halted it is larger, or of another root; one that it extends is only a note."""
    signer = served.lab.keystore.log_signer
    for size, path in ((9, "log/checkpoint"), (6, "log/halted")):
        note = Checkpoint("lapel.test/log", size, b"x" * 32).sign(signer)
        (served.log / "halted").write_text(json.dumps({"v": 1, "problem": "p", "witness": "w", "checkpoint": note}))
        assert served.findings() == [path]
    (served.log / "halted").write_text(json.dumps({"v": 1, "problem": "p", "witness": "w", "checkpoint": served.five}))
    assert served.findings() == []
    for text in ("[]", "{}", "nonsense", '{"checkpoint": "x"}'):
        (served.log / "halted").write_text(text)
        assert served.findings() == ["log/halted"]


def test_any_flipped_byte_of_a_cosignature(served: Served) -> None:
    """Whichever byte of the file: the check with this witness's key fails."""
    path = served.log / "cosigned"
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(bytes([*whole[:at], whole[at] ^ 1, *whole[at + 1 :]]))
        assert served.findings(served.vkey, KEY_ONE) != [], at


def test_the_commands(served: Served) -> None:
    """Exit 0, 3 and 2; both commands take the keys."""
    runner = CliRunner()
    for command, words in ((log, ["verify"]), (verify, [])):
        asked = [*words, "--data", str(served.root), "--vkey", served.vkey, "--witness"]
        good = runner.invoke(command, [*asked, str(KEY_ONE), "--json"])
        assert (good.exit_code, json.loads(good.stdout)["ok"]) == (0, True), good.output
        assert runner.invoke(command, [*asked, str(KEY_TWO)]).exit_code == 3
        for bad in ("nonsense", served.vkey, f"{KEY_ONE.name}+00000000+{str(KEY_ONE).split('+', 2)[2]}", "a+00000000+"):
            wrong = runner.invoke(command, [*asked, bad])
            assert (wrong.exit_code, "--witness" in wrong.stderr) == (2, True), wrong.output
