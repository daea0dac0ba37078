"""A roster file (TOML, or CSV of one kind) checked row by row."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.domain.ids import device_id, issi, person_id, power_id, unit_id
from gateway.domain.people import Device, How, Person, Shift, Unit
from gateway.errors import ConfigError


class Booked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """One [[booking]]: device held by holder (a person or a unit)."""

    device: str
    holder: str
    since: datetime
    how: How = "roster"
    until: datetime | None = None


class RosterFile(msgspec.Struct, frozen=True):
    """What a roster file says."""

    people: list[Person]
    units: list[Unit]
    devices: list[Device]
    bookings: list[Booked]
    shifts: list[Shift] = []


KINDS: dict[str, type[msgspec.Struct]] = {
    "person": Person,
    "unit": Unit,
    "device": Device,
    "booking": Booked,
    "shift": Shift,
}


def _row(kind: str, raw: object, where: str, file: str) -> Any:  # noqa: ANN401 - one of four structs
    if not isinstance(raw, dict):
        raise ConfigError(where, "is a table", file)
    shape = KINDS[kind]
    known = [field.encode_name for field in msgspec.structs.fields(shape)]
    for name in raw:
        if name not in known:
            raise ConfigError(f"{where}.{name}", f"unknown key; there are {', '.join(known)}", file)
    try:
        row = msgspec.convert(raw, shape)
        _ids(row)
    except ValueError as wrong:
        raise ConfigError(where, str(wrong), file) from wrong
    return row


def _ids(row: object) -> None:
    """Every id in a row is one (ValueError)."""
    if isinstance(row, Person):
        person_id(row.id)
        for power in row.powers:
            power_id(power.id)
    elif isinstance(row, Unit):
        unit_id(row.id)
        for member in row.members:
            person_id(member)
    elif isinstance(row, Device):
        device_id(row.id)
    elif isinstance(row, Booked | Shift):
        _span(row)
    number = getattr(row, "issi", None)
    if number is not None:
        issi(number)


def _span(row: Booked | Shift) -> None:
    if isinstance(row, Booked):
        device_id(row.device)
    if row.since.tzinfo is None or (row.until is not None and row.until.tzinfo is None):
        raise ValueError("from and to need a time zone")
    if row.until is not None and row.until <= row.since:
        raise ValueError("to is not after from")


def read(path: str | Path) -> RosterFile:
    """Read and check a roster; ConfigError names file, row and what is wrong."""
    file = Path(path)
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as wrong:
        raise ConfigError("", f"cannot be read: {wrong}", str(file)) from wrong
    raw = _csv(text, str(file)) if file.suffix.lower() == ".csv" else _toml(text, str(file))
    rows = {
        kind: [_row(kind, each, f"{kind}[{number}]", str(file)) for number, each in enumerate(raw.get(kind, []))]
        for kind in KINDS
    }
    roster = RosterFile(rows["person"], rows["unit"], rows["device"], rows["booking"], rows["shift"])
    _consistent(roster, str(file))
    return roster


def _toml(text: str, file: str) -> dict[str, Any]:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise ConfigError("", f"is not TOML: {wrong}", file) from wrong
    for name, table in raw.items():
        if name != "v" and name not in KINDS:
            raise ConfigError(name, f"unknown key; there are v, {', '.join(KINDS)}", file)
        if name in KINDS and not isinstance(table, list):
            raise ConfigError(name, f"write [[{name}]], one table each", file)
    if raw.get("v", 1) != 1:
        raise ConfigError("v", f"version {raw['v']!r} is not known here", file)
    return raw


LISTS: dict[str, Callable[[str], Any]] = {
    "powers": lambda text: [{"id": part} for part in text.split()],
    "skills": str.split,
    "members": str.split,
    "issi": int,
    "masked": lambda text: {"true": True, "false": False}[text.strip().lower()],
    "from": datetime.fromisoformat,
    "to": datetime.fromisoformat,
}
COLUMNS = {"callsign": "unit", "name": "person", "holder": "booking"}


def _csv(text: str, file: str) -> dict[str, Any]:
    """CSV holds one kind, told by its columns.

    name = people, callsign = units, holder = bookings (without device: shifts), else devices.
    """
    reader = csv.DictReader(text.splitlines())
    columns = reader.fieldnames or []
    kind = next((kind for column, kind in COLUMNS.items() if column in columns), "device")
    kind = "shift" if kind == "booking" and "device" not in columns else kind
    rows = []
    for number, row in enumerate(reader):
        try:
            rows.append({key: LISTS.get(key, str)(cell) for key, cell in row.items() if cell})
        except KeyError as wrong:
            raise ConfigError(f"{kind}[{number}].masked", f"{wrong} is neither true nor false", file) from wrong
        except (ValueError, TypeError) as wrong:
            raise ConfigError(f"{kind}[{number}]", str(wrong), file) from wrong
    return {kind: rows}


def _consistent(roster: RosterFile, file: str) -> None:
    """No id stands twice; no ISSI is two people's or two terminals'."""
    for kind, rows in (("person", roster.people), ("unit", roster.units), ("device", roster.devices)):
        _distinct([row.id for row in rows], f"{kind}.id", file)
    _distinct([row.issi for row in roster.people if row.issi is not None], "person.issi", file)
    _distinct([row.issi for row in roster.devices if row.issi is not None], "device.issi", file)


def _distinct(names: list[Any], key: str, file: str) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise ConfigError(key, f"{name!r} stands twice", file)
        seen.add(name)
