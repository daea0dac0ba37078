"""What a restore leaves for the gateway's next start: it is on record once the witnesses were asked, not before."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.domain.evidence import Act
from gateway.errors import ConfigError, IntegrityError
from gateway.evidence.log.disk import Disk

MARK = "restored.json"


class Restored(msgspec.Struct, frozen=True):
    """Which backup was put back, at which size of the log, when, by whom, of how many entries that are known of."""

    backup: str
    origin: str
    size: int
    root: str
    known: int
    at: str
    by: str
    counts: dict[str, int]
    v: int = 1

    @property
    def act(self) -> Act:
        """The entry that says so."""
        facts = {"backup": self.backup, "size": self.size, "root": self.root, "known": self.known}
        told = {"origin": self.origin, "restored_at": self.at, "by": self.by}
        return Act("restore", "system", None, {**facts, "counts": self.counts}, told)


def print_mark(mark: Restored) -> bytes:
    """Print it."""
    return msgspec.json.encode(mark) + b"\n"


def read_mark(store: Path) -> Restored | None:
    """The mark of a restore that is not on record yet; None where there is none."""
    path = store / MARK
    try:
        return msgspec.json.decode(path.read_bytes(), type=Restored)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as wrong:
        raise IntegrityError(f"{path}: {wrong}") from wrong


def clear_mark(store: Path) -> None:
    """It is on record; durable on return."""
    disk = Disk()
    disk.unlink(store / MARK)
    disk.fsync(store)


def refuse_restored(store: Path) -> None:
    """ConfigError while nobody has asked the witnesses about a restored log: whatever signs before might fork it."""
    if (store / MARK).exists():
        problem = "restored, and not started since: start the gateway first, it asks the witnesses"
        raise ConfigError("", problem, str(store))
