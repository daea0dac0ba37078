"""Names of backups."""

from __future__ import annotations

import secrets
from datetime import datetime

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def backup_id(at: datetime, letter: str = "B") -> str:
    """A new id: `B-` (keys: `K-`), seven letters of time in seconds, five at random (Crockford base32)."""
    number = (int(at.timestamp()) << 25 | secrets.randbits(25)) & ((1 << 60) - 1)
    return f"{letter}-" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(55, -1, -5))
