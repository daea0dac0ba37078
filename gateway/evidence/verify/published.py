"""The lines that an operator publishes outside every bag (`lapel trust print`), as somebody kept them."""

from __future__ import annotations

import re

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify.cosignatures import parse_witness
from gateway.evidence.verify.notes import Vkey, parse_vkey
from gateway.evidence.verify.report import shown

_LINE = re.compile(
    r"(?:log (?P<log>\S+)"
    r"|signing-certificate sha256:(?P<signing>[0-9a-f]{64})"
    r"|timestamp-certificate sha256:(?P<stamp>[0-9a-f]{64})(?: (?P<label>independent|self-asserted|none))?)"
    r"(?: since=(?P<since>[0-9TZ:.-]{10,40}))?(?: until=(?P<until>[0-9TZ:.-]{10,40}))?(?: size=(?P<size>[0-9]{1,18}))?"
    r"|witness (?P<witness>\S+)(?: operator=(?P<operator>\S+))?"
)


class Witness(msgspec.Struct, frozen=True):
    """A witness and who runs it, as published."""

    vkey: Vkey
    operator: str


class Published(msgspec.Struct, frozen=True):
    """Keys and certificates by their fingerprints; several where they were changed over the years."""

    logs: tuple[Vkey, ...]
    signing: frozenset[str]
    stamps: frozenset[str]
    witnesses: tuple[Witness, ...]
    until: dict[str, str] = {}
    sizes: dict[str, int] = {}

    def ended(self, which: str) -> str | None:
        """When a former key or certificate (its vkey or fingerprint) ended; None for one that still counts."""
        return self.until.get(which)


def parse_published(text: str, path: str) -> Published:
    """Read the lines; empty ones and those with # are passed over, any other fault is a VerificationError."""
    logs, signing, stamps, witnesses = [], set(), set(), []
    until: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found, where = _LINE.fullmatch(line.strip()), f"{path} line {number}"
        if found is None:
            raise VerificationError(where, "a line of `lapel trust print`", shown(line))
        which = found["log"] or found["signing"] or found["stamp"] or ""
        until |= {which: found["until"]} if found["until"] else {}
        sizes |= {which: int(found["size"])} if found["size"] else {}
        if found["log"]:
            logs.append(parse_vkey(found["log"].encode(), where))
        elif found["signing"]:
            signing.add(found["signing"])
        elif found["stamp"]:
            stamps.add(found["stamp"])
        else:
            witnesses.append(Witness(parse_witness(found["witness"], where), found["operator"] or ""))
    return Published(tuple(logs), frozenset(signing), frozenset(stamps), tuple(witnesses), until, sizes)
