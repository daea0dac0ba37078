"""What each camera may hold of the gateway's memory, so that one that sends too much is told to wait, and no other.

Sans-IO. A camera may hold as much footage as is still free: alone it has half of the memory, and beside others
that hold their parts it has less, down to one segment, which it may always send.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.domain.evidence import RecordingKey
from gateway.domain.ids import DeviceId

COMMANDS_MAX = 4096
"""Commands of one camera under way, of all its recordings."""
ANSWERS_MAX = 8192
"""Answers to one camera that wait to be published; beyond them only the newest of each recording is kept."""
RECORDINGS_MAX = 512
"""Conversations with one camera; with all of them under way, it is told to wait once a second, whatever it sends."""


def speaker(key: RecordingKey) -> DeviceId:
    """Who sends, and so whose share it takes: a dock never spends that of the camera it names."""
    return key.via or key.device


@dataclass
class Share:
    """One camera's: bytes of footage, commands and answers under way now, and its recordings, oldest first."""

    held_bytes: int = 0
    commands: int = 0
    answers: int = 0
    recordings: dict[RecordingKey, None] = field(default_factory=dict)
    told_s: float = float("-inf")

    @property
    def idle(self) -> bool:
        """Nothing under way."""
        return not (self.held_bytes or self.commands or self.answers or self.recordings)

    def may_be_told(self, now_s: float) -> bool:
        """Whether a second has passed since it was last told that it sends too much."""
        if now_s - self.told_s < 1.0:
            return False
        self.told_s = now_s
        return True


class Memory:
    """The footage of all cameras in memory, and each one's share."""

    def __init__(self, limit_bytes: int) -> None:
        """State the limit of all together."""
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._shares: dict[DeviceId, Share] = {}

    def __len__(self) -> int:
        """How many cameras have something under way."""
        return len(self._shares)

    def of(self, device: DeviceId) -> Share:
        """A camera's share."""
        found = self._shares.get(device)
        if found is None:
            found = self._shares[device] = Share()
        return found

    def refuses(self, share: Share, size_bytes: int) -> str | None:
        """Why a command with so much footage has to wait; None where it may be taken."""
        if share.commands >= COMMANDS_MAX:
            return "too_many_commands"
        if size_bytes and share.held_bytes and share.held_bytes + size_bytes > self.limit_bytes - self.held_bytes:
            return "camera_memory"
        return None

    def take(self, share: Share, size_bytes: int) -> None:
        """Count a command that was taken."""
        share.commands += 1
        share.held_bytes += size_bytes
        self.held_bytes += size_bytes

    def give_back(self, share: Share, size_bytes: int) -> None:
        """Count a command that is done."""
        share.commands -= 1
        share.held_bytes -= size_bytes
        self.held_bytes -= size_bytes

    def forget_idle(self, device: DeviceId) -> None:
        """Drop a share with nothing in it."""
        found = self._shares.get(device)
        if found is not None and found.idle:
            del self._shares[device]

    def clear(self) -> None:
        """Begin anew: what was under way comes again."""
        self._shares.clear()
        self.held_bytes = 0
