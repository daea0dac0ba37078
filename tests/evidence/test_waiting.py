"""After a restart: ready at once, each upload looked into when asked for or in its turn; what is wrong is said."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.domain.evidence import RecordingKey, Sealed, Segment
from gateway.domain.ids import DeviceId
from gateway.errors import StoreBusyError
from gateway.evidence import waiting
from tests.evidence.vault.lab import FaultyFiles, Lab, fin, noise, offer, pieces

CLIP = noise(300_000)
KEYS = [RecordingKey(DeviceId(f"cam-{n}"), "r") for n in range(6)]


@pytest.fixture
async def lab(tmp_path):
    """Six uploads half done."""
    lab = Lab(tmp_path, FaultyFiles())
    async with lab.running() as sink:
        for key in KEYS:
            await sink.begin(offer(CLIP, key=key))
            for piece in pieces(CLIP, 100_000, key)[:2]:
                await sink.keep(piece)
    return lab


@pytest.fixture
def looked(monkeypatch):
    """The exhibits looked into, in order; `gate` holds them back while it is clear."""
    recover, found = waiting.recover, []

    def noted(vault, exhibit):
        found.append(exhibit)
        return recover(vault, exhibit)

    monkeypatch.setattr(waiting, "recover", noted)
    return found


async def test_open_looks_into_nothing(lab, looked):
    """Only offers are read before the sink serves."""
    sink = lab.recordings()
    await sink.open()
    assert looked == []
    assert len(sink.waiting) == 6
    await sink.waiting.caught_up()
    assert len(looked) == 6
    assert sink.counters["recovered"] == 6
    assert {upload["durable"] for upload in sink.uploads()} == {200_000}
    await sink.close()


@pytest.mark.parametrize("ask", ["begin", "keep", "state", "finish", "abandon"])
async def test_who_is_asked_for_comes_first(lab, looked, monkeypatch, ask):
    """Each verb looks into its own recording, while the others wait for their turn; ranges are exact."""
    sink, key = lab.recordings(), KEYS[4]
    sink.waiting.catch_up = lambda: asyncio.sleep(0)  # nobody's turn comes
    await sink.open()
    part = Segment(key, 200_000, CLIP[200_000:])
    calls = {
        "begin": lambda: sink.begin(offer(CLIP, key=key)),
        "keep": lambda: sink.keep(part),
        "state": lambda: sink.state(key),
        "finish": lambda: sink.finish(fin(CLIP, key)),
        "abandon": lambda: sink.abandon(key),
    }
    answer = await calls[ask]()
    assert len(looked) == 1
    assert len(sink.waiting) == 5
    if ask == "abandon":
        assert lab.content(answer.exhibit) == CLIP[:200_000]
    else:
        assert answer.durable == ((0, 300_000 if ask == "keep" else 200_000),)
        await sink.keep(part)
        assert isinstance(await sink.finish(fin(CLIP, key)), Sealed)
    await sink.close()
    async with lab.running() as sink:
        assert sink.counters["recovered"] == 5
    assert lab.law.broken == []


async def test_two_askers_look_once(lab, looked):
    """All verbs at once: one recording, one upload, nothing twice."""
    sink, key = lab.recordings(), KEYS[0]
    await sink.open()
    await asyncio.gather(
        sink.state(key), sink.begin(offer(CLIP, key=key)), sink.keep(Segment(key, 200_000, CLIP[200_000:]))
    )
    assert isinstance(await sink.finish(fin(CLIP, key)), Sealed)
    await sink.waiting.caught_up()
    assert len(looked) == 6
    await sink.close()


async def test_a_disk_that_refuses_is_busy_and_asked_again(lab, looked):
    """The camera is told to come again, and nothing is forgotten; the next round or the camera gets it."""
    sink, key = lab.recordings(), KEYS[3]
    lab.files.fail_at = None
    await sink.open()
    await sink.waiting.caught_up()
    await sink.close()
    sink = lab.recordings()
    sink.waiting.catch_up, catch_up = (lambda: asyncio.sleep(0)), sink.waiting.catch_up
    await sink.open()
    lab.files.fail_at = len(lab.files.calls)
    with pytest.raises(StoreBusyError, match="disk"):
        await sink.begin(offer(CLIP, key=key))
    assert key in sink.waiting
    lab.files.fail_at = len(lab.files.calls) + 1
    with capture_logs() as logs:
        await catch_up()
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["staging_waits"]
    assert len(sink.waiting) == 1
    sink.waiting.catch_up = catch_up
    await sink.expire()
    await sink.waiting.caught_up()
    for one in KEYS:
        assert (await sink.state(one)).durable == ((0, 200_000),)
    await sink.close()


async def test_what_does_not_open_is_said_with_its_reason_and_left(lab):
    """A defect in one upload's files is one upload's: counted, logged, left where it is; the id is free again."""
    exhibit = lab.staged()[2]
    lab.keyring.secrets[f"identity/{exhibit}"] = b"short"
    with capture_logs() as logs:
        async with lab.running() as sink:
            assert sink.counters["unreadable"] == 1
            assert sink.counters["recovered"] == 5
            assert exhibit in lab.staged()
    [line] = [line for line in logs if line["event"] == "staging_unreadable"]
    assert line["exhibit"] == exhibit
    assert line["problem"]


async def test_close_leaves_the_rest_to_the_next_process(lab, looked):
    """A stop does not wait for a thousand uploads."""
    sink = lab.recordings()
    await sink.open()
    await sink.close()
    assert len(looked) < 6
    async with lab.running() as sink:
        assert sink.counters["recovered"] == 6
