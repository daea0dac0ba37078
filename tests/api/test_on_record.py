"""An act of the control room is answered when it is on disk, and told before: an emergency within 100 ms."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gateway.dispatch.task import Task
from gateway.errors import StoreBusyError
from gateway.feed import written
from gateway.feed.urgent_log import Disk
from tests.api.site import Site
from tests.api.test_messages import stream
from tests.api.test_tasks import Desk

UNIT = "PCC.CSO-014"
append = Disk.append


class SlowDisk:
    """The urgent log's appends: counted, held up while `shut`, refused while `full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.full, self.appends = threading.Event(), False, 0
        self.open.set()

        def slow(disk: Disk, name: str, content: bytes) -> int:
            return self._append(disk, name, content)

        monkeypatch.setattr(Disk, "append", slow)

    def _append(self, disk: Disk, name: str, content: bytes) -> int:
        self.appends += 1
        assert self.open.wait(30)
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return append(disk, name, content)


@pytest.fixture
def disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    """Of a gateway that runs; open again at the end, so that it can close."""
    made = SlowDisk(monkeypatch)
    yield made
    made.full = False
    made.open.set()


def acts(client: httpx.Client, number: str, message: int) -> dict[str, httpx.Response]:
    """One of each kind."""
    by = {"by": "Inspector 3"}
    return {
        "duty": client.put(f"/v1/units/{UNIT}/duty", json={"code": 6}),
        "raised": client.post("/v1/emergencies", json={"unit": "CAMBS.PC-1187"}),
        "ack": client.post(f"/v1/emergencies/{number}/ack", json=by),
        "clear": client.post(f"/v1/emergencies/{number}/clear", json={**by, "outcome": "test"}),
        "dealt": client.post(f"/v1/messages/{message}/dealt", json=by),
    }


def test_a_full_disk_is_said_of_every_act(site: Site, disk: SlowDisk) -> None:
    """507 with what was told, which says that it is not journalled; told again with room, all are 200."""
    with site.client(site.token("*")) as client:
        number = client.post("/v1/emergencies", json={"unit": UNIT}).json()["id"]
        site.status(14)
        disk.full = True
        answers = acts(client, number, 1)
        for name, answer in answers.items():
            assert (answer.status_code, answer.headers["Retry-After"]) == (507, "5"), name
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert "not on disk" in answer.json()["detail"]
        assert answers["duty"].json()["told"]["code"] == 6
        for name in ("raised", "ack", "clear"):
            assert answers[name].json()["told"]["journalled"] is False, name
        assert client.get(f"/v1/units/{UNIT}").json()["properties"]["duty"]["code"] == 6
        disk.full = False
        again = acts(client, number, 1)
        assert {name: answer.status_code for name, answer in again.items()} == {
            **dict.fromkeys(("duty", "dealt"), 200),
            "raised": 201,
            **dict.fromkeys(("ack", "clear"), 404),  # it is over, which stands
        }
        assert again["raised"].json()["journalled"] is True


def test_an_emergency_waits_for_no_disk(site: Site, disk: SlowDisk) -> None:
    """It is on the feed within 100 ms while its answer waits; the answer comes with the disk, not before."""
    with site.client(site.token("*")) as client, contextlib.closing(stream(client)) as events:
        assert next(events)[0] == "snapshot"
        disk.open.clear()
        with ThreadPoolExecutor(1) as pool, site.client(site.token("*", user="second")) as other:
            began_s = time.monotonic()
            answer = pool.submit(other.post, "/v1/emergencies", json={"unit": UNIT})
            assert next(event for event, _ in events if event == "emergency")
            took_s = time.monotonic() - began_s
            time.sleep(0.3)
            assert not answer.done()
            disk.open.set()
            assert answer.result(5).status_code == 201
    assert took_s < 0.1


def test_many_share_one_write(site: Site, disk: SlowDisk) -> None:
    """Twenty acts wait while the disk is slow: one append for the first, one for all the others."""
    with site.client(site.token("*")) as client:
        disk.open.clear()
        with ThreadPoolExecutor(20) as pool:
            ways = [
                pool.submit(client.put, f"/v1/units/{UNIT}/duty", json={"code": 2, "incident": f"{number}"})
                for number in range(20)
            ]
            deadline_s = time.monotonic() + 10
            while site.within(site.gateway.feed.stats)["urgent_pending"] < 20 and time.monotonic() < deadline_s:
                time.sleep(0.01)
            assert not any(way.done() for way in ways)
            disk.open.set()
            assert [way.result(5).status_code for way in ways] == [200] * 20
    assert disk.appends <= 3


def test_a_disk_that_hangs(site: Site, disk: SlowDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 after the patience, with what was told; the same act again is 200 once it is there."""
    monkeypatch.setattr(written.Written.wait, "__defaults__", (0.2,))
    with site.client(site.token("*")) as client:
        disk.open.clear()
        late = client.put(f"/v1/units/{UNIT}/duty", json={"code": 6})
        assert (late.status_code, late.json()["told"]["code"]) == (503, 6)
        monkeypatch.undo()
        disk.open.set()
        assert client.put(f"/v1/units/{UNIT}/duty", json={"code": 6}).status_code == 200


def test_the_task_that_a_status_answers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its step is on disk too when the status is answered; a ledger that refuses is said, and stays to be written."""
    desk = Desk(site)
    ledger = site.gateway.dispatch._book._ledger
    keep, full = ledger.keep, []

    def slow(tasks: list[Task]) -> None:
        time.sleep(0.2)
        if full:
            raise StoreBusyError("the disk is full")
        keep(tasks)

    with desk.client, site.client(site.token("*")) as client:
        name = desk.give().json()["id"]
        desk.state(name, "sent")
        monkeypatch.setattr(ledger, "keep", slow)
        assert client.put(f"/v1/units/{UNIT}/duty", json={"code": 5}).status_code == 200
        assert ledger.task(name).state == "en_route"
        full.append(True)
        refused = client.put(f"/v1/units/{UNIT}/duty", json={"code": 6})
        assert (refused.status_code, refused.json()["detail"]) == (503, "the disk is full")
        full.clear()
        assert client.put(f"/v1/units/{UNIT}/duty", json={"code": 6}).status_code == 200
        assert ledger.task(name).state == "at_scene"
