"""A process that takes positions, and says when each was taken: `python -m tests.faults.track_process DIR`."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from gateway.feed.board import Board
from gateway.feed.settings import FeedSettings
from gateway.feed.trail import Trail
from gateway.observe import SystemClock
from gateway.store.tracks import TrackStore
from tests.feed.shift import Roster, at, who


async def main(folder: Path) -> None:
    """A unit that walks, a hundred fixes a second, until killed."""
    roster, clock, board = Roster(), SystemClock(), Board(FeedSettings())
    unit = roster.enlist(1)
    board.refresh(roster, clock.now())
    trail = Trail(board, roster, TrackStore(folder), 31, clock)
    board.placed = trail.note
    async with asyncio.TaskGroup() as group:
        group.create_task(trail.run())
        number = 0
        while True:
            now = clock.now()
            board.place(at(now, 52.57 + number * 1e-7), who(unit, "P-1", "bcn-1"))
            print(round(now.utc.timestamp() * 1000), time.monotonic(), flush=True)
            number += 1
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
