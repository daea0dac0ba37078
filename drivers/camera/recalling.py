"""Which cameras were asked for what a restore lost, and when each is asked again. Pure.

That a broker took the question does not mean that a camera heard it: it may be connecting, and subscribe a
moment later. So it is asked again soon, then ever more seldom: a camera that holds nothing never answers.
"""

from __future__ import annotations

from gateway.domain.ids import DeviceId

AGAIN_S, RECALL_EVERY_S = 10.0, 300.0
RECALLED_KEPT = 100_000


class Recalling:
    """The last question to each camera, and the pause behind it."""

    def __init__(self) -> None:
        self._asked: dict[DeviceId, tuple[float, float]] = {}

    def turn(self, device: DeviceId, now_s: float) -> bool:
        """Whether it is to be asked now; it then counts as asked."""
        asked_s, pause_s = self._asked.get(device, (float("-inf"), AGAIN_S / 2))
        if now_s - asked_s < pause_s:
            return False
        if device not in self._asked and len(self._asked) >= RECALLED_KEPT:
            self._asked.clear()
        self._asked[device] = now_s, min(RECALL_EVERY_S, pause_s * 2)
        return True

    def failed(self, device: DeviceId) -> None:
        """The question did not leave: the next word of this camera is answered with it."""
        self._asked.pop(device, None)
