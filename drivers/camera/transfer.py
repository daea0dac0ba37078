"""The conversation about one recording: what may run when, and which answers to give.

Sans-IO. Segments run side by side; init, status, fin and abort wait for everything before them
and hold back everything behind them, so that a pipelined `fin` finds its segments written.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from drivers.camera.share import ANSWERS_MAX, Share
from drivers.camera.wire import (
    BAD,
    MALFORMED,
    NOT_NOW,
    OK,
    RANGES_LIMIT,
    RESEND,
    Command,
    Fin,
    Init,
    Piece,
    Response,
    StatusQuery,
    suffix_of,
)
from gateway.domain.evidence import Range, RecordingKey, Sealed, UploadState

QUEUE_LIMIT = 4096
"""Commands of one recording that may wait; its bytes are bounded by the window."""
ANSWERS_LIMIT = 2 * QUEUE_LIMIT
"""Answers of one recording that may wait to be published."""
WINDOW_RETRY_S = 1
ALL_ENDS = 1 << 64
"""Greater than the end of any range."""


Ticket = Callable[[], None]
"""Acknowledges a command's message to the broker."""


def _nobody() -> None:
    """Acknowledge a message that has been acknowledged already."""


class Job(msgspec.Struct, frozen=True, eq=False):
    """A command on its way; ticket is called once its answer is published."""

    command: Command
    ticket: Ticket = _nobody

    @property
    def weight(self) -> int:
        """Bytes of footage it holds in memory."""
        return len(self.command.segment.content) if isinstance(self.command, Piece) else 0

    @property
    def start(self) -> int:
        """Where its segment begins."""
        return self.command.segment.offset if isinstance(self.command, Piece) else 0


class Answer(msgspec.Struct, eq=False):
    """An answer to publish, and the tickets to acknowledge once it is published.

    One about segments grows as more of them become durable; what it says is put into words when it is taken.
    """

    response: Response
    tickets: list[Ticket] = msgspec.field(default_factory=list)
    starts: list[int] | None = None
    durable: tuple[Range, ...] = ()


class Transfer:
    """One recording's queue and answers; memory is bounded by window_bytes, and by its camera's share."""

    def __init__(self, key: RecordingKey, window_bytes: int, share: Share | None = None) -> None:
        self.key, self.window_bytes = key, window_bytes
        self.share = share or Share()
        self.durable: tuple[Range, ...] = ()
        self._seen: tuple[Range, ...] = ()
        self.held_bytes = self.unsaid = 0
        self._queue: deque[Job] = deque()
        self._running: set[Job] = set()
        self._barred = False
        self._answers: deque[Answer] = deque()

    @property
    def idle(self) -> bool:
        """Nothing queued, nothing running, nothing to say."""
        return not (self._queue or self._running or self._answers)

    @property
    def silent(self) -> bool:
        """Nothing to say."""
        return not self._answers

    def take(self, job: Job) -> bool:
        """Queue a command; False (and a 0x97 answer) when the window or the queue is full."""
        beyond = job.weight and self.held_bytes and self.held_bytes + job.weight > self.window_bytes
        if beyond or len(self._queue) + len(self._running) >= QUEUE_LIMIT:
            self.busy(job, "window_exceeded" if beyond else "queue_full", WINDOW_RETRY_S)
            return False
        self.held_bytes += job.weight
        self._queue.append(job)
        return True

    def startable(self) -> list[Job]:
        """Take from the queue what may run now."""
        started: list[Job] = []
        while self._queue and self._may_start(self._queue[0]):
            job = self._queue.popleft()
            self._barred = not isinstance(job.command, Piece)
            self._running.add(job)
            started.append(job)
        return started

    def _may_start(self, job: Job) -> bool:
        if not isinstance(job.command, Piece):
            return not self._running
        return not (self._barred and self._running)

    def kept(self, job: Job, state: UploadState) -> None:
        """A segment is durable: say so, in one answer for all that became durable meanwhile."""
        self._end(job)
        if state.durable is not self._seen:  # a whole batch tells the same
            self._seen, self.durable = state.durable, union((*self.durable, *state.durable))
        last = self._answers[-1] if self._answers else None
        if last is None or last.starts is None:
            # Never past an answer of another kind: that one would then name fewer ranges than this.
            last = Answer(Response(self.key.recording), starts=[])
            self._answers.append(last)
            self.share.answers += 1
        last.tickets.append(job.ticket)
        last.starts.append(job.start)  # type: ignore[union-attr]  # it has some, or is none
        last.durable = self.durable

    def settled(self, job: Job, outcome: UploadState | Sealed | None) -> None:
        """Init, status, fin or abort is done: answer with the state or the receipt."""
        self._end(job)
        # Nothing runs beside these commands, so the store's word is whole: what an earlier recording of the
        # same id left here would tell its namesake that bytes are durable which nobody has.
        self._seen, self.durable = (), outcome.durable if isinstance(outcome, UploadState) else ()
        if isinstance(outcome, Sealed):
            self._say(job, Response(self.key.recording, topic=suffix_of(job.command), receipt=outcome.receipt))
        elif outcome is None:
            self.bad(job, "unknown_recording")
        else:
            self._say(job, self._state(job.command, outcome))

    def bad(self, job: Job, reason: str) -> None:
        """0x80: this segment or command is bad; the recording goes on."""
        self._end(job)
        self._say(job, self._refusal(job, BAD, reason))

    def busy(self, job: Job, reason: str, retry_after_s: int) -> None:
        """0x97: not now."""
        self._end(job)
        self._say(job, self._refusal(job, NOT_NOW, reason, retry_after_s))

    def malformed(self, suffix: str, reason: str) -> None:
        """0x83: a command that can't be read."""
        response = Response(self.key.recording, topic=suffix, reason_code=MALFORMED, reason_description=reason)
        self._add(Answer(response))

    def answer(self) -> Answer | None:
        """Take the next answer to publish; None when there is nothing to say."""
        if not self._answers:
            return None
        self.share.answers -= 1
        answer = self._answers.popleft()
        if answer.starts is not None:
            answer.response = Response(self.key.recording, durable=named(answer.durable, answer.starts))
        return answer

    def _state(self, command: Command, state: UploadState) -> Response:
        self.window_bytes = state.window_bytes
        code, reason = OK, state.reason
        if isinstance(command, Fin):
            code = RESEND if state.missing else BAD
            reason = "incomplete" if state.reason == "success" else state.reason
        return Response(
            self.key.recording,
            topic=suffix_of(command),
            reason_code=code,
            reason_description=reason,
            window_bytes=state.window_bytes if isinstance(command, (Init, StatusQuery)) else None,
            durable=self.durable[:RANGES_LIMIT],
            missing=state.missing[:RANGES_LIMIT],
        )

    def _refusal(self, job: Job, code: int, reason: str, retry_after_s: int | None = None) -> Response:
        return Response(
            self.key.recording,
            topic=suffix_of(job.command),
            reason_code=code,
            reason_description=reason,
            retry_after_s=retry_after_s,
        )

    def _say(self, job: Job, response: Response) -> None:
        self._add(Answer(response, [job.ticket]))

    def _add(self, answer: Answer) -> None:
        """Queue an answer; who asks faster than answers go out is not answered each time (`unsaid` counts)."""
        room = len(self._answers) < ANSWERS_LIMIT and self.share.answers < ANSWERS_MAX
        if room or not self._answers:
            self._answers.append(answer)
            self.share.answers += 1
            return
        self.unsaid += 1
        last = self._answers.pop()
        tickets = [ticket for ticket in answer.tickets if ticket is not _nobody]
        # The newest word stands, but never in the place of a receipt.
        newest = last if last.response.receipt is not None else answer
        self._answers.append(Answer(newest.response, [*last.tickets, *tickets]))

    def _end(self, job: Job) -> None:
        if job in self._running:
            self._running.remove(job)
            self.held_bytes -= job.weight


def named(durable: tuple[Range, ...], starts: Iterable[int]) -> tuple[Range, ...]:
    """The durable ranges; of more than an answer may name, first those of the segments that it is about."""
    if len(durable) <= RANGES_LIMIT:
        return durable
    places = {max(0, bisect_right(durable, (start, ALL_ENDS)) - 1) for start in starts}
    chosen = list(dict.fromkeys((*sorted(places), *range(RANGES_LIMIT))))[:RANGES_LIMIT]
    return tuple(durable[place] for place in sorted(chosen))


def union(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Merge half-open ranges into the fewest, in order."""
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > start:
            merged.append((start, end))
    return tuple(merged)
