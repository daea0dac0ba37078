"""An exhibit's custody as it goes out: custody.jsonl (exact, each line proved) and custody.csv (to be read)."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.crypto.canonical import canonical, parse_canonical
from gateway.errors import IntegrityError
from gateway.evidence.export.order import Log
from gateway.evidence.rows import CustodyEntry

COLUMNS = ("n", "index", "at", "kind", "actor", "in clear", "detail")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_SHOWN_APART = frozenset({"n", "at", "kind", "v", "hmac", "prev"})


class Link(msgspec.Struct, frozen=True):
    """One entry: where it lies, its exact leaf, the leaf read, detail and salt (None where erased), its proof."""

    index: int
    leaf: bytes
    facts: dict[str, Any]
    detail: dict[str, Any] | None
    salt: bytes | None
    proof: str

    def line(self) -> bytes:
        """Print as one line of custody.jsonl: binary parts in base64, so that stock tools can take them apart."""
        detail = None if self.detail is None else _b64(canonical(self.detail))
        salt = None if self.salt is None else _b64(self.salt)
        proof = _b64(self.proof.encode())
        body = {"v": 1, "index": self.index, "leaf": _b64(self.leaf), "detail": detail, "salt": salt, "proof": proof}
        return canonical(body) + b"\n"


def links(log: Log, entries: Iterable[CustodyEntry], note: str) -> list[Link]:
    """Read and prove entries of one exhibit, oldest first; IntegrityError where they are not one chain. Blocks."""
    found: list[Link] = []
    before: str | None = None
    for number, entry in enumerate(entries, 1):
        leaf = log.leaf(entry.log_index)
        facts = parse_canonical(leaf)
        if (facts.get("exhibit"), facts.get("n"), facts.get("prev")) != (entry.exhibit, number, before):
            raise IntegrityError(f"log entry {entry.log_index} is not entry {number} of exhibit {entry.exhibit}")
        before = hashlib.sha256(leaf).hexdigest()
        detail, salt = log.detail(entry.log_index) or (None, None)
        found.append(Link(entry.log_index, leaf, facts, detail, salt, log.proof_under(entry.log_index, note)))
    return found


def custody_csv(chain: Iterable[Link]) -> bytes:
    """A copy to be read in a spreadsheet; no cell of it is ever a formula."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for link in chain:
        writer.writerow([plain_cell(cell) for cell in _cells(link)])
    return text.getvalue().encode()


def plain_cell(cell: object) -> str:
    """An apostrophe before whatever a spreadsheet would take for a formula."""
    text = str(cell)
    return "'" + text if text.lstrip(" ").startswith(FORMULA) or text.startswith(FORMULA) else text


def _cells(link: Link) -> tuple[object, ...]:
    facts, detail = link.facts, link.detail
    clear = {name: fact for name, fact in facts.items() if name not in _SHOWN_APART}
    actor = "(erased)" if detail is None else detail.get("actor", "")
    said = "(erased)" if detail is None else _json(detail)
    return (facts["n"], link.index, facts["at"], facts["kind"], actor, _json(clear), said)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
