"""Which units are masked: the last word of the roster file or of a named person, whichever came later."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Engine, Table, select

from gateway.domain.people import Unit

MASKING = "masking"
"""The kind of record that an act of masking is; no act is ever overwritten."""


class Masking(msgspec.Struct, frozen=True):
    """One act: whether the unit is masked from then on, whose word that was, and why."""

    masked: bool
    by: str
    reason: str
    at: str


class _Filed(msgspec.Struct):
    """What a version of a unit says of it."""

    masked: bool = False


def masked(engine: Engine, records: Table, units: Iterable[Unit]) -> list[Unit]:
    """The units as they stand. A roster file that says what it said before takes nobody's act back."""
    said = _said(engine, records)
    return [
        msgspec.structs.replace(unit, masked=said[unit.id] or msgspec.UNSET) if unit.id in said else unit
        for unit in units
    ]


def _said(engine: Engine, records: Table) -> dict[str, bool]:
    """Of each unit that anybody ever acted on, whether it is masked."""
    acted = select(records.c.id).where(records.c.kind == MASKING)
    query = select(records.c.id, records.c.kind, records.c.body)
    query = query.where(records.c.kind.in_(("unit", MASKING)), records.c.id.in_(acted)).order_by(records.c.row)
    said: dict[str, bool] = {}
    filed: dict[str, bool] = {}
    with engine.connect() as connection:
        for name, kind, body in connection.execute(query):
            if kind == MASKING:
                said[name] = msgspec.json.decode(body, type=Masking).masked
                continue
            now = msgspec.json.decode(body, type=_Filed).masked
            if filed.get(name) != now:
                said[name] = filed[name] = now
    return said
