"""The radios as a list: whose each is, whether it can be reached, when its emergency path was proven. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from gateway.domain.events import Reach
from gateway.feed.proofs import Proof
from gateway.feed.reach import Contact
from gateway.feed.standing import Standing
from gateway.feed.wording import time_text


class Handset(msgspec.Struct, frozen=True):
    """One radio. proven_at is None for one that never sent the test status, heard_at for one never heard."""

    issi: int
    unit: str | None
    person: str | None
    reach: Reach
    heard_at: str | None
    proven_at: str | None
    proven_via: str | None


def roll_of_handsets(
    units: Iterable[Standing], radios: Mapping[int, Contact], proofs: Mapping[int, Proof]
) -> tuple[Handset, ...]:
    """Every radio that the roster names or that was heard, by ISSI. Off duty is private: nothing of when and how."""
    standings = tuple(units)
    private = {standing.id for standing in standings if not standing.on_feed}
    radios = {issi: radio for issi, radio in radios.items() if radio.unit not in private}
    owners = {
        int(person.issi): (str(standing.id), str(person.id))
        for standing in standings
        for person in standing.roll.persons
        if person.issi is not None
    }
    numbers = sorted({*owners, *radios, *proofs})
    return tuple(_handset(issi, owners.get(issi), radios.get(issi), proofs.get(issi)) for issi in numbers)


def _handset(issi: int, owner: tuple[str, str] | None, radio: Contact | None, proof: Proof | None) -> Handset:
    unit, person = owner or (None, None)
    if radio is not None and radio.unit is not None:
        unit = radio.unit
    heard_at = time_text(radio.heard_s) if radio is not None and radio.heard_s else None
    return Handset(
        issi,
        unit,
        person,
        "unknown" if radio is None else radio.reach,
        heard_at,
        None if proof is None else proof.proven_at,
        None if proof is None else proof.via,
    )
