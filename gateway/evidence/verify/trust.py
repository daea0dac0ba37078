"""What the one who verifies brings along: the log's key as published elsewhere, and keys of witnesses they trust."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify.cosignatures import cosigned_at, parse_witness
from gateway.evidence.verify.logfiles import COSIGNED, LogFiles
from gateway.evidence.verify.notes import Checkpoint, Vkey, parse_note, parse_vkey
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.rotations import follow
from gateway.evidence.verify.successor import first_origin

VKEY = "log/log.vkey"


class Trust(msgspec.Struct, frozen=True):
    """Pinned keys; without any, a log is only checked against itself."""

    vkey: Vkey | None = None
    witnesses: tuple[Vkey, ...] = ()

    def check(self, files: LogFiles, report: Report) -> None:
        """The key is the pinned one, the log extends what met its quorum, and each witness named did cosign that."""
        with report.collecting():
            self._check_key(files, report)
        cosigned: Checkpoint | None = None
        with report.collecting():
            cosigned = files.cosigned()
        with report.collecting():
            files.halted()
        if cosigned is not None:
            report.count("cosigned_entries", cosigned.size)
        for witness in self.witnesses:
            with report.collecting():
                report.note(_cosigned(cosigned, witness))

    def _check_key(self, files: LogFiles, report: Report) -> None:
        if self.vkey is None or files.vkey is None:
            return
        trusted = follow(files.rotations, self.vkey.public)
        if files.vkey.public not in trusted or first_origin(files.vkey.name) != first_origin(self.vkey.name):
            raise VerificationError(VKEY, f"the key {_shown(self.vkey)}, or one it was rotated to", _shown(files.vkey))
        if files.vkey.public != self.vkey.public:
            report.note(
                f"the pinned key {_shown(self.vkey)} was rotated, by its own signature, to {_shown(files.vkey)}"
            )
        elif files.vkey.name != self.vkey.name:
            report.note(f"{files.vkey.name} has the key that was pinned for {self.vkey.name}")


def trust(vkey: str | None, witnesses: Iterable[str]) -> Trust:
    """Read keys as somebody typed them; VerificationError says which is none."""
    pinned = parse_vkey(vkey.encode(), "--vkey") if vkey is not None else None
    return Trust(pinned, tuple(parse_witness(text, "--witness") for text in witnesses))


def _cosigned(cosigned: Checkpoint | None, witness: Vkey) -> str:
    if cosigned is None:
        raise VerificationError(COSIGNED, f"a checkpoint cosigned by {witness.name}", "none")
    time_s = cosigned_at(parse_note(cosigned.raw, COSIGNED), witness, COSIGNED)
    at = datetime.fromtimestamp(time_s, UTC).isoformat() if time_s < 1 << 36 else f"{time_s} s"
    return f"{witness.name} cosigned the first {cosigned.size} entries at {at}"


def _shown(vkey: Vkey) -> str:
    return f"{vkey.name}+{vkey.key_id.hex()}"
