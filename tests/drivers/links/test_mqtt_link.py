"""The MQTT link against real brokers: late and ordered PUBACKs, redelivery, reconnects, publishing."""

from __future__ import annotations

import asyncio

import pytest

from drivers.links.mqtt_link import MqttLink, Will
from gateway.errors import LinkError, MisuseError
from gateway.ports import BrokerAddress
from tests.drivers.links.rig import BROKERS, MIB, Mosquitto, broker, device, free_port, running, until


class Ear:
    """Collects messages and their acknowledgements."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.acks: list = []

    def __call__(self, _topic, payload, ack) -> None:
        self.payloads.append(payload)
        self.acks.append(ack)


@pytest.fixture(params=BROKERS)
async def mqtt(request):
    """Each broker in turn."""
    async with broker(request.param) as one:
        yield one


async def test_unacknowledged_messages_come_again_and_acknowledged_ones_do_not(mqtt):
    """The broker holds exactly what was never acknowledged, in order."""
    ear = Ear()
    async with device(mqtt.address, "dev") as dev:
        link = MqttLink(mqtt.address, "gw", ["t/#"], ear)
        async with running(link.run()):
            await until(lambda: link.connected)
            for number in range(10):
                await asyncio.to_thread(dev.send, "t/x", b"%d" % number)
            await until(lambda: len(ear.payloads) == 10)
            for ack in ear.acks[:4]:
                ack()
            await asyncio.sleep(0.1)
        again = Ear()
        link = MqttLink(mqtt.address, "gw", ["t/#"], again)
        async with running(link.run()):
            await until(lambda: len(again.payloads) == 6)
            await asyncio.sleep(0.1)
        assert again.payloads == [b"4", b"5", b"6", b"7", b"8", b"9"]


async def test_acknowledging_backwards_keeps_the_connection_and_loses_nothing(mqtt):
    """Work that ends in any order is acknowledged in the order of arrival."""
    ear = Ear()
    async with device(mqtt.address, "dev") as dev:
        link = MqttLink(mqtt.address, "gw", ["t/#"], ear)
        async with running(link.run()) as errors:
            await until(lambda: link.connected)
            for number in range(15):
                await asyncio.to_thread(dev.send, "t/x", b"%d" % number)
            await until(lambda: len(ear.payloads) == 15)
            for ack in reversed(ear.acks):
                ack()
            assert link.unacknowledged == 0
            await asyncio.to_thread(dev.send, "t/x", b"last")
            await until(lambda: ear.payloads[-1] == b"last")
            assert link.connected
            assert errors == []


async def test_an_old_acknowledgement_never_reaches_a_new_connection(mqtt):
    """After a reconnect the same mid is another message: a stale ack is nothing."""
    old, new = Ear(), Ear()
    async with device(mqtt.address, "dev") as dev:
        link = MqttLink(mqtt.address, "gw", ["t/#"], old)
        async with running(link.run()):
            await until(lambda: link.connected)
            await asyncio.to_thread(dev.send, "t/x", b"one")
            await until(lambda: old.payloads)
        link.on_message = new
        async with running(link.run()):
            await until(lambda: new.payloads == [b"one"])
            old.acks[0]()
            await asyncio.sleep(0.1)
            assert link.unacknowledged == 1
        third = Ear()
        link.on_message = third
        async with running(link.run()):
            await until(lambda: third.payloads == [b"one"])


async def test_publish_returns_with_the_brokers_acknowledgement(mqtt):
    """What publish has returned from, a subscriber has."""
    link = MqttLink(mqtt.address, "gw")
    async with device(mqtt.address, "dev", "out/#") as dev, running(link.run()):
        await link.ready()
        async with asyncio.TaskGroup() as group:
            for number in range(300):
                group.create_task(link.publish("out/x", b"%d" % number))
        await until(lambda: len(dev.heard) == 300)
        assert sorted(int(payload) for _, payload in dev.heard) == list(range(300))
        assert link.published == 300


async def test_retained_is_retained(mqtt):
    """A later subscriber hears a retained message."""
    link = MqttLink(mqtt.address, "gw")
    async with running(link.run()):
        await link.ready()
        await link.publish("out/state", b"here", retain=True)
        async with device(mqtt.address, "late", "out/#") as dev:
            await until(lambda: dev.heard == [("out/state", b"here")])


async def test_large_payloads_pass_both_ways(mqtt):
    """Two MiB in and out, whole."""
    ear, content = Ear(), bytes(range(256)) * (2 * MIB // 256)
    link = MqttLink(mqtt.address, "gw", ["in/#"], ear)
    async with device(mqtt.address, "dev", "out/#") as dev, running(link.run()):
        await link.ready()
        await asyncio.to_thread(dev.send, "in/x", content)
        await until(lambda: ear.payloads == [content])
        await link.publish("out/x", content)
        await until(lambda: dev.heard == [("out/x", content)])


async def test_a_lost_broker_is_a_link_error_for_everybody_waiting(mqtt):
    """Run and publish both end with LinkError; afterwards publish refuses at once."""
    link = MqttLink(mqtt.address, "gw", ["t/#"], Ear())
    async with running(link.run()) as errors:
        await link.ready()
        await mqtt.close()
        await until(lambda: errors)
        assert isinstance(errors[0], LinkError)
        assert not link.connected
        with pytest.raises(LinkError):
            await link.publish("x", b"")


async def test_it_runs_again_after_the_broker_is_back(mqtt):
    """The same link object serves a second connection."""
    ear = Ear()
    link = MqttLink(mqtt.address, "gw", ["t/#"], ear)
    async with running(link.run()) as errors:
        await link.ready()
        await mqtt.close()
        await until(lambda: errors)
    await mqtt.open()
    async with device(mqtt.address, "dev") as dev, running(link.run()):
        await link.ready()
        await asyncio.to_thread(dev.send, "t/x", b"back")
        await until(lambda: ear.payloads == [b"back"])
        assert link.connections == 2


async def test_pause_stops_reading_and_resume_reads_on(mqtt):
    """Nothing is read in a pause, and nothing is lost by it."""
    ear = Ear()
    link = MqttLink(mqtt.address, "gw", ["t/#"], ear)
    async with device(mqtt.address, "dev") as dev, running(link.run()):
        await link.ready()
        link.pause()
        await asyncio.to_thread(dev.send, "t/x", b"waits")
        await asyncio.sleep(0.2)
        assert ear.payloads == []
        link.resume()
        await until(lambda: ear.payloads == [b"waits"])


async def test_pausing_inside_a_message_stops_the_burst(mqtt):
    """The receiver may pause from within a message: no further one is given to it."""
    payloads = []

    def stopping(_topic, payload, ack) -> None:
        payloads.append(payload)
        ack()
        link.pause()

    link = MqttLink(mqtt.address, "gw", ["t/#"], stopping)
    async with device(mqtt.address, "dev") as dev, running(link.run()):
        await link.ready()
        link.pause()
        for number in range(5):
            await asyncio.to_thread(dev.send, "t/x", b"%d" % number)
        link.resume()
        await until(lambda: payloads)
        await asyncio.sleep(0.1)
        assert payloads == [b"0"]


async def test_a_defect_of_the_receiver_ends_the_link_and_the_message_comes_again(mqtt):
    """An exception in the receiver is neither swallowed nor acknowledged."""

    def broken(_topic, _payload, _ack) -> None:
        raise ZeroDivisionError

    ear = Ear()
    link = MqttLink(mqtt.address, "gw", ["t/#"], broken)
    async with device(mqtt.address, "dev") as dev:
        async with running(link.run()) as errors:
            await link.ready()
            await asyncio.to_thread(dev.send, "t/x", b"poison")
            await until(lambda: errors)
            assert isinstance(errors[0], ZeroDivisionError)
        link.on_message = ear
        async with running(link.run()):
            await until(lambda: ear.payloads == [b"poison"])


async def test_the_will_is_published_when_the_link_dies(mqtt):
    """A connection taken over by another with its client id leaves its will."""
    link = MqttLink(mqtt.address, "gw", will=Will("state", b"offline"))
    async with device(mqtt.address, "ear", "state") as dev, running(link.run()):
        await link.ready()
        link._connection._sock.shutdown(2)
        await until(lambda: ("state", b"offline") in dev.heard)


async def test_no_broker_is_a_link_error_that_names_the_address():
    """Connection refused."""
    port = free_port()
    with pytest.raises(LinkError, match=f"127.0.0.1:{port}"):
        await MqttLink(BrokerAddress("127.0.0.1", port), "gw").run()


async def test_missing_tls_files_are_a_link_error():
    """A CA file that isn't there."""
    with pytest.raises(LinkError):
        await MqttLink(BrokerAddress("127.0.0.1", free_port(), ca="/nonexistent"), "gw").run()


async def test_a_silent_port_is_given_up(monkeypatch):
    """Somebody listens but never answers CONNECT."""
    monkeypatch.setattr("drivers.links.mqtt_link.CONNECT_PATIENCE_S", 0.3)
    server = await asyncio.start_server(lambda _r, _w: asyncio.sleep(10), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(LinkError, match="no answer"):
        await MqttLink(BrokerAddress("127.0.0.1", port), "gw").run()
    server.close()


async def test_a_refused_connection_says_why():
    """Wrong credentials."""
    async with asyncio.timeout(20):
        one = Mosquitto(free_port())
        one.extra = "allow_anonymous false"
        await one.open()
        try:
            with pytest.raises(LinkError, match="refused gw"):
                await MqttLink(one.address, "gw").run()
        finally:
            await one.close()


async def test_running_twice_at_once_is_misuse():
    """One connection a link."""
    async with broker("mosquitto") as one:
        link = MqttLink(one.address, "gw")
        async with running(link.run()):
            await link.ready()
            with pytest.raises(MisuseError):
                await link.run()
