"""roster.db: people, units, devices (every version kept), bookings (corrections never overwrite)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, Text, func, insert, select

from gateway.domain.ids import DeviceId, PersonId, UnitId
from gateway.domain.people import Booking, Device, How, Person, Shift, Unit
from gateway.domain.time import from_rfc3339, rfc3339
from gateway.errors import GatewayError
from gateway.roster.directory import Roster, effective, in_force, overlaps
from gateway.roster.importer import RosterFile
from gateway.store.accounts import ACCOUNT_TABLES
from gateway.store.masking import MASKING, masked
from gateway.store.sqlite import open_engine, storing

TABLES = MetaData()
AT_START = "roster file"
"""Who imports the file of the configuration, at each start."""
SHAPES: dict[str, type[msgspec.Struct]] = {"person": Person, "unit": Unit, "device": Device, "shift": Shift}
RECORDS = Table(
    "record",
    TABLES,
    Column("row", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("id", String, nullable=False),
    Column("entered_at", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("reason", String),
)
BOOKINGS = Table(
    "booking",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("device", String, nullable=False, index=True),
    Column("holder", String, nullable=False),
    Column("since", String, nullable=False),
    Column("until", String),
    Column("how", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("entered_at", String, nullable=False),
    Column("corrects", Integer),
    Column("reason", String),
)
for table in ACCOUNT_TABLES.tables.values():
    table.to_metadata(TABLES)


class Imported(msgspec.Struct, frozen=True):
    """What an import changed."""

    people: int
    units: int
    devices: int
    bookings: int
    shifts: int = 0


def name_of(shift: Shift) -> str:
    """What a shift is known by: another end for the same beginning is a change of the plan."""
    return f"{shift.holder} {rfc3339(shift.since)}"


class RosterStore:
    """Repository behind the roster room; synchronous, safe to call from any one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The open engine."""
        if self._engine is None:
            self._engine = open_engine(self._path, TABLES, {"synchronous": "FULL"})
        return self._engine

    def close(self) -> None:
        """Let the file go."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def version(self) -> int:
        """A number that changes whenever any process commits to the file."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(func.max(RECORDS.c.row))).scalar_one() or 0
            booked = connection.execute(select(func.max(BOOKINGS.c.id))).scalar_one() or 0
        return int(rows) * 1_000_003 + int(booked)

    def roster(self) -> Roster:
        """Everything as it stands now."""
        with self.engine.connect() as connection:
            latest = select(func.max(RECORDS.c.row)).group_by(RECORDS.c.kind, RECORDS.c.id)
            rows = connection.execute(
                select(RECORDS.c.kind, RECORDS.c.body).where(RECORDS.c.row.in_(latest)).order_by(RECORDS.c.row)
            ).all()
        bodies: dict[str, list[str]] = {kind: [] for kind in (*SHAPES, MASKING)}
        for kind, body in rows:
            bodies[kind].append(body)
        return Roster(
            [msgspec.json.decode(body, type=Person) for body in bodies["person"]],
            masked(self.engine, RECORDS, [msgspec.json.decode(body, type=Unit) for body in bodies["unit"]]),
            [msgspec.json.decode(body, type=Device) for body in bodies["device"]],
            self.bookings(),
            [msgspec.json.decode(body, type=Shift) for body in bodies["shift"]],
        )

    def bookings(self, device: str | None = None) -> list[Booking]:
        """Every booking ever entered, corrected ones included, in the order of entry."""
        query = select(BOOKINGS).order_by(BOOKINGS.c.id)
        if device is not None:
            query = query.where(BOOKINGS.c.device == device)
        with self.engine.connect() as connection:
            return [_booking(row._asdict()) for row in connection.execute(query)]

    def import_file(self, file: RosterFile, actor: str) -> Imported:
        """Add what is new or changed; nothing is removed, nothing overwritten.

        What the file of the configuration has said at an earlier start is not news: what was changed since, stays.
        """
        before = self._said_by(actor) if actor == AT_START else {}

        def put(kind: str, rows: list[tuple[str, msgspec.Struct]]) -> int:
            fresh = [(name, row) for name, row in rows if before.get((kind, name)) != row]
            return sum(self.put(kind, name, row, actor) for name, row in fresh)

        people = put("person", [(row.id, row) for row in file.people])
        units = put("unit", [(row.id, row) for row in file.units])
        devices = put("device", [(row.id, row) for row in file.devices])
        shifts = put("shift", [(name_of(row), row) for row in file.shifts])
        have = {(row.device, row.holder, rfc3339(row.since)) for row in self.bookings()}
        fresh = [row for row in file.bookings if (row.device, row.holder, rfc3339(row.since)) not in have]
        for row in fresh:
            self.add(DeviceId(row.device), row.holder, row.since, how=row.how, actor=actor, until=row.until)
        return Imported(people, units, devices, len(fresh), shifts)

    def _said_by(self, actor: str) -> dict[tuple[str, str], msgspec.Struct]:
        """The latest that this one has entered of each record."""
        with self.engine.connect() as connection:
            theirs = select(func.max(RECORDS.c.row)).where(RECORDS.c.actor == actor)
            latest = theirs.group_by(RECORDS.c.kind, RECORDS.c.id)
            query = select(RECORDS.c.kind, RECORDS.c.id, RECORDS.c.body).where(RECORDS.c.row.in_(latest))
            rows = connection.execute(query).all()
        return {(kind, name): msgspec.json.decode(body, type=SHAPES[kind]) for kind, name, body in rows}

    def put(self, kind: str, name: str, body: msgspec.Struct, actor: str) -> bool:
        """Keep a new version of a person, unit or device; False where it is as it was."""
        encoded = msgspec.json.encode(body).decode()
        with storing(self.engine) as connection:
            last = connection.execute(
                select(RECORDS.c.body)
                .where(RECORDS.c.kind == kind, RECORDS.c.id == name)
                .order_by(RECORDS.c.row.desc())
                .limit(1)
            ).scalar_one_or_none()
            if last == encoded:
                return False
            entered_at = rfc3339(datetime.now(UTC))
            connection.execute(
                insert(RECORDS).values(kind=kind, id=name, entered_at=entered_at, actor=actor, body=encoded)
            )
        return True

    def add(  # noqa: PLR0913 - a booking has that many facts
        self,
        device: DeviceId,
        holder: str,
        since: datetime,
        *,
        how: How,
        actor: str,
        until: datetime | None = None,
        corrects: int | None = None,
        reason: str | None = None,
    ) -> Booking:
        """Enter a booking; how names how it is known, corrects the one it replaces."""
        facts = {
            "device": device,
            "holder": holder,
            "since": rfc3339(since),
            "until": rfc3339(until) if until else None,
            "how": how,
            "actor": actor,
            "entered_at": rfc3339(datetime.now(UTC)),
            "corrects": corrects,
            "reason": reason,
        }
        with storing(self.engine) as connection:
            key = connection.execute(insert(BOOKINGS).values(**facts)).inserted_primary_key
        return _booking({"id": key[0] if key else 0, **facts})

    def book_on(
        self, device: DeviceId, holder: str, since: datetime, *, how: How, actor: str
    ) -> tuple[Booking, list[Booking]]:
        """Hand the device over: whoever has it now is ended at `since`; return the booking and those ended."""
        self._known(device, holder)
        open_now = [row for row in in_force(self.bookings(device)) if overlaps(row, since, since)]
        ended = [self.end(row, since, actor=actor, reason=f"handed over to {holder}") for row in open_now]
        return self.add(device, holder, since, how=how, actor=actor), ended

    def book_off(self, device: DeviceId, until: datetime, *, actor: str) -> list[Booking]:
        """End whoever holds the device."""
        open_now = [row for row in in_force(self.bookings(device)) if overlaps(row, until, until)]
        return [self.end(row, until, actor=actor, reason="booked off") for row in open_now]

    def end(self, booking: Booking, until: datetime, *, actor: str, reason: str) -> Booking:
        """Enter the same booking with an end."""
        return self.add(
            booking.device,
            booking.holder,
            booking.since,
            how=booking.how,
            actor=actor,
            until=until,
            corrects=booking.id,
            reason=reason,
        )

    def correct(
        self,
        number: int,
        *,
        holder: str | None,
        since: datetime | None,
        until: datetime | None,
        actor: str,
        reason: str,
    ) -> Booking:
        """Replace a booking by what was really so; the old one stays readable."""
        rows = {row.id: row for row in effective(self.bookings())}
        if number not in rows:
            raise GatewayError(f"booking {number}: there is none in force by that number")
        old = rows[number]
        if holder is not None:
            self._known(old.device, holder)
        return self.add(
            old.device,
            holder or old.holder,
            since or old.since,
            how="corrected",
            actor=actor,
            until=until or old.until,
            corrects=number,
            reason=reason,
        )

    def _known(self, device: DeviceId, holder: str) -> None:
        roster = self.roster()
        if roster.device(device) is None:
            raise GatewayError(f"device {device!r} is not on the roster")
        if roster.person(PersonId(holder)) is None and roster.unit(UnitId(holder)) is None:
            raise GatewayError(f"{holder!r} is neither a person nor a unit on the roster")


def _booking(row: dict[str, object]) -> Booking:
    moments = {key: from_rfc3339(str(row[key])) if row[key] else None for key in ("since", "until", "entered_at")}
    facts = {str(key): value for key, value in {**row, **moments}.items()}  # a plain str: SQLAlchemy's names are not
    return msgspec.convert(facts, Booking)
