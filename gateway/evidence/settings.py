"""[store], [evidence], [retention] and [log]: how evidence is kept."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.crypto.cosignatures import parse_witness_vkey
from gateway.crypto.signers import Uris
from gateway.errors import ConfigError

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Natural = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
PLACES_MAX = 3


class Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section: unknown keys are refused."""


class StoreSection(Closed, frozen=True):
    """[store]: room that footage may not use, memory for uploads in flight, what cameras share; second places."""

    reserve_mb: Natural = 512
    memory_mb: Annotated[int, msgspec.Meta(ge=8)] = 64
    camera_mb_s: Natural = 0
    total_mb_s: Natural = 0
    camera_uploads: Natural = 256
    camera_staging_mb: Natural = 0
    staging_mb: Natural = 0
    journal_backlog_mb: Positive = 64
    copies: Annotated[int, msgspec.Meta(ge=1, le=4)] = 1
    copy_to: list[str] = msgspec.field(default_factory=list)
    copy_mb_s: Natural = 50


class EvidenceSection(Closed, frozen=True):
    """[evidence]: off for a feed-only instance; where the keys lie."""

    enabled: bool = True
    keys: str | None = None
    export_signer: str = Uris().export
    resume_days: Positive = 35
    receipt_keep_hours: Annotated[int, msgspec.Meta(ge=0)] = 24
    expected_hours: Positive = 24
    battery_low_pct: Annotated[int, msgspec.Meta(ge=0, le=100)] = 15
    storage_low_mb: Annotated[int, msgspec.Meta(ge=0)] = 1024
    clock_sync_days: Positive = 7
    reconcile_at: Annotated[str, msgspec.Meta(pattern=r"^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9])?$")] = "03:30"
    scrub_mb_s: Annotated[float, msgspec.Meta(ge=0)] = 20.0
    scrub_days: Positive = 30
    exports_keep_days: Positive = 14
    known_defects: str | None = None


class CategorySection(Closed, frozen=True):
    """[[retention.category]]: due or to be reviewed so many days after the recording; what has to be said of it."""

    name: Name
    title: str = ""
    controller: Name | None = None
    days: Natural | None = None
    review_days: Natural | None = None
    required: tuple[str, ...] = ()
    version: Positive = 1


class DecisionSection(Closed, frozen=True):
    """[[retention.decision]]: what a review can decide: due, to be reviewed again, so many days after its date."""

    name: Name
    title: str = ""
    days: Natural | None = None
    review_days: Natural | None = None


# Figures to begin with, no statement of law: every force has a schedule of its own.
DEFAULT_CATEGORIES = (
    CategorySection("non_evidential", "Nothing that anybody needs", days=31),
    CategorySection(
        "penalty_notice", "Fixed penalty or penalty charge notice", review_days=183, required=("incident",)
    ),
    CategorySection("evidential", "Relevant to an offence", review_days=365, required=("exhibit_ref", "incident")),
    CategorySection("complaint", "Complaint or conduct matter", review_days=365, required=("reference",)),
)
DEFAULT_DECISIONS = (
    DecisionSection("retain", "Still needed; look again", review_days=365),
    DecisionSection("retain_long", "Retained for policing purposes; look again after six years", review_days=2192),
    DecisionSection("case_closed", "No further action, or acquittal, on the date given", days=0),
    DecisionSection("convicted", "Conviction or release on the date given", days=183),
    DecisionSection("not_needed", "No longer needed", days=0),
)


class RetentionSection(Closed, frozen=True):
    """[retention]: the first table of rules; once one is used the log has it, and a change takes two people.

    due_grace_days: nothing becomes due sooner after the act that makes it so. grace_days: how long an approved
    disposal can be taken back. journal_days: how long position history is kept.
    """

    uncategorised_days: Positive = 31
    journal_days: Positive = 31
    rule_version: Positive = 1
    due_grace_days: Natural = 14
    grace_days: Natural = 7
    category: tuple[CategorySection, ...] = DEFAULT_CATEGORIES
    decision: tuple[DecisionSection, ...] = DEFAULT_DECISIONS


def check_retention(retention: RetentionSection) -> None:
    """Each category once a controller, each decision once; none without an end or a review."""
    seen: set[tuple[str, str | None]] = set()
    for number, each in enumerate(retention.category):
        key = f"retention.category[{number}]"
        if (each.name, each.controller) in seen or each.name == "uncategorised":
            raise ConfigError(f"{key}.name", f"{each.name!r} stands twice")
        if each.days is None and each.review_days is None:
            raise ConfigError(f"{key}.review_days", "what is never due by itself has to be reviewed")
        seen.add((each.name, each.controller))
    names: set[str] = set()
    for number, decision in enumerate(retention.decision):
        if decision.name in names:
            raise ConfigError(f"retention.decision[{number}].name", f"{decision.name!r} stands twice")
        if decision.days is None and decision.review_days is None:
            raise ConfigError(f"retention.decision[{number}].review_days", "nothing would ever follow from this")
        names.add(decision.name)


class WitnessSection(Closed, frozen=True):
    """[[log.witness]]: somebody who cosigns the log: a name for us, its address, its verifier key, who runs it."""

    name: Name
    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s?#]+$")]
    vkey: str
    operator: Name


class LogSection(Closed, frozen=True):
    """[log]: the log's origin, first line of every checkpoint; who runs it; who witnesses it."""

    origin: Annotated[str, msgspec.Meta(pattern=r"^[^\s+]+$")] = "lapel.invalid/log"
    signer: str = Uris().log
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


def check_copies(store: StoreSection) -> None:
    """Places enough for the copies that are asked for, each named once."""
    if len(store.copy_to) < store.copies - 1:
        raise ConfigError("store.copy_to", f"{store.copies} copies need {store.copies - 1} places beside the first")
    if len(set(store.copy_to)) < len(store.copy_to):
        raise ConfigError("store.copy_to", "names one place twice")
    if len(store.copy_to) > PLACES_MAX:
        raise ConfigError("store.copy_to", f"{len(store.copy_to)} places, at most {PLACES_MAX}")


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
