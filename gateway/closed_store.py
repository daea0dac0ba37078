"""The evidence store while it is shut: cameras are told to wait, and keep what they have."""

from __future__ import annotations

from typing import NoReturn

from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Segment
from gateway.errors import StoreBusyError

WAIT_S = 300


class ClosedStore:
    """Implements gateway.ports.RecordingSink by refusing for now (0x97)."""

    def __init__(self, problem: str) -> None:
        self._problem = problem

    def _shut(self) -> NoReturn:
        raise StoreBusyError(f"the evidence store is shut: {self._problem}", WAIT_S)

    async def begin(self, offer: RecordingOffer) -> NoReturn:
        """Refuse for now."""
        del offer
        self._shut()

    async def keep(self, segment: Segment) -> NoReturn:
        """Refuse for now."""
        del segment
        self._shut()

    async def state(self, key: RecordingKey) -> NoReturn:
        """Refuse for now."""
        del key
        self._shut()

    async def finish(self, fin: RecordingFin) -> NoReturn:
        """Refuse for now."""
        del fin
        self._shut()

    async def abandon(self, key: RecordingKey) -> NoReturn:
        """Refuse for now."""
        del key
        self._shut()
