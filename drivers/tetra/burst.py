"""Errors one upon another: a radio that has lost its registrations. Sans-IO."""

from __future__ import annotations

from collections import deque

from drivers.tetra import dialects

_MOST, _WITHIN_S = 3, 10.0


class Burst:
    """Counts what is no answer to a wrong command of ours."""

    def __init__(self) -> None:
        self._errors: deque[float] = deque(maxlen=_MOST)

    def add(self, code: int | None, now_s: float) -> bool:
        """A result, None for OK; True where it is one error too many in so short a time."""
        if code is None or code == dialects.SYNTAX or code in dialects.IN_DATA_ENTRY:
            return False
        self._errors.append(now_s)
        return len(self._errors) == _MOST and now_s - self._errors[0] <= _WITHIN_S

    def clear(self) -> None:
        """From the beginning."""
        self._errors.clear()
