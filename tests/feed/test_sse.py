"""Server-sent events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed import sse


def test_a_frame_is_as_in_the_example() -> None:
    """id, event, data, and an empty line."""
    framed = sse.frame("01JDP7", 1000123, "position", b'{"a":1}')
    assert framed == b'id: 01JDP7-1000123\nevent: position\ndata: {"a":1}\n\n'
    assert sse.heartbeat("2026-11-21T23:29:45Z") == b": heartbeat 2026-11-21T23:29:45Z\n"


@settings(derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 2**53), st.sampled_from(["position", "duty"]), st.binary(max_size=20))))
def test_what_is_framed_is_read(records) -> None:
    """With comments and a retry between."""
    clean = [(seq, event, payload.hex().encode()) for seq, event, payload in records]
    stream = b"".join(sse.heartbeat("x") + sse.RETRY + sse.frame("E", *record) for record in clean)
    found = [(int(one.id[2:]), one.event, one.payload) for one in sse.blocks(stream + b"id: E-1\ndata: half")]
    assert found == clean


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("01JDP7-12", ("01JDP7", 12)),
        ("a-b-3", ("a-b", 3)),
        (None, None),
        ("", None),
        ("12", None),
        ("-12", None),
        ("E-", None),
        ("E--1", ("E-", 1)),
        ("E-1x", None),
        ("E-٣", None),
        ("E-" + "9" * 40, None),
    ],
)
def test_cursors(text, found) -> None:
    """`epoch-seq` or nothing."""
    assert sse.cursor(text) == found
