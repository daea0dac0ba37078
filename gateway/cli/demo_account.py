"""The account of a demonstration: what was sent against what was kept. Pure."""

from __future__ import annotations

from typing import Any

import msgspec


class Account(msgspec.Struct, frozen=True):
    """The counters of contracts section 1; lost = sent - accepted - quarantined - held - abandoned."""

    positions_sent: int
    positions_accepted: int
    recordings_sent: int
    recordings_sealed: int
    held: int
    quarantined: int
    abandoned: int
    lost: int
    rubbish_sent: int
    violations: list[str]
    units: int
    log_entries: int
    lost_on_purpose: list[str] = []
    v: int = 1


def settle(
    sent: dict[str, Any],
    kept: dict[str, int],
    *,
    sealed: int,
    units: int,
    log_entries: int,
    lost_on_purpose: list[str] | None = None,
) -> Account:
    """Settle the devices' own counts (the shift's summary) against the gateway's.

    kept has `positions_<source>`, `quarantined` as the intake counts them. A thing delivered twice is
    never set off against a thing lost: each kind is settled on its own.
    """
    by_source = sent["positions_sent"]
    accepted = {"tetra": kept.get("positions_lip", 0), "beacon": kept.get("positions_mqtt", 0)}
    unacknowledged = int(sent["positions_unacknowledged"])
    rubbish = sum(sent["rubbish_sent"].values())
    missing = max(0, by_source["tetra"] - accepted["tetra"])
    missing += max(0, by_source["beacon"] - accepted["beacon"] - unacknowledged)
    missing += max(0, rubbish - kept.get("quarantined", 0))
    held, abandoned = int(sent["recordings_held"]), int(sent["recordings_abandoned"])
    missing += max(0, int(sent["recordings_sent"]) - sealed - held - abandoned)
    return Account(
        positions_sent=sum(by_source.values()),
        positions_accepted=sum(accepted.values()),
        recordings_sent=int(sent["recordings_sent"]),
        recordings_sealed=sealed,
        held=held + unacknowledged,
        quarantined=kept.get("quarantined", 0),
        abandoned=abandoned,
        lost=missing,
        rubbish_sent=rubbish,
        violations=list(sent["violations"]),
        units=units,
        log_entries=log_entries,
        lost_on_purpose=lost_on_purpose or [],
    )
