"""A camera that is asked for what its gateway lost: what it offers again, and whom it believes."""

from __future__ import annotations

import json
from pathlib import Path

from firmware_stubs.footage import Footage
from firmware_stubs.phrases import offer_payload
from firmware_stubs.proof import VerifierKey
from firmware_stubs.recall import recalled, successor_key
from gateway.crypto.keys import signing_key
from gateway.crypto.notes import VerifierKey as LogKey

PROOF = "c2sp.org/tlog-proof@v1\nindex {}\n\na.test/log\n9\nAAAA\n"


def footage(folder: Path, index: int | None) -> Footage:
    """A recording with the receipt of that index; None: it has none yet."""
    file = folder / f"rec-{index}.mp4"
    file.write_bytes(b"film")
    made = Footage.made(file, "cam-1", file.stem, ("2026-11-21T21:00:00Z", "2026-11-21T21:01:00Z"), folder / "state")
    if index is not None:
        receipt = {"exhibit": "X-1", "log_index": index, "entry": "AAAA", "proof": PROOF.format(index), "copies": 1}
        made.memory.receipt = {**receipt, "keep_until": "2026-11-23T00:00:00Z"}
        made.memory.exhibit = "X-1"
    return made


def test_only_what_is_missing_is_offered_again(tmp_path: Path) -> None:
    """By origin and index; what has no receipt is on its way already; the receipt goes with the offer."""
    held = [footage(tmp_path, index) for index in (2, 3, 4, 5, None)]
    asked = {
        "v": 1,
        "recall": [{"origin": "a.test/log", "missing": [[3, 5]]}, {"origin": "b.test/log", "missing": [[0, 9]]}],
    }
    again = recalled(asked, held)
    assert [each.recording.name for each in again] == ["rec-3", "rec-4"]
    assert again[0].memory.receipt is None
    assert not again[0].memory.ever
    told = json.loads(offer_payload(again[0].recording, shown=again[0].memory.shown))
    assert told["receipt"] == {"exhibit": "X-1", "log_index": 3, "entry": "AAAA", "proof": PROOF.format(3)}
    assert recalled(asked, held) == []
    again[0].keep()
    kept = Footage.made(
        again[0].path, "cam-1", "rec-3", ("2026-11-21T21:00:00Z", "2026-11-21T21:01:00Z"), tmp_path / "state"
    )
    assert kept.memory.shown == again[0].memory.shown


def test_nonsense_recalls_nothing(tmp_path: Path) -> None:
    """Whatever a message says that is none."""
    held = [footage(tmp_path, 3)]
    for nonsense in (
        None,
        5,
        "x",
        [],
        [5],
        [{}],
        [{"origin": "a.test/log"}],
        [{"origin": "a.test/log", "missing": [[3]]}],
    ):
        assert recalled({"recall": nonsense}, held) == []


def test_whom_it_believes(tmp_path: Path) -> None:
    """The pinned key itself under a later origin of the same log; no other key, no other log."""
    ours, other = (signing_key(tmp_path / f"{name}.key", create=True).public for name in ("a", "b"))
    pinned = VerifierKey.parse(str(LogKey("a.test/log", ours)))
    later = successor_key({"vkey": str(LogKey("a.test/log/g2", ours))}, pinned)
    assert later is not None
    assert later.name == "a.test/log/g2"
    again = successor_key({"vkey": str(LogKey("a.test/log/g3", ours))}, later)
    assert again is not None
    for wrong in (LogKey("a.test/log/g2", other), LogKey("b.test/log/g2", ours), LogKey("a.test/log/gx", ours), None):
        assert successor_key({"vkey": str(wrong)}, pinned) is None
