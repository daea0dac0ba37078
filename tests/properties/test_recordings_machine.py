"""A camera, a store and power cuts as a state machine: what was told durable is there, each recording sealed once.

A cut drops what was not synced: every file goes back to what its last sync made of it (or to anything between that
and what was written since), entries of directories that were not synced vanish.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.domain.evidence import RecordingFin, Sealed, Segment
from gateway.errors import SegmentError, StoreBusyError
from gateway.evidence.vault.files import DiskFiles
from tests.evidence.vault.lab import AT, BEGAN, KEY, Lab, noise, offer, sha

SIZE = 200_000
CLIPS = [noise(SIZE, seed) for seed in (1, 2)]
SPANS = st.tuples(st.integers(0, SIZE - 1), st.integers(1, 90_000)).map(lambda s: (s[0], min(SIZE, s[0] + s[1])))


class CuttableFiles(DiskFiles):
    """Disk operations that know what a power cut would leave."""

    def __init__(self) -> None:
        self.synced: dict[Path, bytes] = {}
        self.names: dict[Path, set[str]] = {}
        self.paths: dict[int, Path] = {}

    def create(self, path):
        fd = super().create(path)
        self.paths[fd] = path
        return fd

    def open(self, path, *, write):
        fd = super().open(path, write=write)
        self.paths[fd] = path
        return fd

    def datasync(self, fd):
        super().datasync(fd)
        self.synced[self.paths[fd]] = self.paths[fd].read_bytes()

    def sync_directory(self, path):
        super().sync_directory(path)
        self.names[path] = {entry.name for entry in path.iterdir()}

    def rename(self, source, target):
        super().rename(source, target)
        self.synced[target] = self.synced.pop(source, b"")

    def cut(self, root: Path, keep: float) -> None:
        """The power goes: of what was written since the last sync a part may be there, of new names none."""
        for path in sorted(root.rglob("*"), reverse=True):
            if path.parent in self.names and path.name not in self.names[path.parent]:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif path.is_file():
                whole, base = path.read_bytes(), self.synced.get(path, b"")
                path.write_bytes(whole[: len(base) + int((len(whole) - len(base)) * keep)])
                if len(base) > len(whole):
                    raise AssertionError("a file shrank")


class Store(RuleBasedStateMachine):
    """One recording id of one camera, whose film may be another one tomorrow."""

    @initialize()
    def begin(self):
        """A store and a camera that knows nothing yet."""
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.mkdtemp()
        self.files = CuttableFiles()
        self.lab = Lab(Path(self.directory), self.files)
        self.film, self.told, self.receipts = 0, set(), {}
        self.marred = False
        self.start()

    def teardown(self):
        """Whatever came before: the film can be sent and is sealed byte for byte, exactly once."""
        if not hasattr(self, "lab"):
            return
        try:
            self.seal_it()
            self.check_log()
        finally:
            self.run(self.sink.close())
            self.loop.close()
            shutil.rmtree(self.directory)

    def run(self, work):
        """Wait for it."""
        return self.loop.run_until_complete(work)

    def start(self):
        """A new process."""
        self.sink = self.lab.recordings()
        self.run(self.sink.open())

    @property
    def clip(self) -> bytes:
        """What the camera holds now."""
        return CLIPS[self.film]

    @property
    def offered(self):
        """What the camera says of it: each film began at its own time."""
        return offer(self.clip, started_at=(BEGAN, AT)[self.film])

    def heard(self, state):
        """An answer: durable never shrinks, a receipt is of what was sent."""
        if isinstance(state, Sealed):
            self.receipts.setdefault(state.exhibit, state)
            assert self.receipts[state.exhibit] == state
            self.told = set()
        else:
            for start, end in self.told:
                there = any(a <= start and end <= b for a, b in state.durable)
                assert there or (self.marred and self.sealed_elsewhere(start, end)), (start, end, state.durable)
            self.told = set(state.durable)

    def sealed_elsewhere(self, start, end) -> bool:
        """A camera that contradicts its own size has its first upload sealed: these bytes are in that exhibit."""
        rows = [row for row in self.lab.log.exhibits.values() if row.sealed_at is not None]
        return any(self.lab.content(row.id)[start:end] == self.clip[start:end] for row in rows)

    @rule()
    def offer(self):
        """Offered, or offered again."""
        self.heard(self.run(self.sink.begin(self.offered)))

    @rule(span=SPANS)
    def send(self, span):
        """A segment, whatever of it is there already."""
        self.keep(span)

    @rule(spans=st.lists(SPANS, min_size=2, max_size=6), then_fin=st.booleans())
    def burst(self, spans, then_fin):
        """Several at once, fin pipelined behind them."""

        async def all_at_once():
            work = [self.sink.keep(Segment(KEY, a, self.clip[a:b])) for a, b in spans]
            if then_fin:
                work.append(self.sink.finish(RecordingFin(KEY, SIZE, sha(self.clip))))
            return await asyncio.gather(*work, return_exceptions=True)

        for answer in self.run(all_at_once()):
            if isinstance(answer, Exception):
                assert isinstance(answer, (StoreBusyError, SegmentError)), answer
            elif isinstance(answer, Sealed):
                self.heard(answer)
        self.heard_state()

    def heard_state(self):
        """Ask, if there is something to ask about."""
        state = self.run(self.sink.state(KEY))
        if state is not None:
            self.heard(state)

    def keep(self, span):
        """One segment and its answer; bytes of another film are refused where they differ."""
        start, end = span
        try:
            self.heard(self.run(self.sink.keep(Segment(KEY, start, self.clip[start:end]))))
        except SegmentError as bad:
            assert str(bad) in ("segment_conflict", "beyond_size")  # noqa: PT017 - either may be right
            assert self.marred or self.receipts

    # What is drawn never depends on what the threads have done: no preconditions, no draws from the state.
    @rule(pick=st.integers(0, 50))
    def conflict(self, pick):
        """Other bytes over what is durable: refused, flagged, the first stands."""
        if not self.told:
            return
        start, end = sorted(self.told)[pick % len(self.told)]
        end = min(end, start + 50_000)
        wrong = bytes(byte ^ 1 for byte in self.clip[start:end])
        if self.marred:
            return
        try:
            self.run(self.sink.keep(Segment(KEY, start, wrong)))
        except SegmentError:
            return
        raise AssertionError("a conflict passed")

    @rule(size=st.sampled_from([None, None, SIZE - 1, SIZE + 1, 0]), stated=st.booleans())
    def fin(self, size, stated):
        """The right fin or an odd one; what is there is never cut off."""
        said = RecordingFin(KEY, SIZE if size is None else size, sha(self.clip) if stated else None)
        known = self.run(self.sink.state(KEY))
        answer = self.run(self.sink.finish(said))
        if isinstance(answer, Sealed) and not isinstance(known, Sealed) and known is not None:
            assert answer.size >= max((end for _, end in known.durable), default=0)
        elif size is not None and not isinstance(answer, Sealed):
            self.marred = True  # it has been told another size
        self.heard(answer)

    @rule()
    def abort(self):
        """No more will come: what came is sealed."""
        answer = self.run(self.sink.abandon(KEY))
        if answer is not None:
            self.heard(answer)
        self.told = set()

    @rule()
    def restart(self):
        """A stop and a start in order."""
        self.run(self.sink.close())
        self.start()
        self.heard_state()

    @rule(spans=st.lists(SPANS, max_size=4), keep=st.floats(0, 1))
    def power_cut(self, spans, keep):
        """The power goes while segments are being written; those not answered may be there or not."""

        async def unanswered():
            work = asyncio.gather(
                *(self.sink.keep(Segment(KEY, a, self.clip[a:b])) for a, b in spans), return_exceptions=True
            )
            for _ in range(3):
                await asyncio.sleep(0)
            # What is on its way is thrown away together with the process: nobody hears its answer.
            self.files.datasync = os.fdatasync
            await work

        self.run(unanswered())
        self.run(self.sink.close())
        del self.files.datasync
        self.files.cut(self.lab.root, keep)
        self.start()
        self.heard_state()

    @rule()
    def numbering_restarts(self):
        """The camera begins to use its ids anew, for another film."""
        if not self.receipts:
            return
        self.film, self.told = 1 - self.film, set()
        self.heard(self.run(self.sink.begin(self.offered)))

    def seal_it(self):
        """Send what is missing, and fin, as a camera does that has just come back."""
        for _ in range(6):
            state = self.run(self.sink.begin(self.offered))
            if isinstance(state, Sealed):
                assert state.sha256 == sha(self.clip)
                return
            for start, end in state.missing:
                self.keep((start, end))
            state = self.run(self.sink.finish(RecordingFin(KEY, SIZE, sha(self.clip))))
            if isinstance(state, Sealed):
                self.receipts.setdefault(state.exhibit, state)
        raise AssertionError("never sealed")

    def check_log(self):
        """Every exhibit was sealed once, and holds what its receipt says."""
        for exhibit, sealed in self.receipts.items():
            assert self.lab.log.kinds(exhibit).count("seal") == 1
            assert sha(self.lab.content(exhibit)) == sealed.sha256

    @invariant()
    def no_nonce_twice(self):
        """Whatever happens."""
        if hasattr(self, "lab"):
            assert self.lab.law.broken == []


EXAMPLES = int(os.environ.get("LAPEL_EXAMPLES", "200"))
TestStore = Store.TestCase
TestStore.settings = settings(max_examples=max(20, EXAMPLES // 25), stateful_step_count=30)
