"""Times as text, fast: positions by the thousand share their seconds. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=4096)
def _second(epoch_s: int) -> str:
    """Print one whole second without its zone."""
    return datetime.fromtimestamp(epoch_s, UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def time_text(epoch_s: float) -> str:
    """RFC 3339 UTC with Z, milliseconds only where there are any."""
    second, milli = divmod(round(epoch_s * 1000), 1000)
    return f"{_second(second)}.{milli:03d}Z" if milli else f"{_second(second)}Z"
