"""Who reads the feed over the generated broker, and who writes it: consumers alone, the gateway alone."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from drivers.broker.outlet import RetainedOutlet
from gateway import broker_files
from tests.drivers.links.rig import running
from tests.site import Peer, Site, command, lets_in, until

DUTY, STATUS = "lapel/v1/feed/PCC/unit/PCC.A/duty", "lapel/v1/gateway/status"


@pytest.fixture(scope="module")
def site():
    """A broker with a camera and two consumers enrolled."""
    made = Site()
    made.enrol("cam-a")
    made.enrol("desk-1", "--kind", "consumer")
    made.enrol("desk-2", "--kind", "consumer")
    made.enrol("desk-pcc", "--kind", "consumer", "--agency", "PCC")
    made.write()
    made.start()
    yield made
    made.close()


def test_a_consumer_reads_feed_and_status_and_nothing_else(site, clients):
    """What devices say, what they are told, and the gateway's other topics: not for it."""
    desk, gateway = clients(site.device("desk-1")), clients(site.gateway(), client_id="g1")
    for topic in ("lapel/v1/feed/#", STATUS, "lapel/v1/#", "#", "owntracks/#", "lapel/v1/camera/desk-1/response"):
        desk.subscribe(topic)
    clients(site.device("cam-a")).send("lapel/v1/camera/cam-a/status", b"secret")
    gateway.send("lapel/v1/camera/desk-1/response", b"secret")
    gateway.send("lapel/v1/gateway/g/looked", b"secret")
    gateway.send(STATUS, b"status")
    gateway.send(DUTY, b"duty")
    until(lambda: {(STATUS, b"status"), (DUTY, b"duty")} <= set(desk.heard))
    time.sleep(0.05)
    assert {payload for _, payload in desk.heard} == {b"status", b"duty"}


@pytest.mark.parametrize("who", ["desk-1", "cam-a"])
@pytest.mark.parametrize(
    "topic", [DUTY, "lapel/v1/feed/emergency/EM-1", STATUS, "lapel/v1/camera/desk-1/status", "owntracks/desk-1/x"]
)
def test_only_the_gateway_writes_there(site, clients, who, topic):
    """Neither a consumer nor a device; nor has a consumer the topics that a device of its name would have."""
    watcher = clients(site.gateway(), client_id=f"w{who}")
    for each in ("lapel/v1/feed/#", STATUS, "lapel/v1/camera/+/status", "owntracks/#"):
        assert watcher.subscribe(each)
    speaker = clients(site.device(who))
    with contextlib.suppress(RuntimeError, ValueError):
        speaker.client.publish(topic, b"forged", 1).wait_for_publish(1)
    clients(site.gateway(), client_id="barrier").send("lapel/v1/feed/barrier", b"barrier")
    until(lambda: ("lapel/v1/feed/barrier", b"barrier") in watcher.heard)
    assert (topic, b"forged") not in watcher.heard


def test_a_consumer_that_is_revoked_reads_nothing_more(site, clients):
    """After the reload: not on the connection that it has, not on a new one; the other goes on."""
    lost, other = clients(site.device("desk-2")), clients(site.device("desk-1"))
    for each in (lost, other):
        assert each.subscribe("lapel/v1/feed/#")
    command("device", "revoke", "desk-2", "--reason", "sold", "--broker", site.conf, "--data", site.data)
    site.reload()
    lost.heard.clear()
    clients(site.gateway(), client_id="g2").send(DUTY, b"after")
    until(lambda: (DUTY, b"after") in other.heard)
    assert lost.heard == []
    assert not lets_in(site.device("desk-2"))


def test_rights_name_each_consumer_and_each_revoked():
    """By text: who reads, who has nothing left; without consumers no word of them; the gateway's lines turn it on."""
    text = broker_files.rights(["cam-x"], {"desk-1": None})
    assert "user desk-1\ntopic read lapel/v1/feed/#\ntopic read lapel/v1/gateway/status\ntopic deny" in text
    assert text.endswith("user cam-x\ntopic deny #\n")
    assert "feed" not in broker_files.rights([])


def test_an_agencys_consumer_reads_its_own_view_and_nothing_else(site, clients):
    """Not the whole feed, not another agency's topics; and no other consumer reads what is that agency's."""
    desk, other, gateway = (
        clients(site.device("desk-pcc")),
        clients(site.device("desk-1")),
        clients(site.gateway(), client_id="g3"),
    )
    for topic in ("lapel/v1/agency/PCC/#", "lapel/v1/feed/#", "lapel/v1/agency/#", "lapel/v1/#", "#"):
        desk.subscribe(topic)
        other.subscribe(topic)
    gateway.send("lapel/v1/agency/CAMBS/feed/CAMBS/unit/CAMBS.A/duty", b"another's")
    gateway.send("lapel/v1/agency/PCC/status", b"status")
    gateway.send("lapel/v1/agency/PCC/feed/PCC/unit/PCC.A/duty", b"theirs")
    gateway.send(DUTY, b"whole")
    until(lambda: b"theirs" in {payload for _, payload in desk.heard})
    until(lambda: b"whole" in {payload for _, payload in other.heard})
    time.sleep(0.05)
    assert {payload for _, payload in desk.heard} == {b"status", b"theirs"}
    assert not {b"status", b"theirs", b"another's"} & {payload for _, payload in other.heard}


def test_a_renewed_consumer_keeps_its_agency(site):
    """What it may read is not widened by its next certificate."""
    command("device", "renew", "desk-pcc", "--out", site.data / "renewed", "--data", site.data)
    command("broker", "config", "-o", site.data / "again", "--data", site.data)
    text = (site.data / "again" / "rights-devices").read_text()
    assert "user desk-pcc\ntopic read lapel/v1/agency/PCC/feed/#\ntopic read lapel/v1/agency/PCC/status\n" in text
    assert "user desk-1\ntopic read lapel/v1/feed/#" in text


async def test_the_gateways_own_rights_are_enough_to_fill_and_to_look(site):
    """Retained for a consumer that comes late, seen by the gateway's look, emptied."""
    outlet = RetainedOutlet(site.gateway(), "pbo-1")
    topic = "lapel/v1/feed/PCC/unit/PCC.B/duty"
    async with running(outlet.run(STATUS, b"{}")):
        await outlet.ready()
        await outlet.publish(topic, b"duty", retain=True)
        assert await outlet.found("lapel/v1/feed/#") == {topic: b"duty"}
        desk = await asyncio.to_thread(Peer, site.device("desk-1"))
        try:
            assert await asyncio.to_thread(desk.subscribe, "lapel/v1/feed/#")
            await asyncio.to_thread(until, lambda: desk.heard == [(topic, b"duty")])
        finally:
            desk.close()
        await outlet.publish(topic, b"", retain=True)
        assert await outlet.found("lapel/v1/feed/#") == {}
