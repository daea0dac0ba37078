"""What the gateway writes, the verifier accepts: whole uploads, restarts, faults of the disk, and while it writes."""

import asyncio
import contextlib

import pytest

from gateway.domain.evidence import Act, RecordingKey
from gateway.domain.ids import DeviceId
from gateway.errors import GatewayError
from gateway.evidence.needs import FixedTerms, Needs
from gateway.evidence.recordings import Recordings
from gateway.evidence.shares import RecordingSettings
from gateway.evidence.verify.proof import prove
from gateway.evidence.verify.store import verify_log, verify_store
from tests.evidence.log.lab import CrashError, FaultyDisk, Lab, act
from tests.evidence.vault.lab import FakePeople, HandClock, fin, noise, offer, pieces


@pytest.fixture
def lab(tmp_path):
    """Keys, keyring, catalogue on a directory of their own."""
    found = Lab(tmp_path)
    yield found
    found.close()


@contextlib.asynccontextmanager
async def gateway(lab):
    """One process lifetime of the evidence half: the log, and the sink of recordings."""
    with lab.opened() as log:
        terms = FixedTerms("PCC", "PCC/uncategorised@3", 31)
        needs = Needs(log, log, lab.catalogue, lab.keyring, lab.keystore, FakePeople(), terms, HandClock())
        sink = Recordings(lab.evidence, needs, RecordingSettings(reserve_mb=0))
        await sink.open()
        try:
            yield log, sink
        finally:
            await sink.close()


def check(lab):
    """Verify; nothing may differ."""
    report = verify_store(lab.evidence, lab.directory / "keys")
    assert report.ok, report
    return report


def key(name):
    """A recording's key."""
    return RecordingKey(DeviceId("cam-0042"), name)


async def send(sink, name, content, *, backwards=False, upto=None):
    """Offer and send a recording, in order or from its end."""
    await sink.begin(offer(content, key=key(name)))
    parts = pieces(content, 50_000, key(name))[:upto]
    for part in parts[::-1] if backwards else parts:
        await sink.keep(part)


async def test_sealed_recordings_verify(lab):
    """Recordings of every shape, sealed: while the gateway runs, and after."""
    async with gateway(lab) as (_, sink):
        for size in (1, 1000, 65_535, 65_536, 65_537, 300_000):
            content = noise(size, size)
            await send(sink, f"r{size}", content, backwards=size > 100_000)
            await sink.finish(fin(content, key(f"r{size}")))
        assert check(lab).counts["sealed"] == 6
    assert check(lab).counts["blobs"] == 6


async def test_uploads_over_restarts_verify(lab):
    """An upload begun in one process and sealed in another, one abandoned, one of nothing, one unfinished."""
    content = noise(400_000, 5)
    async with gateway(lab) as (_, sink):
        for name in ("whole", "gaps", "open"):
            await send(sink, name, content, upto=3)
        await sink.begin(offer(content, key=key("nothing")))
        assert check(lab).counts["staging"] == 4
    async with gateway(lab) as (_, sink):
        await send(sink, "whole", content)
        await sink.finish(fin(content, key("whole")))
        await sink.abandon(key("gaps"))
        await sink.abandon(key("nothing"))
        check(lab)
    report = check(lab)
    assert (report.counts["sealed"], report.counts["staging"], report.counts.get("orphan_blobs", 0)) == (2, 1, 0)


async def test_acts_of_every_kind_fold_alike(lab):
    """The catalogue's fold and the verifier's are the same, act for act."""
    content = noise(1000)
    async with gateway(lab) as (log, sink):
        await send(sink, "r", content)
        sealed = await sink.finish(fin(content, key("r")))
        for one in (
            Act("hold", "P-1", sealed.exhibit, {"held": True, "hold": "H-1"}, {"reason": "case"}),
            Act(
                "categorise", "P-1", sealed.exhibit, {"category": "evidential", "rule": "PCC/e@1", "due": "2028-01-01"}
            ),
            Act("attribute", "P-1", sealed.exhibit, {}, {"holder": "P-0099", "flags": ["holder_corrected"]}),
            Act("amend", "P-1", sealed.exhibit, {}, {"started_at": "2026-11-21T21:00:00Z", "size": 3}),
            Act("release", "P-1", sealed.exhibit, {"held": False, "hold": "H-1"}, {}),
            Act("view", "P-1", sealed.exhibit, {}, {"seconds": 3, "holder": "nobody"}),
            Act("transfer", "P-1", sealed.exhibit, {"controller": "POL"}, {}),
            Act("browse", "P-1", None, {}, {"listed": 1}),
        ):
            await log.record(one)
        check(lab)
        for each in (sealed.exhibit, None):
            assert verify_store(lab.evidence, lab.directory / "keys", each).ok
        for kind in ("dispose_request", "dispose_approve", "key_destroy"):
            await log.record(Act(kind, "P-1", sealed.exhibit, {"disposal": "D-1"}, {}))
        assert check(lab).counts["disposals_under_way"] == 1
        lab.keyring.delete(f"identity/{sealed.exhibit}")
        for blob in (lab.evidence / "blobs").rglob("*.age"):
            blob.unlink()
        await log.record(Act("dispose", "P-1", sealed.exhibit, {"disposal": "D-1", "details": "kept"}, {}))
        assert check(lab).counts["disposed"] == 1


async def test_proofs_are_the_writers(lab):
    """The proof derived from the files is the one that the writer gave, for the last entry of a batch."""
    async with gateway(lab) as (log, _):
        for number in range(5):
            recorded = await log.record(act(number))
            proven = prove(lab.evidence, recorded.index)
            assert (proven.leaf, proven.text) == (recorded.leaf, recorded.proof)


async def test_many_entries_in_batches(lab):
    """Over the edge of the first full tile."""
    async with gateway(lab) as (log, _):
        for start in range(0, 600, 100):
            await asyncio.gather(*(log.record(act(start + i, f"X-{i % 7}")) for i in range(100)))
            assert verify_log(lab.evidence).ok
    assert check(lab).counts["entries"] == 600


async def test_while_the_gateway_writes(lab):
    """Verified again and again beside a writer, nothing ever differs."""
    async with gateway(lab) as (log, sink):
        done = asyncio.Event()

        async def write():
            for number in range(12):
                await asyncio.gather(*(log.record(act(number * 10 + i, f"X-{i}")) for i in range(10)))
                content = noise(3000, number)
                await send(sink, f"r{number}", content)
                await sink.finish(fin(content, key(f"r{number}")))
            done.set()

        async def verify():
            runs = 0
            while not done.is_set():
                report = await asyncio.to_thread(verify_store, lab.evidence, lab.directory / "keys")
                assert report.ok, report
                runs += 1
            return runs

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            runs = group.create_task(verify())
        assert runs.result() > 0
    check(lab)


@pytest.mark.parametrize("crash", [True, False])
@pytest.mark.parametrize("keep", [True, False])
async def test_after_any_fault_of_the_disk(tmp_path, *, keep, crash):
    """Each disk operation of the log fails in turn: before and after the next start nothing differs."""
    total = 0
    for at in range(-1, 200):
        if at >= 0 and at > total:
            break
        lab = Lab(tmp_path / str(at))
        with lab.opened() as log:
            await log.record(act(0))
        disk = FaultyDisk(at, keep=keep, crash=crash)
        with contextlib.suppress(CrashError, GatewayError):
            log = lab.log(disk)
            log.open_now()
            for number in range(2):
                with contextlib.suppress(GatewayError):
                    await log.record(act(number + 1))
            log.close_now()
        check(lab)
        with lab.opened() as log:
            await log.record(act(9))
        check(lab)
        lab.close()
        total = max(total, disk.count)
    assert total > 20
