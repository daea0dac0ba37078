"""The way out against real brokers: what lies retained is seen, a will is left, a look leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from drivers.broker.outlet import RetainedOutlet
from drivers.links.mqtt_link import MqttLink
from gateway.errors import LinkError
from gateway.ports import BrokerAddress
from tests.drivers.links.rig import BROKERS, broker, free_port, running, until
from tests.site import Peer


@pytest.fixture(params=BROKERS)
async def mqtt(request):
    """Each broker in turn."""
    async with broker(request.param) as one:
        yield one


async def test_what_lies_retained_is_found_and_emptied_topics_are_not(mqtt):
    """Published, seen by a look and by a late joiner; emptied, by neither; not what lies elsewhere."""
    outlet = RetainedOutlet(mqtt.address, "pbo-1")
    async with running(outlet.run("w", b"gone")):
        await outlet.ready()
        for number in range(50):
            await outlet.publish(f"f/{number}", b"%d" % number, retain=True)
        await outlet.publish("f/0", b"", retain=True)
        await outlet.publish("f/x", b"passing")
        await outlet.publish("g/1", b"elsewhere", retain=True)
        assert await outlet.found("f/#") == {f"f/{number}": b"%d" % number for number in range(1, 50)}
        assert await outlet.found("f/#")
        late = await asyncio.to_thread(Peer, mqtt.address)
        try:
            assert await asyncio.to_thread(late.up)
            assert await asyncio.to_thread(late.subscribe, "f/#")
            await until(lambda: len(late.heard) == 49)
        finally:
            late.close()


async def test_a_connection_that_breaks_leaves_its_will(mqtt):
    """Cut without a word: the broker says it, retained."""
    outlet = RetainedOutlet(mqtt.address, "pbo-1")
    ear = await asyncio.to_thread(Peer, mqtt.address)
    try:
        assert await asyncio.to_thread(ear.up)
        assert await asyncio.to_thread(ear.subscribe, "w")
        async with running(outlet.run("w", b"gone")):
            await outlet.ready()
            outlet._link._connection._sock.shutdown(2)
            await until(lambda: ("w", b"gone") in ear.heard)
    finally:
        ear.close()


async def test_a_look_at_no_broker_is_a_link_error():
    """Nobody there."""
    outlet = RetainedOutlet(BrokerAddress("127.0.0.1", free_port()), "pbo-1")
    assert not outlet.connected
    with pytest.raises(LinkError):
        await outlet.found("f/#")
    with pytest.raises(LinkError):
        await outlet.publish("f/1", b"x")


async def test_a_look_leaves_no_session_behind(mqtt):
    """What is published afterwards queues for nobody: whoever takes its client id up again hears nothing."""
    outlet = RetainedOutlet(mqtt.address, "pbo-1")
    heard = []
    async with running(outlet.run("w", b"gone")):
        await outlet.ready()
        await outlet.found("f/#")
        await outlet.publish("f/1", b"later")
        link = MqttLink(mqtt.address, "pbo-1-feed-look", ["other"], lambda topic, *_: heard.append(topic))
        async with running(link.run()):
            await until(lambda: link.connected)
            await asyncio.sleep(0.2)
    assert heard == []
