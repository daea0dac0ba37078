"""The load that every run holds: 5,000 units, 2,000 fixes a second, zones and history, over real sockets.

LAPEL_LOAD_S is for how long (30). Lag is counted in fixes, not in milliseconds: the machine may be slow, but nothing
may be lost and nothing may queue up.
"""

from __future__ import annotations

import os
import re

from tests.bench.readers import Reader, drain, feed_server

UNITS, RATE, TICK_MS = 5_000, 2_000, 100
SECONDS = float(os.environ.get("LAPEL_LOAD_S", "30"))
NUMBER = re.compile(rb"\nid: [0-9A-Z]+-([0-9]+)\nevent: ([a-z]+)\n")


class Following(Reader):
    """Keeps each record's number, and how many positions there were of which."""

    def __init__(self, port: int) -> None:
        super().__init__(port, "sse")
        self.numbers: list[int] = []
        self.positions = 0
        self._tail = b""

    def read(self) -> None:
        """Every record is met once, also where it is cut by the end of what was read."""
        told = self._tail + self.socket.recv(1 << 20)
        end = 0
        for found in NUMBER.finditer(told):
            if found[2] != b"status":  # which repeats the number before it
                self.numbers.append(int(found[1]))
            self.positions += found[2] == b"position"
            end = found.end()
        self._tail = told[max(end, len(told) - 100) :]


def test_nothing_is_lost_and_nothing_queues_up() -> None:
    """All placed, all kept, numbers without a gap for who keeps up, and never more than a round of everybody behind."""
    with feed_server(UNITS, RATE, TICK_MS, "full") as server:
        following = Following(server.port)
        drain([following], 1.0)
        began = server.asked()["sent"]
        behind = []
        for _ in range(5):
            drain([following], SECONDS / 5)
            behind.append(server.asked()["behind"])
        drain([following], 0.5)
        following.socket.close()
    last = server.last
    sent, stats, history = last["sent"], last["stats"], last["history"]
    assert sent - began >= RATE * SECONDS - UNITS
    assert max(behind) <= UNITS, behind
    assert behind[-1] <= RATE, behind
    assert {name: stats.get(name, 0) for name in ("live", "kept", "held", "late", "duplicates", "unattributed")} == {
        "live": sent + UNITS,
        **dict.fromkeys(("kept", "held", "late", "duplicates", "unattributed"), 0),
    }
    assert history["written"] + history["waiting"] == sent + UNITS
    assert (history.get("dropped", 0), history.get("faults", 0), stats["unencodable"]) == (0, 0, 0)
    assert following.numbers == sorted(set(following.numbers))
    if not stats["conflated"]:
        first, *_, final = following.numbers
        assert len(following.numbers) == final - first + 1
        assert following.positions >= RATE * SECONDS * 0.9
