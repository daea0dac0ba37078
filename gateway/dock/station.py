"""A docking station at work: folders watched, recordings sent side by side, files ended after their receipt."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gateway.dock.files import ChangedError, delete, look, move, write_whole
from gateway.dock.ledger import Entry, Ledger
from gateway.dock.offering import init, receipt_beside, receipt_text, recording_id, shown
from gateway.dock.receipt import until_told
from gateway.dock.sending import read_answer
from gateway.dock.settings import DockSettings
from gateway.dock.talk import Link, Talk, Tell
from gateway.dock.watch import Found, Stamp, Watch
from gateway.domain.backoff import Backoff
from gateway.errors import LinkError
from gateway.ports import Clock

ROOT = "lapel/v1/dock"
ASK_AGAIN_S = 300.0
"""How often a dock asks for the receipt of a recording whose copies the gateway has not verified yet."""


def answers_topic(dock: str) -> str:
    """Where the gateway answers a dock."""
    return f"{ROOT}/{dock}/camera/+/response"


class Station:
    """One dock."""

    def __init__(self, settings: DockSettings, clock: Clock, tell: Tell) -> None:
        dock = settings.dock
        self._settings, self._clock, self._tell = settings, clock, tell
        self._ledger = Ledger(Path(dock.state))
        self._watch = Watch(settings.folder, settings.serials, dock.settle_s)
        self._known: dict[Path, tuple[Stamp, Entry]] = {}
        self._talks: dict[tuple[str, str], Talk] = {}
        self._busy: set[Path] = set()
        self._told: dict[str, str] = {}
        self._asked_s: dict[Path, float] = {}
        self._stopping = False
        self._lacking: set[Path] = set()
        self._looked = False

    @property
    def quiet(self) -> bool:
        """Whether everything there is has its receipt, or cannot be sent as it is."""
        waiting = [path for path in self._lacking if str(path) not in self._told]
        return self._looked and not (self._busy or waiting or self._watch.unsettled)

    @property
    def problems(self) -> dict[str, str]:
        """What stands in the way now, by file."""
        return dict(self._told)

    async def run(self, make_link: Callable[[Callable[..., None]], Link], stop: asyncio.Event) -> None:
        """Serve until stop is set; what is under way goes on at the next start."""
        await asyncio.to_thread(self._ledger.open)
        for unreadable in self._ledger.unreadable:
            self._tell("state_unreadable", problem=unreadable)
        try:
            link = make_link(self.hear)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._keep_link(link)), group.create_task(self._keep_looking(link))]
                await stop.wait()
                self._stopping = True
                for task in tasks:
                    task.cancel()
        finally:
            self._stopping = True
            self._ledger.close()

    def hear(self, topic: str, payload: bytes, ack: Callable[[], None]) -> None:
        """Take an answer of the gateway."""
        ack()  # asked again where it is lost
        levels, answer = topic.split("/"), read_answer(payload)
        if answer is None or len(levels) != 7:
            self._tell("answer_unreadable", topic=topic[:200])
            return
        talk = self._talks.get((levels[5], answer.recording))
        if talk is not None:
            talk.hear(answer)

    # --- the connection ---------------------------------------------------------------------------------------

    async def _keep_link(self, link: Link) -> None:
        loop, backoff, said = asyncio.get_running_loop(), Backoff(0.25, 30.0, 20.0), ""
        while not self._stopping:
            began_s = loop.time()
            try:
                await link.run()
            except LinkError as gone:
                for talk in self._talks.values():
                    talk.lost()
                if str(gone) != said or loop.time() - began_s > 5:
                    said = str(gone)
                    self._tell("no_connection", problem=said)
            await asyncio.sleep(backoff.next_s(loop.time() - began_s, random.random()))  # noqa: S311

    # --- the folders ------------------------------------------------------------------------------------------

    async def _keep_looking(self, link: Link) -> None:
        """Look, begin what there is room for, look again. What began goes on beside it."""
        async with asyncio.TaskGroup() as group:
            while True:
                found = await asyncio.to_thread(self._watch.scan, asyncio.get_running_loop().time())
                self._forget_gone(found)
                lacking = [each for each in found if not self._receipted(each)]
                self._lacking = {each.path for each in lacking}
                for each in (*lacking, *(each for each in found if self._due(each))):
                    if each.path not in self._busy and len(self._busy) < self._settings.dock.parallel:
                        self._busy.add(each.path)
                        group.create_task(self._bring(each, link))
                self._tell_problems()
                self._looked = True
                await asyncio.sleep(self._settings.dock.scan_s)

    def _receipted(self, found: Found) -> bool:
        known = [self._known.get(path) for path, _ in found.files]
        return all(each is not None and each[1].receipt is not None for each in known)

    def _due(self, found: Found) -> bool:
        """Whether a file has its receipt, and is to be ended now."""
        known = self._known.get(found.path)
        if known is None or self._settings.dock.after == "keep" or not self._receipted(found):
            return False
        over = known[1].keep_until is not None and self._clock.now().utc >= known[1].keep_until
        return over or any(self._asks(path) for path, _ in found.files)

    def _asks(self, path: Path) -> bool:
        """Whether the receipt says to keep the file until a later one says otherwise, and it is time to ask."""
        entry = self._known[path][1]
        if self._settings.dock.after == "keep" or entry.receipt is None or not until_told(entry.keep_until):
            return False
        return self._clock.now().mono_s >= self._asked_s.get(path, 0.0) + ASK_AGAIN_S

    def _forget_gone(self, found: list[Found]) -> None:
        """A file that is not where it was, or is another, is read anew before anything is believed of it."""
        there = {path: stamp for each in found for path, stamp in each.files}
        self._known = {path: known for path, known in self._known.items() if there.get(path) == known[0]}
        self._asked_s = {path: at_s for path, at_s in self._asked_s.items() if path in there}

    def _tell_problems(self) -> None:
        for path, problem in self._watch.problems.items():
            self._trouble(Path(path), problem)
        for path in [path for path in self._told if not Path(path).exists()]:
            del self._told[path]

    def _trouble(self, path: Path, problem: str) -> None:
        """Say what is wrong with a file, once, and again when it is something else."""
        if self._told.get(str(path)) != problem:
            self._told[str(path)] = problem
            self._tell("waits", file=str(path), problem=problem)

    # --- one recording with its side files --------------------------------------------------------------------

    async def _bring(self, found: Found, link: Link) -> None:
        """Send what has no receipt, end what has: whatever fails is named, and tried again at the next look."""
        try:
            entries = [await self._entry(found, path, stamp) for path, stamp in found.files]
            names = [entry.recording for entry in entries]
            for entry in entries:
                if entry.receipt is None or self._asks(entry.place):
                    others = names[1:] if entry is entries[0] else names[:1]
                    await self._send(entry, init(entry, found, self._settings.dock.id, others), link)
                self._told.pop(str(entry.place), None)
            self._lacking.discard(found.path)
            for entry in reversed(entries):  # the recording last: its side files are found by it
                await asyncio.to_thread(self._end, entry)
        except ChangedError as changed:
            self._forget(found)
            self._trouble(found.path, str(changed))
        except OSError as wrong:
            self._trouble(found.path, f"{wrong.strerror or wrong}")
        finally:
            self._busy.discard(found.path)

    async def _entry(self, found: Found, path: Path, stamp: Stamp) -> Entry:
        """What is known of a file; a file seen for the first time, or again, is read and hashed."""
        known = self._known.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        was = await asyncio.to_thread(look, path, lambda: not self._stopping)
        if (was.size, was.mtime_ns) != stamp[2:]:
            raise ChangedError(f"{path.name}: has changed since it was found")
        entry = self._ledger.find(path, found.device, was.sha256)
        if entry is None or entry.was != was:
            recording = recording_id(path, was, found)
            entry = Entry(path=bytes(path), device=found.device, recording=recording, was=was)
            await asyncio.to_thread(self._ledger.save, entry)
            self._tell("found", file=str(path), device=entry.device, recording=entry.recording, size=was.size)
        self._known[path] = (stamp, entry)
        return entry

    async def _send(self, entry: Entry, offer: bytes, link: Link) -> None:
        dock = self._settings.dock
        topic = f"{ROOT}/{dock.id}/camera/{entry.device}/file/{entry.recording}"
        key = (entry.device, entry.recording)
        if key in self._talks:
            return  # the same content lies there twice: one at a time
        talk = self._talks[key] = Talk(entry, offer, topic, dock.segment_kib * 1024)
        try:
            self._tell("sending", file=str(entry.place), device=entry.device, recording=entry.recording)
            trouble = partial(self._trouble, entry.place)
            receipt, proven = await talk.receipt(link, self._settings.key, trouble)
        finally:
            del self._talks[key]
        self._asked_s[entry.place] = self._clock.now().mono_s
        if entry.receipt is not None and until_told(proven.keep_until):
            return  # nothing new
        entry.receipt, entry.exhibit, entry.keep_until = receipt, proven.exhibit, proven.keep_until
        try:
            await asyncio.to_thread(self._ledger.save, entry)
        except OSError:
            entry.receipt = None
            raise
        told = {"file": str(entry.place), "exhibit": proven.exhibit, "log_index": proven.log_index}
        self._tell("receipted", device=entry.device, recording=entry.recording, sha256=entry.was.sha256, **told)
        await asyncio.to_thread(self._lay_beside, entry, entry.place)

    def _lay_beside(self, entry: Entry, path: Path) -> None:
        """A stick may be full or read-only: the ledger has the receipt as well."""
        try:
            write_whole(receipt_beside(path), receipt_text(entry))
        except OSError as wrong:
            self._tell("receipt_not_beside", file=str(path), problem=str(wrong.strerror))

    def _end(self, entry: Entry) -> None:
        """Move or delete a file whose time is over, after reading all of it once more; blocks."""
        dock = self._settings.dock
        if dock.after == "keep" or entry.keep_until is None or self._clock.now().utc < entry.keep_until:
            return
        path = entry.place
        if dock.after == "move" and dock.move_to is not None:
            target = move(path, Path(dock.move_to) / entry.device / path.name, entry.was)
            self._lay_beside(entry, target)
            receipt_beside(path).unlink(missing_ok=True)
            self._tell("moved", file=str(path), to=str(target), exhibit=entry.exhibit)
        else:
            delete(path, entry.was)
            self._tell("deleted", file=str(path), name=shown(path), exhibit=entry.exhibit)
        self._known.pop(path, None)
        self._ledger.drop(entry)

    def _forget(self, found: Found) -> None:
        """What a file was is no longer so: it is hashed anew, and is a recording of its own."""
        for path, _ in found.files:
            if (known := self._known.pop(path, None)) is not None and known[1].receipt is None:
                self._ledger.drop(known[1])
