"""What the entries of one exhibit come to, as far as the catalogue must agree with it. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.evidence.verify.leaves import Leaf


class Item(msgspec.Struct, frozen=True):
    """An exhibit by its chain: how many acts, the hash of the last; what was sealed, holds, whether it has ended."""

    n: int
    prev: str
    sha256: str | None = None
    holds: tuple[str, ...] = ()
    shredded: bool = False
    disposed: bool = False


def step(item: Item | None, leaf: Leaf) -> Item:
    """The item after one more of its entries; ValueError where that does not follow the one before."""
    n, prev = (item.n, item.prev) if item is not None else (0, "")
    if leaf.n != n + 1 or (leaf.prev or "") != prev:
        raise ValueError(
            f"entry {leaf.index} is n {leaf.n} of {leaf.exhibit} after {leaf.prev}, expected n {n + 1} after {prev}"
        )
    before = item or Item(0, "")
    return msgspec.structs.replace(before, n=leaf.n, prev=leaf.sha256, **_changes(before, leaf))


def _changes(before: Item, leaf: Leaf) -> dict[str, Any]:
    name = str(leaf.facts.get("hold", ""))
    others = tuple(each for each in before.holds if each != name)
    match leaf.kind:
        case "seal":
            return {"sha256": leaf.facts.get("sha256")}
        case "hold":
            return {"holds": (*others, name)}
        case "release":
            return {"holds": others}
        case "key_destroy":
            return {"shredded": True, "holds": ()}
        case "dispose":
            return {"disposed": True, "holds": ()}
        case _:
            return {}


def differs(item: Item, row: dict[str, Any]) -> list[str]:
    """Which columns of the catalogue's row do not say what the log says; a hold of its own is no difference."""
    holds = {str(each) for each in msgspec.json.decode(row.get("holds") or "[]")} - {"detail-erased"}
    said = {
        "n": (row.get("n"), item.n),
        "prev": (row.get("prev"), item.prev),
        "sha256": (row.get("sha256") if row.get("sealed_at") is not None else None, item.sha256),
        "holds": (holds, set(item.holds)),
        "shredded_at": (row.get("shredded_at") is not None, item.shredded),
        "disposed_at": (row.get("disposed_at") is not None, item.disposed),
    }
    return [name for name, (found, expected) in said.items() if found != expected]
