"""Reading DER (X.690) strictly, as far as CMS and RFC 3161 need it: one spelling a value, nothing behind the end."""

from __future__ import annotations

import msgspec

from gateway.errors import VerificationError

INTEGER, OCTETS, NULL, OID, GENERALIZED_TIME = 0x02, 0x04, 0x05, 0x06, 0x18
SEQUENCE, SET = 0x30, 0x31


class Element(msgspec.Struct, frozen=True):
    """One element: tag, content, and all of it as it stands."""

    tag: int
    content: bytes
    whole: bytes


class Reader:
    """The elements of one constructed content, in order."""

    def __init__(self, content: bytes, path: str) -> None:
        self._content, self._at, self.path = content, 0, path

    def next(self, tag: int, what: str) -> Element:
        """The next element, which must have this tag."""
        if self.peek() != tag:
            raise VerificationError(self.path, f"{what} (tag 0x{tag:02x})", self._found())
        return self._take()

    def inside(self, tag: int, what: str) -> Reader:
        """The elements within the next one."""
        return Reader(self.next(tag, what).content, self.path)

    def optional(self, tag: int) -> Element | None:
        """The next element where it has this tag."""
        return self._take() if self.peek() == tag else None

    def rest(self) -> list[Element]:
        """All that is left."""
        found = []
        while self.peek() is not None:
            found.append(self._take())
        return found

    def end(self) -> None:
        """Nothing may follow."""
        if self.peek() is not None:
            raise VerificationError(self.path, "nothing more", self._found())

    def peek(self) -> int | None:
        """The next element's tag; None at the end."""
        return self._content[self._at] if self._at < len(self._content) else None

    def _found(self) -> str:
        tag = self.peek()
        return "the end" if tag is None else f"tag 0x{tag:02x}"

    def _take(self) -> Element:
        start, content = self._at, self._content
        length, at = self._length(start + 1)
        if at + length > len(content):
            raise VerificationError(self.path, f"{length} bytes in an element", f"{len(content) - at}")
        self._at = at + length
        return Element(content[start], content[at : at + length], content[start : self._at])

    def _length(self, at: int) -> tuple[int, int]:
        """Definite and shortest (clauses 8.1.3, 10.1): the length, and where the content begins."""
        first = self._content[at : at + 1]
        if first and first[0] < 0x80:
            return first[0], at + 1
        octets = self._content[at + 1 : at + 1 + (first[0] & 0x7F)] if first else b""
        length = int.from_bytes(octets, "big")
        shortest = max(1, (length.bit_length() + 7) // 8)
        if not octets or len(octets) != first[0] & 0x7F or length < 0x80 or len(octets) != shortest:
            raise VerificationError(self.path, "a definite length in its shortest form", "another")
        return length, at + 1 + len(octets)


def dotted(element: Element) -> str:
    """An OBJECT IDENTIFIER in dotted form (clause 8.19)."""
    arcs, number = [], 0
    for octet in element.content:
        number = number << 7 | octet & 0x7F
        if octet < 0x80:
            arcs.append(number)
            number = 0
    if not arcs:
        return ""
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))
