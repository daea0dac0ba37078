"""How cameras behave, good and bad: each habit has a name that `--habits` takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

SEGMENT = 1024 * 1024
LEAST_SEGMENT = 16 * 1024
OVERLAP = 48 * 1024
LOOK_AHEAD = 12


@dataclass(frozen=True)
class Habits:
    """How one camera behaves: bytes a second it can send (0 is no limit), how long it bears silence, its vices.

    breaks are how often within each recording it goes away; what a break is, `forgets` and `reboots` say.
    live_pace is bytes a second of a recording that is still being made (0: it was finished before).
    dies_at is the share of a recording at which its battery is empty for good; smash_at is the share of its first
    upload at which it is smashed, and never heard of again.
    """

    pace: float = 0.0
    patience_s: float = 3.0
    abandon_at: int = 0
    segment: int = SEGMENT
    window_cap: int = 0
    out_of_order: bool = False
    overlap: int = 0
    repeats: bool = False
    corrupts: float = 0.0
    breaks: int = 0
    reboots: bool = False
    forgets: bool = False
    away_s: float = 0.5
    live_pace: float = 0.0
    dies_at: float = 0.0
    smash_at: float = 0.0
    renumbers: bool = False
    docks: bool = False
    waits: bool = False

    @property
    def segment_octets(self) -> int:
        """A quarter of a second's worth on a slow link, so that commands are not stuck behind footage."""
        return min(self.segment, max(LEAST_SEGMENT, round(self.pace / 4))) if self.pace else self.segment

    def window(self, told: int) -> int:
        """What it sends beyond what is durable: repeated and overlapping bytes fill the gateway's memory as well."""
        window = told // 2 if self.repeats else told * 3 // 4 if self.overlap else told
        return min(window, self.window_cap) if self.window_cap else window


NAMED: Mapping[str, Mapping[str, float]] = {
    "steady": {},
    "docks": {"docks": True},
    "waits": {"waits": True},
    "drops_off": {"breaks": 3},
    "reboots": {"breaks": 2, "reboots": True, "away_s": 1.0},
    "forgets": {"breaks": 2, "reboots": True, "forgets": True, "away_s": 1.0},
    "corrupts": {"corrupts": 0.1},
    "repeats": {"repeats": True},
    "out_of_order": {"out_of_order": True},
    "overlaps": {"overlap": OVERLAP},
    "battery": {"dies_at": 0.7},
    "renumbers": {"renumbers": True},
    "live": {"live_pace": 4.0 * SEGMENT},
}
"""steady: none. waits: asks again until a receipt names a time. docks: records all it has to before it connects.
drops_off: its network fails in the middle.
reboots: and what its state file knew is kept. forgets: and is lost. corrupts: a tenth of its segments is damaged
on the way. repeats: every segment and fin twice. out_of_order, overlaps: as they say. battery: empty at 70 %, never
returns. renumbers: its recordings share a number. live: sends while it records, the size unknown until fin."""


def named(names: Sequence[str], steady: Habits | None = None) -> list[Habits]:
    """Habits for each name; `all` is every name once. ValueError for a name that is none."""
    chosen = [one for name in names for one in (NAMED if name == "all" else (name,))]
    unknown = [name for name in chosen if name not in NAMED]
    if unknown:
        raise ValueError(f"no habit {unknown[0]!r}: one of {', '.join(('all', *NAMED))}")
    return [replace(steady or Habits(), **NAMED[name]) for name in chosen]  # type: ignore[arg-type]
