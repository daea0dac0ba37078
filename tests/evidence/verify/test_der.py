"""Reading DER: everything the writer makes reads back; other spellings and any bytes at all are refused in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto import der
from gateway.errors import VerificationError
from gateway.evidence.verify.cms import open_signed
from gateway.evidence.verify.der import Element, Reader, dotted


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_reads_what_was_written(contents: list[bytes]) -> None:
    """Each element once, in order, whole."""
    parts = [der.octets(content) for content in contents]
    reader = Reader(der.sequence(*parts), "x").inside(0x30, "it")
    found = reader.rest()
    assert [each.content for each in found] == contents
    assert [each.whole for each in found] == parts
    reader.end()


@given(st.integers(0, 2), st.integers(0, 39), st.lists(st.integers(0, 1 << 70), max_size=5))
def test_object_identifiers(first: int, second: int, rest: list[int]) -> None:
    """Written and read, the same arcs."""
    text = ".".join(map(str, (first, second, *rest)))
    assert dotted(Element(6, Reader(der.oid(text), "x").next(6, "it").content, b"")) == text


@pytest.mark.parametrize("raw", ["0480", "04810100", "0482000100", "048000000", "0402ff", "04", "0485ffffffffff"])
def test_other_spellings(raw: str) -> None:
    """Indefinite, longer than need be, cut off."""
    with pytest.raises(VerificationError):
        Reader(bytes.fromhex(raw.ljust(len(raw) + len(raw) % 2, "0")), "x").next(4, "it")


@given(st.binary(max_size=200))
def test_any_bytes_are_no_signature(raw: bytes) -> None:
    """Nothing but VerificationError comes out."""
    with pytest.raises(VerificationError):
        open_signed(raw, "x")
