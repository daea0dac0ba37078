"""Several gateway terminals as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.share import NONE_READY, Share, longest
from gateway.domain.ids import Issi
from gateway.errors import LinkError, RefusedError
from gateway.ports import Outgoing
from tests.dispatch.rig import FakeDownlink

TEXT = Outgoing("T/1", Issi(7), "text", "Go")


async def test_fewest_waiting_first() -> None:
    """Among those that are ready; by name where they are equal."""
    links = {name: FakeDownlink() for name in ("b", "a", "c")}
    share = Share(lambda: links)
    assert (await share.send(TEXT))[0] == "a"
    links["a"].in_hand = 3
    links["b"].in_hand = 2
    links["c"].ready = False
    assert (await share.send(TEXT))[0] == "b"
    assert share.ready


async def test_taken_over() -> None:
    """One after the other, each once; the last one's fault is told when none is left."""
    links = {name: FakeDownlink(outcomes=[LinkError(f"{name} gone")]) for name in ("a", "b")}
    share = Share(lambda: links)
    with pytest.raises(LinkError, match="b gone"):
        await share.send(TEXT)
    assert share.takeovers == 2
    assert (await share.send(TEXT))[0] == "a"


async def test_a_refusal_is_not_taken_over() -> None:
    """A radio that said no has spoken for the network: the next would hear the same."""
    links = {"a": FakeDownlink(outcomes=[RefusedError(34, "no")]), "b": FakeDownlink(in_hand=1)}
    with pytest.raises(RefusedError):
        await Share(lambda: links).send(TEXT)
    assert links["b"].heard == []


async def test_only_the_one_that_is_named() -> None:
    """A report comes from the terminal that was called, or not at all."""
    links = {"a": FakeDownlink(), "b": FakeDownlink(in_hand=3)}
    share = Share(lambda: links)
    report = Outgoing("r", Issi(7), "report", value=2, protocol=0x82, reference=5, via="b")
    assert (await share.send(report))[0] == "b"
    links["b"].ready = False
    with pytest.raises(LinkError, match=NONE_READY):
        await share.send(report)


async def test_none() -> None:
    """None there, none ready."""
    for links in ({}, {"a": FakeDownlink(ready=False)}):
        share = Share(lambda links=links: links)
        assert not share.ready
        with pytest.raises(LinkError, match=NONE_READY):
            await share.send(TEXT)
    assert Share(dict).over("x" * 9999) == 0


@given(st.text(max_size=60), st.integers(0, 80))
def test_longest(text: str, limit: int) -> None:
    """By bisection as by trying each."""
    fits = lambda part: len(part.encode()) <= limit  # noqa: E731
    assert longest(fits, text) == max(n for n in range(len(text) + 1) if fits(text[:n]))
