"""Who is a member of which unit, changed during the shift: every version kept, with who changed it and why."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from sqlalchemy import Connection, func, insert, select

from gateway.domain.ids import PersonId
from gateway.domain.people import Unit
from gateway.domain.time import from_rfc3339, rfc3339
from gateway.errors import GatewayError
from gateway.store.roster import RECORDS, RosterStore
from gateway.store.sqlite import storing


class CrewChange(msgspec.Struct, frozen=True):
    """A unit's members as somebody entered them; `by` is the account, `cli:` somebody, or the roster's file."""

    at: datetime
    by: str
    members: tuple[str, ...]
    reason: str | None = None


class Crews:
    """Synchronous; each act is one transaction, whoever else writes."""

    def __init__(self, store: RosterStore) -> None:
        self._store = store

    def join(self, unit: str, person: str, *, actor: str, reason: str | None = None) -> Unit:
        """This person is a member of this unit from now on, and of no other. GatewayError for one not on the roster."""
        with storing(self._store.engine) as link:
            joined = _unit(link, unit)
            if _body(link, "person", person) is None:
                raise GatewayError(f"{person!r} is no person on the roster")
            for other in _units(link):
                if other.id != unit and person in other.members:
                    _write(link, _without(other, person), actor, reason)
            if person in joined.members:
                return joined
            joined = msgspec.structs.replace(joined, members=(*joined.members, PersonId(person)))
            _write(link, joined, actor, reason)
        return joined

    def leave(self, unit: str, person: str, *, actor: str, reason: str | None = None) -> Unit:
        """This person is no member of this unit any more. GatewayError where they were none."""
        with storing(self._store.engine) as link:
            left = _unit(link, unit)
            if person not in left.members:
                raise GatewayError(f"{person!r} is no member of {unit}")
            left = _without(left, person)
            _write(link, left, actor, reason)
        return left

    def history(self, unit: str) -> list[CrewChange]:
        """Every change of its members, oldest first."""
        query = select(RECORDS).where(RECORDS.c.kind == "unit", RECORDS.c.id == unit).order_by(RECORDS.c.row)
        with self._store.engine.connect() as link:
            rows = [row._asdict() for row in link.execute(query)]
        changes: list[CrewChange] = []
        for row in rows:
            members = msgspec.json.decode(row["body"], type=Unit).members
            if not changes or changes[-1].members != members:
                changes.append(CrewChange(from_rfc3339(row["entered_at"]), row["actor"], members, row["reason"]))
        return changes


def _body(link: Connection, kind: str, name: str) -> str | None:
    query = select(RECORDS.c.body).where(RECORDS.c.kind == kind, RECORDS.c.id == name)
    found: str | None = link.execute(query.order_by(RECORDS.c.row.desc()).limit(1)).scalar_one_or_none()
    return found


def _unit(link: Connection, name: str) -> Unit:
    body = _body(link, "unit", name)
    if body is None:
        raise GatewayError(f"{name!r} is no unit on the roster")
    return msgspec.json.decode(body, type=Unit)


def _units(link: Connection) -> list[Unit]:
    latest = select(func.max(RECORDS.c.row)).where(RECORDS.c.kind == "unit").group_by(RECORDS.c.id)
    bodies = link.execute(select(RECORDS.c.body).where(RECORDS.c.row.in_(latest))).scalars()
    return [msgspec.json.decode(body, type=Unit) for body in bodies]


def _without(unit: Unit, person: str) -> Unit:
    return msgspec.structs.replace(unit, members=tuple(each for each in unit.members if each != person))


def _write(link: Connection, unit: Unit, actor: str, reason: str | None) -> None:
    body, entered_at = msgspec.json.encode(unit).decode(), rfc3339(datetime.now(UTC))
    row = {"kind": "unit", "id": unit.id, "entered_at": entered_at, "actor": actor, "body": body, "reason": reason}
    link.execute(insert(RECORDS).values(**row))
