"""Any order of tasks, reports, statuses, lost links, full disks and restarts: no step back, no double, no loss."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dispatch.asked import DeclinedError
from gateway.dispatch.task import ORDER
from gateway.errors import LinkError, RefusedError, StoreBusyError
from tests.dispatch.rig import OTHER, QUICK, UNIT, Rig

LINKS = st.sampled_from(["radio-1", "radio-2"])
ACTS = st.one_of(
    st.tuples(st.just("give"), st.sampled_from([UNIT, OTHER])),
    st.tuples(
        st.just("report"), st.sampled_from(["received", "consumed", "failed", "later"]), st.integers(1, 3), LINKS
    ),
    st.tuples(st.just("status"), st.sampled_from([2, 5, 6, 15, 4]), st.sampled_from([UNIT, OTHER])),
    st.tuples(st.just("flip"), LINKS),
    st.tuples(st.just("hold"), LINKS),
    st.tuples(st.just("release"), LINKS),
    st.tuples(st.just("refuse"), LINKS, st.sampled_from([42, 34, -1])),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
    st.tuples(st.just("disk"), st.booleans()),
    st.tuples(st.just("restart"), st.booleans()),
    st.tuples(st.just("pass"), st.sampled_from([1, 10])),
)


class Run:
    """One sequence of acts over as many lives as it has restarts."""

    def __init__(self) -> None:
        self.rig = Rig(QUICK, links=2)
        self.given: dict[str, str] = {}
        self.highest: dict[str, int] = {}

    async def play(self, acts: list[tuple]) -> None:
        """All acts; then everything is made good, and time passes."""
        lives: list[list[tuple]] = [[]]
        for act in acts:
            if act[0] == "restart":
                for link in self.rig.links.values():
                    link.sent_at_a_crash = act[1]
                lives.append([])
            else:
                lives[-1].append(act)
        for number, life in enumerate(lives):
            async with self.rig.running():
                self.highest.clear()
                for act in life:
                    await self.act(*act)
                    self.watch()
                if number == len(lives) - 1:
                    await self.make_good()

    def watch(self) -> None:
        """Within one life nothing that was seen goes back."""
        for task in self.rig.dispatch._book.open():
            assert ORDER[task.state] >= self.highest.get(task.id, 0)
            self.highest[task.id] = ORDER[task.state]

    async def make_good(self) -> None:
        """Links, disk and radios behave from now on."""
        self.rig.ledger.refusing = False
        for link in self.rig.links.values():
            link.ready, link.outcomes = True, []
            if link.held is not None:
                link.held.set()
                link.held = None
        for _ in range(10):
            await self.rig.pass_s(8)
            self.watch()
        await self.rig.dispatch._book.keep()

    async def act(self, name: str, *more) -> None:
        """One act."""
        await getattr(self, name)(*more)

    async def give(self, unit: str) -> None:
        """A task; its words are its own, so that the air can be searched for them."""
        words = f"task {len(self.given)}."
        try:
            task = await self.rig.give(words, unit, override={"reason": "test"})
        except (StoreBusyError, DeclinedError):
            return
        self.given[task.id] = words

    async def report(self, delivery, reference: int, via: str) -> None:
        """A delivery report."""
        later = delivery == "later"
        self.rig.report("failed" if later else delivery, reference, 0x21 if later else 0x4A, temporary=later, via=via)
        await self.rig.settled()

    async def status(self, code: int, unit: str) -> None:
        """A status."""
        self.rig.status(code, unit)
        await self.rig.settled()

    async def flip(self, link: str) -> None:
        """Plugged or unplugged; what it has in hand is lost when it is let go."""
        self.rig.links[link].ready = not self.rig.links[link].ready
        await self.rig.pass_s(0.5)

    async def hold(self, link: str) -> None:
        """It answers nothing for now."""
        self.rig.links[link].held = self.rig.links[link].held or asyncio.Event()

    async def release(self, link: str) -> None:
        """It answers what has waited."""
        held, self.rig.links[link].held = self.rig.links[link].held, None
        if held is not None:
            held.set()
        await self.rig.settled()

    async def refuse(self, link: str, code: int) -> None:
        """The next message is refused, or lost with the link."""
        self.rig.links[link].outcomes.append(LinkError("gone") if code < 0 else RefusedError(code, "no"))

    async def cancel(self, number: int) -> None:
        """A task is taken back."""
        names = list(self.given)
        if names:
            try:
                await self.rig.dispatch.cancel(names[number % len(names)], "control")
            except (DeclinedError, StoreBusyError):
                return
            finally:
                await self.rig.settled()

    async def disk(self, full: bool) -> None:
        """The disk fills, or has room."""
        self.rig.ledger.refusing = full

    async def pass_(self, seconds: int) -> None:
        """Time goes by."""
        await self.rig.pass_s(seconds)


setattr(Run, "pass", Run.pass_)


@settings(max_examples=80)
@given(st.lists(ACTS, max_size=25))
def test_any_interleaving(acts) -> None:
    """What is on disk never steps back; no task is on the air twice unmarked; none is left lying."""
    run = Run()
    asyncio.run(run.play(acts))
    ledger = run.rig.ledger
    for ranks in ledger.ranks.values():
        assert all(earlier <= later for earlier, later in pairwise(ranks))
    aired = Counter(text for link in run.rig.links.values() for text in link.texts)
    for name, words in run.given.items():
        task = ledger.task(name)
        assert task is not None
        assert aired[words] <= 1
        assert aired[f"(repeat) {words}"] <= QUICK.attempts + sum(act[0] == "restart" for act in acts)
        assert not task.handed
        assert task.over or (not task.pending and task.state != "queued")
        on_air = aired[words] + aired[f"(repeat) {words}"]
        assert task.over or on_air > 0
        if aired[f"(repeat) {words}"] and task.state != "cancelled":
            assert task.repeated
    assert set(ledger.rows) >= set(run.given)


def test_the_check_can_fail() -> None:
    """A gateway terminal that airs everything twice is seen."""
    run = Run()

    async def doubled() -> None:
        async with run.rig.running():
            await run.give(UNIT)
            run.rig.link.heard *= 2

    asyncio.run(doubled())
    aired = Counter(run.rig.link.texts)
    assert aired["task 0."] == 2
