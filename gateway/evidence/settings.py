"""[store], [evidence], [retention] and [log]: how evidence is kept."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.crypto.cosignatures import parse_witness_vkey
from gateway.errors import ConfigError

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Natural = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section: unknown keys are refused."""


class StoreSection(Closed, frozen=True):
    """[store]: room that footage may not use, memory for uploads in flight, what cameras share (0: no limit)."""

    reserve_mb: Natural = 512
    memory_mb: Annotated[int, msgspec.Meta(ge=8)] = 64
    camera_mb_s: Natural = 0
    total_mb_s: Natural = 0
    camera_uploads: Natural = 256
    camera_staging_mb: Natural = 0
    staging_mb: Natural = 0
    journal_backlog_mb: Positive = 64


class EvidenceSection(Closed, frozen=True):
    """[evidence]: off for a feed-only instance; where the keys lie."""

    enabled: bool = True
    keys: str | None = None
    resume_days: Positive = 35
    receipt_keep_hours: Annotated[int, msgspec.Meta(ge=0)] = 24
    expected_hours: Positive = 24
    battery_low_pct: Annotated[int, msgspec.Meta(ge=0, le=100)] = 15
    storage_low_mb: Annotated[int, msgspec.Meta(ge=0)] = 1024
    clock_sync_days: Positive = 7


class RetentionSection(Closed, frozen=True):
    """[retention]: the rule for what nobody has categorised yet; how long position history is kept."""

    uncategorised_days: Positive = 31
    journal_days: Positive = 31
    rule_version: Positive = 1


class WitnessSection(Closed, frozen=True):
    """[[log.witness]]: somebody who cosigns the log: a name for us, its address, its verifier key, who runs it."""

    name: Name
    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s?#]+$")]
    vkey: str
    operator: Name


class LogSection(Closed, frozen=True):
    """[log]: the log's origin, first line of every checkpoint; who runs it; who witnesses it."""

    origin: Annotated[str, msgspec.Meta(pattern=r"^[^\s+]+$")] = "lapel.invalid/log"
    operator: Name | None = None
    witness: list[WitnessSection] = msgspec.field(default_factory=list)
    witness_quorum: Annotated[int, msgspec.Meta(ge=0)] | None = None
    witness_patience_s: Seconds = 5.0

    @property
    def quorum(self) -> int:
        """How many other operators have to cosign; where nothing is said, one if there is any."""
        return min(1, len(self.other_operators)) if self.witness_quorum is None else self.witness_quorum

    @property
    def other_operators(self) -> set[str]:
        """Who witnesses and is not the log's own operator: only they count."""
        return {witness.operator for witness in self.witness} - {self.operator}


def check_shares(store: StoreSection) -> None:
    """What one camera may have is part of what all may have."""
    for one, all_ in (("camera_mb_s", "total_mb_s"), ("camera_staging_mb", "staging_mb")):
        limit = getattr(store, all_)
        if limit and getattr(store, one) > limit:
            raise ConfigError(f"store.{one}", f"is more than {all_} ({limit})")


def check_witnesses(log: LogSection) -> None:
    """Witnesses that can make the quorum, each named once and with a key that can be read."""
    seen: set[str] = set()
    for number, witness in enumerate(log.witness):
        key = f"log.witness[{number}]"
        try:
            parsed = str(parse_witness_vkey(witness.vkey))
        except ValueError as wrong:
            raise ConfigError(f"{key}.vkey", str(wrong)) from wrong
        if seen & {witness.name, parsed}:
            raise ConfigError(f"{key}.name", f"{witness.name!r}, or its key, stands twice")
        seen |= {witness.name, parsed}
    if log.witness and log.operator is None:
        raise ConfigError("log.operator", "is required where there are witnesses: the log's own do not count")
    if log.quorum > len(log.other_operators):
        others = len(log.other_operators)
        raise ConfigError("log.witness_quorum", f"{log.quorum} operators are asked for, {others} other than the log's")
