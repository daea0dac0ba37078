"""The keys of the journal (journal/keys.db): by day and slot, each one owner's (ChaCha20-Poly1305)."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.evidence.verify.report import Report, shown
from gateway.evidence.verify.sqlite import rows, snapshot
from gateway.evidence.verify.unwrap import open_sealed, read_keks

KEYS = "journal/keys.db"


class JournalKeys:
    """Every key that is left, opened."""

    def __init__(self, ciphers: dict[tuple[str, bytes], ChaCha20Poly1305]) -> None:
        self._ciphers = ciphers

    def open(self, day: str, slot: bytes, nonce: bytes, sealed: bytes, leaf: bytes) -> bytes | None:
        """The content of a frame; None where its key is gone or it does not open."""
        cipher = self._ciphers.get((day, slot))
        try:
            return None if cipher is None else cipher.decrypt(nonce, sealed, leaf)
        except (InvalidTag, ValueError):
            return None


def read_journal_keys(journal: Path, keys: Path, report: Report) -> JournalKeys:
    """Take the wrapped keys of the journal and open them; each that does not open is a difference."""
    keks = read_keks(keys, report)
    ciphers: dict[tuple[str, bytes], ChaCha20Poly1305] = {}
    with report.collecting(), snapshot(journal / "keys.db", KEYS) as copy:
        for row in rows(copy, "wrapped", ("name", "kek", "sealed"), KEYS):
            name, kek, sealed = row["name"], row["kek"], row["sealed"]
            place = _place(name)
            secret = open_sealed(keks[kek], name, sealed) if kek in keks and isinstance(sealed, bytes) else None
            if place is None or secret is None or len(secret) < 32:
                report.differs(f"{KEYS} {shown(name)}", "a key of the journal that its KEK opens", "none")
                continue
            ciphers[place] = ChaCha20Poly1305(secret[:32])
    return JournalKeys(ciphers)


def _place(name: object) -> tuple[str, bytes] | None:
    parts = name.split("/") if isinstance(name, str) else []
    if len(parts) != 3 or parts[0] != "journal":
        return None
    try:
        return parts[1], bytes.fromhex(parts[2])
    except ValueError:
        return None
