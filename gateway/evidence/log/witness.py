"""A witness: cosigns a log's checkpoint only where it extends the last one it cosigned, and never forgets that one.

State directory: `witness.vkey`, `logs/<log id>.note` (the last checkpoint cosigned, with the cosignature),
`logs/<log id>.keys` (rotations of the log's key that were followed), and
`refused/<log id>/<kind>-<hash>.json` (what was refused, both signed checkpoints in it). Each file is replaced whole
and synced before anything is answered.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path

import structlog

from gateway.crypto.canonical import canonical
from gateway.crypto.cosignatures import WitnessKey, cosign, cosigned_at
from gateway.crypto.notes import Signer, VerifierKey, parse_note, verify_note
from gateway.domain.time import rfc3339
from gateway.errors import ConfigError, IntegrityError
from gateway.evidence.log.add_checkpoint import (
    KEPT,
    SIZE_MEDIA,
    STATUS,
    Refusal,
    Submission,
    judge,
    log_id,
    parse_submission,
)
from gateway.evidence.log.checkpoint import Checkpoint, parse_checkpoint
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.rotation import Rotation, carried_in, open_rotation
from gateway.ports import Clock, WitnessAnswer

KEPT_MAX = 256
Pinned = Mapping[str, tuple[VerifierKey, ...]]
TEXT = "text/plain"
_log = structlog.get_logger()


class Witness:
    """One witness; every call may block, from any thread. Which logs it knows is pinned by their verifier keys."""

    def __init__(
        self,
        key: tuple[str, Signer],
        logs: Mapping[str, tuple[VerifierKey, ...]],
        state: Path,
        clock: Clock,
        disk: Disk,
    ) -> None:
        self._name, self._signer = key
        self.key = WitnessKey(self._name, self._signer.public)
        self._logs, self._state, self._clock, self._disk = dict(logs), state, clock, disk
        self._turns = {origin: threading.Lock() for origin in logs}
        self._names = {log_id(origin): origin for origin in logs}
        self.counts = {"cosigned": 0, "refused": 0, "kept_as_proof": 0, "rotated": 0}

    def open(self) -> None:
        """Bind the state to the key, and read what was cosigned last of every log; ConfigError, IntegrityError."""
        mine = self._state / "witness.vkey"
        if not mine.exists():
            if (self._state / "logs").exists():
                raise ConfigError("state", "witness.vkey is missing, but there is a state", str(self._state))
            self._disk.replace(mine, f"{self.key}\n".encode())
        elif mine.read_text("utf-8").strip() != str(self.key):
            raise ConfigError("key", "the state belongs to another witness's name or key", str(mine))
        for origin in self._logs:
            self._known(origin)
            self._recall_rotations(origin)

    def add(self, raw: bytes) -> WitnessAnswer:
        """Answer an add-checkpoint request (c2sp.org/tlog-witness)."""
        try:
            asked = parse_submission(raw)
            head = parse_checkpoint(parse_note(asked.note.encode()).text)
        except ValueError as problem:
            return _said(400, str(problem))
        if head.origin not in self._logs:
            return _said(404, "this witness does not know that log")
        with self._turns[head.origin]:
            self._hear_rotations(head.origin, asked.note)
            if not any(_signed(asked.note, key) for key in self._logs[head.origin]):
                return _said(403, "no signature of a key that this witness trusts for the log")
            return self._judged(asked, head)

    def latest(self, name: str) -> str | None:
        """The last cosigned checkpoint of the log with this id, with its cosignature; None where there is none."""
        origin = self._names.get(name)
        known = self._known(origin) if origin is not None else None
        return known[1] if known is not None else None

    def _hear_rotations(self, origin: str, note: str) -> None:
        """Follow the log to a new key, where the one that is trusted says so: durable first; the old one ends here."""
        heard = _rotations(note)
        known = self._known(origin) if heard else None
        for text, rotation in heard:
            if rotation.old not in self._logs[origin] or (known is not None and known[0].size > rotation.size + 1):
                continue  # the old key has signed more than it hands over
            path = self._rotated(origin)
            before = path.read_bytes() if path.exists() else b""
            self._disk.replace(path, before + canonical({"v": 1, "note": text}) + b"\n")
            self._logs[origin] = _led(self._logs[origin], rotation)
            self.counts["rotated"] += 1
            _log.warning("log_key_rotated", origin=origin, old=str(rotation.old), new=str(rotation.new))

    def _recall_rotations(self, origin: str) -> None:
        """The keys that were followed to before; IntegrityError where the file is not what was written."""
        path = self._rotated(origin)
        if not path.exists():
            return
        try:
            for line in path.read_bytes().splitlines():
                self._logs[origin] = _led(self._logs[origin], open_rotation(str(json.loads(line)["note"])))
        except (ValueError, KeyError, TypeError) as problem:
            raise IntegrityError(f"{path}: {problem}") from problem

    def _rotated(self, origin: str) -> Path:
        return self._state / "logs" / f"{log_id(origin)}.keys"

    def _judged(self, asked: Submission, head: Checkpoint) -> WitnessAnswer:
        known = self._known(head.origin)
        refusal = judge(asked, head, None if known is None else known[0])
        if refusal is None:
            return self._cosigned(asked, head)
        self.counts["refused"] += 1
        if refusal in KEPT:
            self._keep(refusal, asked, head, "" if known is None else known[1])
        if STATUS[refusal] == 409:
            size = 0 if known is None else known[0].size
            return WitnessAnswer(409, f"{size}\n".encode(), SIZE_MEDIA)
        return _said(STATUS[refusal], str(refusal))

    def _cosigned(self, asked: Submission, head: Checkpoint) -> WitnessAnswer:
        """Durable first, then said."""
        line = cosign(head.text, self._name, self._signer, int(self._clock.now().utc.timestamp()))
        own = [each for each in asked.note[len(head.text) + 1 :].split("\n") if each.startswith(f"— {head.origin} ")]
        kept = "".join(f"{each}\n" for each in own)
        self._disk.replace(self._path(head.origin), f"{head.text}\n{kept}{line}".encode())
        self.counts["cosigned"] += 1
        return WitnessAnswer(200, line.encode(), TEXT)

    def _keep(self, refusal: Refusal, asked: Submission, head: Checkpoint, known: str) -> None:
        """Keep what the log signed against itself, and say so loudly; the same again changes nothing.

        Only a fork needs the log's key to make, so only forks are kept without limit: anybody can
        send an old checkpoint again, or a true one with a false proof.
        """
        kind = refusal.name.lower()
        _log.critical("log_refused", kind=kind, origin=head.origin, size=head.size, why=str(refusal))
        folder = self._state / "refused" / log_id(head.origin)
        path = folder / f"{kind}-{hashlib.sha256(head.text.encode()).hexdigest()[:32]}.json"
        others = len(list(folder.glob(f"{kind}-*.json"))) if folder.is_dir() else 0
        if path.exists() or (others >= KEPT_MAX and refusal is not Refusal.FORK):
            return
        told = {"v": 1, "kind": kind, "at": rfc3339(self._clock.now().utc), "origin": head.origin, "old": asked.old}
        proof = {"cosigned": known, "offered": asked.note, "path": [step.hex() for step in asked.path]}
        self._disk.replace(path, canonical({**told, **proof}))
        self.counts["kept_as_proof"] += 1

    def _known(self, origin: str) -> tuple[Checkpoint, str] | None:
        """What was cosigned last; IntegrityError where the file is not what was written."""
        path = self._path(origin)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            note = parse_note(raw)
            cosigned_at(note, self.key)
            found = parse_checkpoint(note.text)
        except ValueError as problem:
            raise IntegrityError(f"{path}: {problem}") from problem
        if found.origin != origin:
            raise IntegrityError(f"{path}: a checkpoint of {found.origin!r}")
        return found, raw.decode()

    def _path(self, origin: str) -> Path:
        return self._state / "logs" / f"{log_id(origin)}.note"


def _signed(note: str, key: VerifierKey) -> bool:
    try:
        verify_note(note.encode(), key)
    except ValueError:
        return False
    return True


def _rotations(note: str) -> list[tuple[str, Rotation]]:
    """The statements that a submission carries, as far as they are right."""
    found = []
    for text in carried_in(note):
        with contextlib.suppress(ValueError):
            found.append((text, open_rotation(text)))
    return found


def _led(keys: tuple[VerifierKey, ...], rotation: Rotation) -> tuple[VerifierKey, ...]:
    """The keys trusted after a rotation by one of them."""
    if rotation.old not in keys:
        return keys
    return (*(key for key in keys if key not in (rotation.old, rotation.new)), rotation.new)


def _said(status: int, words: str) -> WitnessAnswer:
    return WitnessAnswer(status, f"{words}\n".encode(), TEXT)
