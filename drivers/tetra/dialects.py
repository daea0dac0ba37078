"""What makes differ in: the commands that set a radio up, as data (EN 300 392-5)."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.errors import MisuseError

NEVER = ("ATZ", "AT&F", "AT+CTSDSR=", "AT+CNUMF=", "AT+CFUN", "AT+CPIN", "AT+RCPIN", "ATD", "AT+CTXD")
"""Never sent: ATZ reboots some makes and leaves others without an answer; the rest changes or keys a radio."""
MAX_COMMAND = 256
ALREADY_REGISTERED = 38
"""+CME ERROR 38: the PID is registered already, which is what was wanted."""
IN_DATA_ENTRY = frozenset({36, 37})
SYNTAX = 35
CME = {
    -6: "too long for one SDS",
    -5: "not sent over the air",
    -3: "could not be sent in time",
    -2: "no answer",
    -1: "ERROR",
    0: "could not send over air",
    1: "no reliable link to the terminal equipment",
    2: "PEI in use",
    3: "not allowed in this state",
    4: "command not supported",
    5: "PIN needed",
    10: "no SIM",
    20: "message stack full",
    24: "status text too long",
    30: "out of service",
    31: "no layer 2 acknowledgement",
    32: "user data not understood",
    33: "wrong type",
    34: "parameter out of range",
    35: "syntax",
    36: "data without a command",
    37: "data timed out",
    39: "registration table full",
    40: "not while in DMO",
    41: "transmit inhibit",
    42: "busy signalling",
    43: "not while in V+D",
    44: "unknown parameters",
}


class Command(msgspec.Struct, frozen=True):
    """One AT command; `instead` is tried where it is refused; a needed one refused is a problem worth telling.

    body is the hex that follows in data entry, ended by ^Z; sending says that the outbox asked for it.
    """

    text: str
    needed: bool = False
    instead: str | None = None
    body: str = ""
    sending: bool = False


class Dialect(msgspec.Struct, frozen=True):
    """How to talk to one make of radio: what only one source knows, or none, is here and not in the code."""

    name: str
    setup: tuple[Command, ...]
    keepalives: tuple[Command, ...]
    emergency_priority: int | None = 15
    """Call priority that means an emergency; known from the air interface, not yet seen on a PEI."""
    spacing_s: float = 1.0
    """Between one SDS sent and the next."""
    sent_s: float = 20.0
    """How long +CMGS with the fate of an SDS may take after its OK."""
    hold_s: float = 60.0
    """How long a message waits for a radio that cannot send now (call, no service)."""
    call_limit_s: float = 120.0
    """A call without any sign of life for so long is over: its release was lost."""
    limit_bits: int = 668
    """Longest SDS that one client found to go through, whatever +CMGS=? says."""
    sds_service: str = "AT+CTSDS=12,0,0,0,1"
    status_service: str = "AT+CTSDS=13,0"
    leave_entry: bytes = b"\x1b"
    """Leaves data entry; no radio has confirmed ESC. ^Z would send what was typed."""
    interval_by: Literal["trigger", "basic"] = "trigger"
    """How a terminal is asked for another interval: a recurring trigger, or its basic parameters."""
    radio_allots_reference: bool = False
    """Whether the message reference of +CMGS, not ours, is the one that delivery reports carry."""


MARKERS = frozenset({"AT+GMI?", "AT+GMM?", "AT+GMR?", "AT+CNUMF?"})
"""Questions whose answer names itself and never comes unasked: by these a session finds its place again."""
NAMED = MARKERS | {"AT+CREG?", "AT+CTOM?"}
"""An answer to one of these without its name is another's; the latter two may come unasked as well."""
PROFILES = ("2,2,20", "1,3,10", "2,3,130", "2,3,2", "2,3,9", "2,3,137", "2,3,138", "2,3,140", "2,3,195")
MORE_PROFILES = ("1,3,3", "1,3,131", "2,0,0", "1,1,11")
_NEEDED = frozenset({"2,20", "3,10"})


def profile(entry: str) -> Command:
    """`profile,layer 1[,layer 2]` as a registration; the other profile is tried where this one is refused.

    2 is radio and gateway both, so that the officer's own radio keeps showing its texts; LIP and status are needed.
    """
    which, _, layers = entry.replace(" ", "").partition(",")
    needed = layers in _NEEDED
    instead = f"AT+CTSP={'1' if which == '2' else '2'},{layers}" if needed or which == "2" else None
    return Command(f"AT+CTSP={which},{layers}", needed, instead)


def _setup(charset: str, *, otherwise: str | None = None, more: tuple[str, ...] = ()) -> tuple[Command, ...]:
    return (
        Command("ATE0"),
        Command(f"AT+CSCS={charset}", instead=None if otherwise is None else f"AT+CSCS={otherwise}"),
        *(Command(text) for text in ("AT+GMI?", "AT+GMM?", "AT+GMR?", "AT+CTOM?")),
        *map(profile, PROFILES + MORE_PROFILES),
        *(Command(text) for text in ("AT+CREG=2", "AT+CREG?", "AT+CTGS?", *more, "AT+CNUMF?")),
    )


_ASKED = tuple(Command(text) for text in ("AT+CREG?", "AT+CTOM?", "AT+CSQ?", "AT+CTGS?"))
GENERIC = Dialect("generic", _setup("8859-1"), _ASKED)
MOTOROLA = Dialect(
    "motorola",
    _setup("8859-1", otherwise='"8859-1"', more=("AT+CBC?",)),
    (*_ASKED, Command("AT+CBC?")),
    limit_bits=1184,
)
SEPURA = Dialect("sepura", _setup('"8859-1"', otherwise="8859-1"), _ASKED)
DIALECTS = {dialect.name: dialect for dialect in (GENERIC, MOTOROLA, SEPURA)}


def success(text: str, code: int | None) -> bool:
    """Whether this result (None: OK) says that the command did what it should."""
    return code is None or (code == ALREADY_REGISTERED and text.startswith("AT+CTSP="))


def permitted(text: str) -> str:
    """The command as it may be sent; MisuseError for one that never may."""
    plain = text.upper().replace(" ", "")
    if plain.startswith(NEVER):
        raise MisuseError(f"{text} is never sent")
    if len(text) > MAX_COMMAND or not text.isascii() or not text.isprintable():
        raise MisuseError(f"not a command: {text[:40]!r}")
    return text
