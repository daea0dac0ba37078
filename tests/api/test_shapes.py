"""What queries and bodies are made of."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.shapes import WORDS, Moment, Words, parts, textual, timed, whole


class Asked(msgspec.Struct, rename={"since": "from"}):
    """A query."""

    since: Moment | None = None
    day: date | None = None
    name: Annotated[str, msgspec.Meta(max_length=3)] | None = None
    names: tuple[str, ...] = ()
    number: int | None = None


def test_of_what_a_field_is_made() -> None:
    """Through unions, tuples and annotations, by the names that are sent."""
    assert datetime in parts(Moment | None)
    assert timed(Asked) == {"from", "day"}
    assert textual(Asked) == {"name", "names"}


@given(st.text())
def test_words_say_something(text: str) -> None:
    """What is taken for words is never blank; blanks are never taken."""
    taken = re.search(WORDS, text) is not None
    assert not taken or text.strip()
    assert not (taken and not any(character.isprintable() or ord(character) > 0x9F for character in text))


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\x1c\x85", "\u2003"])
def test_blanks(text: str) -> None:
    """Nothing to be seen."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Words)


LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=3) | st.floats(allow_nan=False)


@given(st.recursive(LEAVES, lambda part: st.lists(part) | st.dictionaries(st.text(max_size=3), part), max_leaves=8))
def test_whole_numbers_stay_equal(found: Any) -> None:
    """Only how a number is written changes, and no float that is whole is left."""
    made = whole(found)
    assert made == found
    assert not [part for part in _leaves(made) if isinstance(part, float) and part.is_integer()]


def _leaves(found: Any) -> list[Any]:
    if isinstance(found, dict):
        found = list(found.values())
    return [leaf for part in found for leaf in _leaves(part)] if isinstance(found, list) else [found]
