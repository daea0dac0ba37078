"""Whether something keeps the host's clock, as its kernel says (adjtimex(2), read only)."""

from __future__ import annotations

import ctypes
import struct

from gateway.feed.status import ClockNote

BUFFER_BYTES = 512
TIME_ERROR = 5
STA_UNSYNC, STA_NANO = 0x0040, 0x2000
HEAD = struct.Struct("@Illlli")
"""The beginning of struct timex: modes, offset, freq, maxerror, esterror, status."""


def clock_note() -> ClockNote:
    """How the clock is now; nothing where this host has no such call."""
    try:
        call = ctypes.CDLL(None, use_errno=True).adjtimex
    except (AttributeError, OSError):
        return ClockNote(None, None)
    room = ctypes.create_string_buffer(BUFFER_BYTES)
    state = call(room)
    if state < 0:
        return ClockNote(None, None)
    _, offset, _, _, _, status = HEAD.unpack_from(room)
    if state == TIME_ERROR or status & STA_UNSYNC:
        return ClockNote(synchronised=False, offset_ms=None)
    return ClockNote(synchronised=True, offset_ms=round(offset / (1e6 if status & STA_NANO else 1e3), 3))
