"""What became of a fleet's recordings: counts, rates and times, of one process or of all."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SHOWN = 20


@dataclass
class Account:
    """One share's: what its cameras were told, and when."""

    recordings: int = 0
    sealed: int = 0
    octets: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    upload_s: list[float] = field(default_factory=list)
    receipt_s: list[float] = field(default_factory=list)

    def hear(self, happening: Mapping[str, Any]) -> None:
        """One happening of one camera."""
        self.happened[happening["event"]] += 1
        if happening["event"] == "receipt":
            self.sealed += 1
            self.octets += happening["size"]
            self.upload_s.append(happening["upload_s"])
            self.receipt_s.append(happening["receipt_s"])


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that this share of all does not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 1).__int__() - 1))] if ordered else None


def times(values: Sequence[float]) -> dict[str, float | None]:
    """Median and 99th percentile."""
    return {"p50": percentile(values, 0.5), "p99": percentile(values, 0.99)}


def settled(shares: Sequence[Mapping[str, Any]], seconds: float, *, cameras: int, processes: int) -> dict[str, Any]:
    """The account of all shares together."""
    octets = sum(share["octets"] for share in shares)
    violations = [breach for share in shares for breach in share["violations"]]
    counts = {name: sum(share[name] for share in shares) for name in ("recordings", "sealed", "held", "without_power")}
    happened: Counter[str] = Counter()
    troubles: Counter[str] = Counter()
    for share in shares:
        happened.update(share["happened"])
        troubles.update(share["troubles"])
    return {
        "cameras": cameras,
        "processes": processes,
        **counts,
        "held_at": [one for share in shares for one in share["held_at"]][:SHOWN],
        "violation_count": len(violations),
        "violations": violations[:SHOWN],
        "octets": octets,
        "seconds": round(seconds, 3),
        "mb_s": round(octets / 1e6 / seconds, 1) if seconds else 0.0,
        "upload_s": times([one for share in shares for one in share["upload_s"]]),
        "receipt_s": times([one for share in shares for one in share["receipt_s"]]),
        "happened": dict(happened),
        "troubles": dict(troubles),
    }
