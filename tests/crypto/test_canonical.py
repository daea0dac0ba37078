"""RFC 8785 printing and strict reading."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.canonical import canonical, parse_canonical
from gateway.errors import MisuseError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_the_rfcs_own_example() -> None:
    """RFC 8785 section 3.2.2, its sample and its output."""
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert canonical(value).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_keys_are_sorted_by_utf16() -> None:
    """RFC 8785 section 3.2.3, its sample order."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    printed = canonical(dict.fromkeys(keys, 0)).decode()
    order = ["\\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert printed == "{" + ",".join(f'"{key}":0' for key in order) + "}"


CONTROLS = st.text(st.characters(max_codepoint=0x9F) | st.sampled_from('\\"/\u2028\ufb33\U0001f600'))


@given(st.dictionaries(CONTROLS, JSON | CONTROLS | st.lists(CONTROLS), max_size=5))
def test_the_quick_printer_prints_what_the_reference_does(value: dict[str, object]) -> None:
    """Whatever the value holds, the bytes are those of the rfc8785 package."""
    assert canonical(value) == rfc8785.dumps(value)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=5))
def test_round_trip(value: dict[str, object]) -> None:
    """Printed, read and printed is the same bytes, and reading gives the value."""
    text = canonical(value)
    assert canonical(parse_canonical(text)) == text
    assert parse_canonical(text) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1 << 60, object(), {1: 2}, "\ud800", b"x"])
def test_what_json_cannot_say(value: object) -> None:
    """Is our own mistake."""
    with pytest.raises(MisuseError):
        canonical({"x": value})


def test_too_deep_is_refused() -> None:
    """Neither printing nor reading runs out of stack."""
    value: dict[str, object] = {}
    for _ in range(20_000):
        value = {"x": value}
    with pytest.raises(MisuseError):
        canonical(value)
    with pytest.raises(ValueError, match="canonical"):
        parse_canonical(b'{"x":' * 20_000 + b"0" + b"}" * 20_000)


@pytest.mark.parametrize(
    "text",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1}\n',
        b"[]",
        b"1",
        b"",
        b"{",
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"a":"\\u0041"}',
        b'{"a":-0}',
    ],
)
def test_other_forms_of_the_same_are_refused(text: bytes) -> None:
    """Two spellings of one value would be two leaves."""
    with pytest.raises(ValueError):
        parse_canonical(text)


@given(st.binary(max_size=60))
def test_reading_never_raises_anything_else(text: bytes) -> None:
    """Garbage is ValueError; what is read prints back."""
    try:
        value = parse_canonical(text)
    except ValueError:
        return
    assert canonical(value) == text
