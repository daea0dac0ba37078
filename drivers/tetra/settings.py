"""The keys of `[[driver]] kind = "tetra"`, and the dialect that comes of them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from drivers.tetra import dialects, probing
from drivers.tetra.translate import DEFAULT_STATUS_CODES

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Baud = Annotated[int, msgspec.Meta(ge=0, le=4_000_000)]
SLOWEST = 300


class StatusCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a force's table: the 16-bit value (32770 or "8002"), and the duty code it stands for."""

    value: int | str
    code: Annotated[int, msgspec.Meta(ge=0, le=16)]


def _value(written: int | str) -> int:
    """A 16-bit value, as a number or as four hex digits."""
    try:
        value = int(written, 16) if isinstance(written, str) else written
    except ValueError:
        value = -1
    if not 0 <= value <= 0xFFFF or 0x7C00 <= value <= 0x7FFF:
        raise ValueError(f"status_map: {written!r} is not a status value (0000..FFFF, without 7C00..7FFF)")
    return value


def status_codes(written: list[StatusCode] | dict[str, int] | None) -> dict[int, int]:
    """The force's table, value to duty code; ValueError names what is wrong in it."""
    if written is None:
        return dict(DEFAULT_STATUS_CODES)
    lines = written.items() if isinstance(written, dict) else [(line.value, line.code) for line in written]
    codes = {_value(value): code for value, code in lines}
    for value, code in codes.items():
        if not 0 <= code <= 16:
            raise ValueError(f"status_map: {value:04X}: {code} is not a duty code (0..16)")
    return codes


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of `[[driver]] kind = "tetra"`.

    status_map is a force's own table, as a list of {value, code} or as a table of hex strings
    {"8002" = 2}; its default (0x8000 + n is duty code n) is only a guess, to be overridden.
    baud 0 or "probe", flow "probe": found out by asking. What is None is as the dialect has it.
    answer_reports: whether officers' messages that ask for a delivery report get one.
    """

    port: str
    baud: Baud | Literal["probe"] = 38_400
    flow: Literal["none", "rtscts", "probe"] = "none"
    dialect: str = "generic"
    status_map: list[StatusCode] | dict[str, int] | None = None
    keepalive_s: Seconds = 30.0
    reply_s: Seconds = 5.0
    renew_s: Seconds = 300.0
    probe_s: Seconds = 0.7
    parts_s: Seconds = 60.0
    emergency_priority: Annotated[int, msgspec.Meta(ge=0, le=15)] | None = 15
    charset: str | None = None
    profiles: list[str] | None = None
    limit_bits: Annotated[int, msgspec.Meta(ge=64, le=2047)] | None = None
    spacing_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] | None = None
    sent_s: Seconds | None = None
    hold_s: Seconds | None = None
    call_limit_s: Seconds | None = None
    interval_by: Literal["trigger", "basic"] | None = None
    radio_allots_reference: bool | None = None
    answer_reports: bool = True

    def __post_init__(self) -> None:
        """Say at start-up what is wrong, not at the first status."""
        status_codes(self.status_map)
        if self.dialect not in dialects.DIALECTS:
            raise ValueError(f"dialect: no {self.dialect!r}; there are {', '.join(dialects.DIALECTS)}")
        if isinstance(self.baud, int) and 0 < self.baud < SLOWEST:
            raise ValueError(f'baud: {self.baud} is less than {SLOWEST}; 0 or "probe" finds it out')
        for entry in self.profiles or ():
            if not all(number.strip().isdigit() for number in entry.split(",")):
                raise ValueError(f"profiles: {entry!r} is not profile,layer[,layer]")
        chosen_dialect(self)


def speeds(settings: Settings) -> tuple[int, ...]:
    """The speeds to try: one where it is set."""
    return probing.SPEEDS if settings.baud in {0, "probe"} else (int(settings.baud),)


def flows(settings: Settings) -> tuple[probing.Flow, ...]:
    """The ways of flow control to try: none first, since RTS/CTS without its lines sends nothing at all."""
    return ("none", "rtscts") if settings.flow == "probe" else (settings.flow,)


def chosen_dialect(settings: Settings) -> dialects.Dialect:
    """The dialect, with what the operator has changed of it; ValueError for a command that may not be sent."""
    dialect = dialects.DIALECTS[settings.dialect]
    names = ("limit_bits", "spacing_s", "sent_s", "hold_s", "call_limit_s", "interval_by", "radio_allots_reference")
    changed = {name: getattr(settings, name) for name in names if getattr(settings, name) is not None}
    changed |= {"emergency_priority": settings.emergency_priority, "setup": _setup(settings, dialect)}
    return msgspec.structs.replace(dialect, **changed)


def _setup(settings: Settings, dialect: dialects.Dialect) -> tuple[dialects.Command, ...]:
    commands = list(dialect.setup)
    if settings.charset is not None:
        place = next(at for at, command in enumerate(commands) if "+CSCS" in command.text)
        commands[place] = dialects.Command(f"AT+CSCS={settings.charset}")
    if settings.profiles is not None:
        place = next(at for at, command in enumerate(commands) if "+CTSP" in command.text)
        others = [command for command in commands if "+CTSP" not in command.text]
        commands = [*others[:place], *map(dialects.profile, settings.profiles), *others[place:]]
    for command in commands:
        _permitted(command.text)
    return tuple(commands)


def _permitted(text: str) -> None:
    if len(text) > dialects.MAX_COMMAND or not text.isascii() or not text.isprintable():
        raise ValueError(f"not a command: {text[:40]!r}")
