"""Acknowledgements leave in the order of arrival."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.links.mqtt_acks import AckLine, KeptAck
from gateway.ports import Receipt


@given(st.permutations(list(range(1, 40))))
@settings(derandomize=True)
def test_any_order_of_work_gives_the_order_of_arrival(order):
    """Whatever finishes first, PUBACKs go out as the messages came, each once."""
    line = AckLine()
    tickets = {mid: line.arrived(mid) for mid in sorted(order)}
    sent = []
    for done, mid in enumerate(order):
        sent += line.done(tickets[mid])
        finished = set(order[: done + 1])
        assert sent == [m for m in sorted(order) if all(k in finished for k in range(1, m + 1))]
    assert sent == sorted(order)
    assert len(line) == 0


def test_a_second_acknowledgement_says_nothing():
    """Acknowledging twice doesn't send twice."""
    line = AckLine()
    ticket = line.arrived(7)
    assert line.done(ticket) == [7]
    assert line.done(ticket) == []


def test_a_reused_mid_is_another_message():
    """The same id may come again once it is acknowledged."""
    line = AckLine()
    assert line.done(line.arrived(7)) == [7]
    assert line.done(line.arrived(7)) == [7]


async def test_kept_ack_waits_for_every_part():
    """Accepted and quarantined: both must be on disk."""
    loop, acks, counters = asyncio.get_running_loop(), [], {"unjournalled": 0}
    first, second = loop.create_future(), loop.create_future()
    KeptAck([first, second], lambda: acks.append(1), counters)
    first.set_result(Receipt(journalled=True))
    await asyncio.sleep(0)
    assert acks == []
    second.set_result(Receipt(journalled=False))
    await asyncio.sleep(0)
    assert acks == [1]
    assert counters == {"unjournalled": 1}


async def test_kept_ack_never_acknowledges_what_intake_gave_up():
    """A cancelled or failed receipt leaves the message to redelivery."""
    loop, acks = asyncio.get_running_loop(), []
    cancelled, failed = loop.create_future(), loop.create_future()
    KeptAck([cancelled], lambda: acks.append(1), {"unjournalled": 0})
    KeptAck([failed], lambda: acks.append(1), {"unjournalled": 0})
    cancelled.cancel()
    failed.set_exception(RuntimeError("closing"))
    await asyncio.sleep(0)
    assert acks == []
