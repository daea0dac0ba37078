"""The scrub on real blobs: each is read back in turn, what is not what was sealed is on record and held."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.custody import CustodyLog
from gateway.evidence.scrub import Needs, Pace, Scrub
from gateway.store.scrubs import Scrubs
from tests.evidence.log.lab import Lab
from tests.evidence.vault.lab import HandClock
from tests.evidence.verify.real_store import RealStore

DAY_S = 86_400.0
FAST = Pace(mb_s=10_000.0, days=30.0, look_s=0.01, again_s=DAY_S, failed_pause_s=0.01, summary_s=DAY_S)


class Site:
    """A store, its log open, the scrub's memory, and a clock that moves when told."""

    def __init__(self, root: Path, *, exhibits: int = 3) -> None:
        self.store = RealStore(root)
        self.exhibits = self.store.seal(*(f"r{number}" for number in range(exhibits)))
        self.lab = Lab(root)
        self.clock = HandClock()
        self.log: CustodyLog
        self.memory = Scrubs(root / "evidence" / "scrub.db")
        self.repair: Callable[[str, str, str], bool] | None = None

    @contextlib.contextmanager
    def opened(self) -> Iterator[Site]:
        """Open everything, close everything."""
        with self.lab.opened() as self.log:
            self.memory.open()
            try:
                yield self
            finally:
                self.memory.close()
                self.lab.close()

    def scrub(self, pace: Pace = FAST) -> Scrub:
        """A scrub, as a new start of the gateway has it."""
        needs = Needs(self.lab.evidence, self.memory, self.lab.catalogue, self.log, self.clock, self.repair)
        return Scrub(needs, pace)

    def run(self, done: Callable[[], bool], pace: Pace = FAST) -> Scrub:
        """Let it run until something holds."""
        scrub = self.scrub(pace)

        async def until() -> None:
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                task = group.create_task(scrub.run())
                while not (done() and scrub.figures.get("checked") == self.checked()):
                    await asyncio.sleep(0.005)
                task.cancel()

        asyncio.run(until())
        return scrub

    def checked(self) -> int:
        """How many looks there were so far."""
        return self.memory.counts(0.0)["checked"]

    def kinds(self, exhibit: str | None = None) -> list[str]:
        """Kinds of acts since the seals, of one exhibit or of all."""
        where = "" if exhibit is None else f" AND exhibit = '{exhibit}'"
        acts = self.store.sql(
            f"SELECT kind FROM custody WHERE kind NOT IN ('receive', 'seal'){where} ORDER BY log_index"
        )
        return [str(kind) for (kind,) in acts]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Three exhibits."""
    with Site(tmp_path / "store").opened() as opened:
        yield opened


def break_blob(site: Site, exhibit: str) -> bytes:
    """Turn one bit of its blob; what it was."""
    path = site.store.blob(exhibit)
    was = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(was[:-5] + bytes([was[-5] ^ 1]) + was[-4:])
    return was


def test_all_whole(site: Site) -> None:
    """Each is looked at once, then not before it is due again; nothing goes on record for it."""
    scrub = site.run(lambda: site.checked() == 3)
    assert site.memory.counts(0.0) | {"octets": 0} == {
        "blobs": 3, "never": 0, "failing": 0, "overdue": 0, "checked": 3, "octets": 0
    }  # fmt: skip
    octets = sum(site.store.blob(name).stat().st_size for name in site.exhibits)
    assert site.memory.counts(0.0)["octets"] == octets
    assert (scrub.condition, site.kinds()) == ("ok", [])
    verdict = site.memory.verdict(site.exhibits[0])
    assert verdict is not None
    assert (verdict.at, verdict.problem) == (site.clock.now().utc, None)
    assert site.memory.next_due(site.clock.now().utc.timestamp()) is None
    site.clock.seconds += 31 * DAY_S
    assert site.memory.next_due(site.clock.now().utc.timestamp()) in site.exhibits
    site.run(lambda: site.checked() == 6)


@pytest.mark.parametrize("how", ["bit", "missing", "short"])
def test_a_blob_that_is_not_what_was_sealed(site: Site, how: str) -> None:
    """It is on record once, held, alarm and degraded; whole again, both are taken back."""
    bad, path = site.exhibits[1], site.store.blob(site.exhibits[1])
    was = break_blob(site, bad) if how == "bit" else path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "short":
        path.write_bytes(was[:-1])
    scrub = site.run(lambda: site.checked() == 3)
    assert scrub.condition == "degraded"
    assert site.kinds() == site.kinds(bad) == ["verify_fail", "hold"]
    assert site.memory.failing() == [bad]
    verdict = site.memory.verdict(bad)
    assert verdict is not None
    assert verdict.problem == ("missing" if how == "missing" else "sha256")
    row = site.lab.catalogue.exhibit(bad)
    assert row is not None
    assert (row.held, row.holds) == (True, (verdict.hold,))
    # A day later it is looked at again; nothing new, nothing more on record.
    site.clock.seconds += DAY_S + 1
    site.run(lambda: site.checked() == 4, FAST_NO_SUMMARY)
    assert site.kinds(bad) == ["verify_fail", "hold"]
    path.write_bytes(was)
    site.clock.seconds += DAY_S + 1
    assert site.run(lambda: site.checked() == 5, FAST_NO_SUMMARY).condition == "ok"
    assert site.kinds(bad) == ["verify_fail", "hold", "verify_pass", "release"]
    row = site.lab.catalogue.exhibit(bad)
    assert row is not None
    assert (row.held, row.holds) == (False, ())


FAST_NO_SUMMARY = Pace(10_000.0, 30.0, 0.01, DAY_S, 0.01, 1e9)


def test_a_hold_of_a_person_stays(site: Site) -> None:
    """The scrub takes back its own hold and no other."""
    bad = site.exhibits[0]
    site.log.record_now(Act("hold", "P-1", ExhibitId(bad), {"hold": "H-0123456789AB"}, {"reason": "case"}))
    was = break_blob(site, bad)
    site.run(lambda: site.checked() == 3)
    site.store.blob(bad).write_bytes(was)
    site.clock.seconds += DAY_S + 1
    site.run(lambda: site.checked() == 4, FAST_NO_SUMMARY)
    row = site.lab.catalogue.exhibit(bad)
    assert row is not None
    assert (row.held, row.holds) == (True, ("H-0123456789AB",))


def test_repaired_from_a_copy(site: Site) -> None:
    """Where somebody can put the blob back, that is tried at once, and read back before it is believed."""
    bad, asked = site.exhibits[2], []
    was = break_blob(site, bad)

    def put_back(exhibit: str, blob: str, sha256: str) -> bool:
        asked.append((exhibit, blob, sha256))
        site.store.blob(exhibit).write_bytes(was)
        return True

    site.repair = put_back
    site.run(lambda: site.checked() == 3)
    row = site.lab.catalogue.exhibit(bad)
    assert row is not None
    assert asked == [(bad, row.blob, row.blob_sha256)]
    assert (site.memory.failing(), row.held) == ([], False)


def test_it_goes_on_where_it_was(site: Site) -> None:
    """A restart begins with what has not been looked at yet; the memory lost, everything is due."""
    first = site.memory
    site.run(lambda: site.checked() >= 1, Pace(10_000.0, 30.0, 30.0, DAY_S, 30.0, 1e9))
    looked = [name for name in site.exhibits if (v := first.verdict(name)) is not None and v.at is not None]
    site.clock.seconds += 60
    site.run(lambda: site.checked() == 3)
    for name in looked:
        verdict = first.verdict(name)
        assert verdict is not None
        assert verdict.at is not None
        assert (site.clock.now().utc - verdict.at).total_seconds() == 60
    site.memory = Scrubs(site.lab.evidence / "anew.db")
    site.memory.open()
    site.run(lambda: site.checked() == 3)
    site.memory.close()
    site.memory = first


def test_disposed_of_is_not_looked_at(site: Site) -> None:
    """What was disposed of is not missing; nor what is disposed of while it waits."""
    site.store.dispose(site.exhibits[0])
    site.run(lambda: site.checked() == 2)
    assert site.memory.verdict(site.exhibits[0]) is None
    site.store.dispose(site.exhibits[1])
    site.clock.seconds += 31 * DAY_S
    site.run(lambda: site.checked() == 3)
    assert site.memory.failing() == []
    assert "verify_fail" not in site.kinds()


def test_a_disk_that_is_not_mounted(site: Site) -> None:
    """Without its folder no blob is missing by itself: one alarm, no thousand holds."""
    (site.lab.evidence / "blobs").rename(site.lab.evidence / "away")
    scrub = site.scrub()

    async def a_while() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await scrub.run()

    # The first turn takes up the seals; from then on it is known that there are blobs.
    asyncio.run(a_while())
    assert site.kinds() == []
    assert site.checked() == 0


def test_no_faster_than_it_may(site: Site) -> None:
    """A rate is kept within the file, and the end of the gateway waits for none of it."""
    path = site.store.blob(site.exhibits[0])
    path.chmod(0o600)
    path.write_bytes(bytes(5 << 20))
    began_s = time.monotonic()
    scrub = site.scrub(Pace(mb_s=20.0))
    assert scrub.look(site.exhibits[0])[1] == "sha256"
    assert 0.2 < time.monotonic() - began_s < 2.0

    async def stopped() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(site.scrub(Pace(mb_s=0.01)).run())
            await asyncio.sleep(0.3)
            task.cancel()

    began_s = time.monotonic()
    asyncio.run(stopped())
    assert time.monotonic() - began_s < 2.0
    assert not [each for each in threading.enumerate() if each.name.startswith("scrub")]
    assert site.kinds() == []


def test_a_day_is_summed_up(site: Site) -> None:
    """Once a day one entry says how much was read back; none where nothing was."""
    site.run(lambda: site.checked() == 3)
    site.clock.seconds += DAY_S + 1
    new = site.store.seal("late")[0]
    site.lab.catalogue.close()
    site.lab.catalogue.open()
    site.run(lambda: site.kinds() != [])
    assert site.kinds() == ["verify_pass"]
    leaf = site.log.leaf(site.log.size - 1)
    assert b'"what":"scrub"' in leaf
    assert b'"checked":4' in leaf or b'"checked":1' in leaf
    assert site.memory.verdict(new) is not None


def test_a_seal_that_the_catalogue_misplaces(site: Site) -> None:
    """The hash comes from the log: a row that leads elsewhere is a difference."""
    first, second = site.exhibits[:2]
    ((index,),) = site.store.sql("SELECT log_index FROM exhibit WHERE id = ?", second)
    site.store.sql("UPDATE exhibit SET log_index = ? WHERE id = ?", index, first)
    look = site.scrub().look(first)
    assert look is not None
    assert look[1] == "its seal is not where the catalogue says"
