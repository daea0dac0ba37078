"""Origins of a log and of its successors: `<origin>`, `<origin>/g2`, and so on.

A witness knows a log by its origin and must refuse one that starts anew under it, so a successor has a new one; and
since everybody can see which log it succeeds, the configuration keeps naming the first.
"""

from __future__ import annotations

import re
from pathlib import Path

_SUCCESSOR = re.compile(r"(.+)/g([2-9]|[1-9][0-9]{1,5})")


def generation_of(origin: str) -> tuple[str, int]:
    """(first origin, which generation): 1 for a log that succeeds none."""
    found = _SUCCESSOR.fullmatch(origin)
    return (found[1], int(found[2])) if found else (origin, 1)


def successor_of(origin: str) -> str:
    """The origin of the next generation."""
    first, number = generation_of(origin)
    return f"{first}/g{number + 1}"


def origin_at(evidence: Path, configured: str) -> str:
    """The origin of the log that lies there, where it is the configured one or a successor; else as configured."""
    try:
        found = (evidence / "log" / "log.vkey").read_text("utf-8").split("+", 1)[0]
    except (OSError, UnicodeDecodeError):
        return configured
    return found if generation_of(found)[0] == configured else configured
