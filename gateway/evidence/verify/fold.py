"""What the log says of each exhibit: the fold of its leaves, up to any size."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.evidence.verify.leaves import Leaf


class Exhibit(msgspec.Struct):
    """One exhibit's state; seal is its latest seal, controller and category the latest said."""

    first: Leaf
    last: Leaf
    received: Leaf | None = None
    seal: Leaf | None = None
    disposed: bool = False
    amended: bool = False
    controller: str | None = None
    category: str | None = None

    def take(self, leaf: Leaf) -> None:
        """Fold one more leaf in."""
        self.last = leaf
        self.controller = leaf.facts.get("controller", self.controller)
        self.category = leaf.facts.get("category", self.category)
        if leaf.kind == "seal":
            self.seal = leaf
        elif leaf.kind == "receive" and self.received is None:
            self.received = leaf
        self.disposed |= leaf.kind in {"dispose", "key_destroy"}
        self.amended |= leaf.kind in {"amend", "attribute", "transfer"}


def fold(leaves: Iterable[Leaf], size: int) -> dict[str, Exhibit]:
    """Fold the leaves below `size`, by exhibit."""
    exhibits: dict[str, Exhibit] = {}
    for leaf in leaves:
        if leaf.exhibit is not None and leaf.index < size:
            exhibits.setdefault(leaf.exhibit, Exhibit(leaf, leaf)).take(leaf)
    return exhibits
