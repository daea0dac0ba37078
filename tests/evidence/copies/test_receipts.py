"""A receipt says how many copies there are, when a camera may let go, and says it anew."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec

from gateway.domain.evidence import Act, RecordingKey, Sealed
from gateway.errors import LinkError
from gateway.evidence.copies import receipts as module
from gateway.evidence.copies.receipts import NewReceipts
from gateway.evidence.rows import Exhibit
from tests.evidence.copies.lab import until
from tests.evidence.vault.lab import KEY, Lab, fin, noise, offer, pieces


class Copied:
    """So many wanted, verified at one moment."""

    wanted = 2
    at = datetime(2026, 11, 21, 22, 0, 0, tzinfo=UTC)

    def verified_at(self, row):
        return self.at


class CopiedLab(Lab):
    """A vault whose exhibits are to be copied."""

    def recordings(self):
        made = super().recordings()
        made._sealing._needs = msgspec.structs.replace(made._sealing._needs, copied=Copied())
        return made


async def sealed(sink, content):
    """One recording, whole."""
    await sink.begin(offer(content))
    for piece in pieces(content, 50_000):
        await sink.keep(piece)
    return await sink.finish(fin(content))


async def test_kept_until_the_copies_are_verified(tmp_path):
    """At the seal: keep it. Verified: the time of that. Whatever way the camera asks, the newest."""
    lab, content = CopiedLab(tmp_path), noise(120_000)
    async with lab.running() as sink:
        first = await sealed(sink, content)
        assert (first.receipt["copies"], first.receipt["keep_until"]) == (1, "9999-12-31T23:59:59Z")
        facts = {"copies": 2, "of": 2, "blob_sha256": "x"}
        await lab.log.record(Act("copy_verified", "system", first.exhibit, facts, {"places": ["C-1"]}))
        for again in (await sink.state(KEY), await sink.begin(offer(content)), await sink.finish(fin(content))):
            assert (again.receipt["copies"], again.receipt["keep_until"]) == (2, "2026-11-21T22:00:00Z")
            assert {**again.receipt, "copies": 1, "keep_until": "", "proof": ""} == {
                **first.receipt,
                "keep_until": "",
                "proof": "",
            }


async def test_a_copy_that_is_gone_takes_the_time_back(tmp_path):
    """Fewer than wanted: the camera that still has it keeps it."""
    lab, content = CopiedLab(tmp_path), noise(60_000)
    async with lab.running() as sink:
        first = await sealed(sink, content)
        for copies in (2, 1):
            facts = {"copies": copies, "of": 2, "blob_sha256": "x"}
            await lab.log.record(Act("copy_verified", "system", first.exhibit, facts, {"places": []}))
        again = await sink.state(KEY)
    assert (again.receipt["copies"], again.receipt["keep_until"]) == (1, "9999-12-31T23:59:59Z")


class Shelf:
    """Exhibits by id."""

    def __init__(self, *rows) -> None:
        self.rows = {row.id: row for row in rows}

    def exhibit(self, name):
        return self.rows.get(name)


def row(name: str, **words) -> Exhibit:
    """An exhibit."""
    return Exhibit(**{"id": name, "device": "cam-1", "recording": name, "log_index": 0, "n": 2, **words})


async def receipt(of: Exhibit) -> Sealed:
    """Its receipt."""
    return Sealed(RecordingKey(of.device, of.recording), of.id, 1, "00", 0, {"exhibit": of.id}, of.flags)


async def test_told_to_whoever_listens_and_to_nobody_else(monkeypatch):
    """Each once; none for what is not the camera's own; one who fails or hangs holds up nobody for long."""
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    rows = (row("X-1"), row("X-2", flags=("dock_not_entitled",)), row("X-3", device=None), row("X-4"), row("X-5"))
    told, receipts = [], NewReceipts(Shelf(*rows), receipt)

    async def listen(sealed):
        told.append(sealed.exhibit)
        if sealed.exhibit == "X-1":
            raise LinkError("gone")
        if sealed.exhibit == "X-4":
            await asyncio.sleep(10)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(receipts.run())
        with receipts.heard_by(listen):
            for name in ("X-1", "X-2", "X-3", "X-4", "X-5", "X-none"):
                receipts.due(name)
            await until(lambda: "X-5" in told)
            await asyncio.sleep(0.05)
        receipts.due("X-5")
        await asyncio.sleep(0.05)
        task.cancel()
    assert told == ["X-1", "X-4", "X-5"]
    assert receipts.counters["untold"] == 2


def test_too_many_at_once_are_counted(monkeypatch):
    """The queue is bounded."""
    receipts = NewReceipts(Shelf(), receipt)
    for number in range(module.WAITING_MAX + 7):
        receipts.due(f"X-{number}")
    assert receipts.counters["untold"] == 7
