"""What makes differ in: the commands that set a radio up, as data (EN 300 392-5)."""

from __future__ import annotations

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
    -2: "no answer",
    -1: "ERROR",
    0: "could not send over air",
    1: "no reliable link to the terminal equipment",
    2: "PEI in use",
    3: "not allowed in this state",
    4: "command not supported",
    5: "PIN needed",
    10: "no SIM",
    30: "out of service",
    31: "no layer 2 acknowledgement",
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
    """One AT command; `instead` is tried where it is refused; a needed one refused is a problem worth telling."""

    text: str
    needed: bool = False
    instead: str | None = None


class Dialect(msgspec.Struct, frozen=True):
    """How to talk to one make of radio."""

    name: str
    setup: tuple[Command, ...]
    keepalive: Command
    emergency_priority: int | None = 15
    """Call priority that means an emergency; known from the air interface, not yet seen on a PEI."""


def _shared(pid: int) -> Command:
    """Profile 2 (radio and gateway both), so that the officer's own radio keeps showing its texts."""
    return Command(f"AT+CTSP=2,3,{pid}", instead=f"AT+CTSP=1,3,{pid}")


_PROFILES = (
    Command("AT+CTSP=2,2,20", needed=True, instead="AT+CTSP=1,2,20"),
    Command("AT+CTSP=1,3,10", needed=True, instead="AT+CTSP=2,3,10"),
    *(_shared(pid) for pid in (130, 2, 9, 137, 138, 140, 195)),
    Command("AT+CTSP=1,3,3"),
    Command("AT+CTSP=1,3,131"),
    Command("AT+CTSP=2,0,0"),
    Command("AT+CTSP=1,1,11"),
)
GENERIC = Dialect(
    name="generic",
    setup=(
        Command("ATE0"),
        Command("AT+CSCS=8859-1"),
        Command("AT+GMI?"),
        Command("AT+GMM?"),
        Command("AT+CTOM?"),
        *_PROFILES,
        Command("AT+CNUMF?"),
        Command("AT+CREG=2"),
        Command("AT+CREG?"),
    ),
    keepalive=Command("AT+CREG?"),
)
DIALECTS = {dialect.name: dialect for dialect in (GENERIC,)}


def permitted(text: str) -> str:
    """The command as it may be sent; MisuseError for one that never may."""
    plain = text.upper().replace(" ", "")
    if plain.startswith(NEVER):
        raise MisuseError(f"{text} is never sent")
    if len(text) > MAX_COMMAND or not text.isascii() or not text.isprintable():
        raise MisuseError(f"not a command: {text[:40]!r}")
    return text
