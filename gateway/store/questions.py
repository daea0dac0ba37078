"""asked/<date>.jsonl: questions for the nearest unit, a line each, a file a day, so that a day is forgotten whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from gateway.errors import StoreBusyError
from gateway.feed.questions import Question

_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(Question)


class QuestionStore:
    """Questions below a directory. One writer; readers see whole lines. Blocks."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.unreadable = 0

    def add(self, questions: Sequence[Question]) -> None:
        """Keep them, on disk on return; StoreBusyError where it refuses, and then none or a torn line is there."""
        days: dict[str, list[bytes]] = {}
        for one in questions:
            days.setdefault(one.at[:10], []).append(_ENCODER.encode(one) + b"\n")
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for day, lines in days.items():
                self._append(self.directory / f"{day}.jsonl", b"".join(lines))
        except OSError as wrong:
            raise StoreBusyError(f"questions can't be kept: {wrong.strerror}") from wrong

    def _append(self, path: Path, content: bytes) -> None:
        fresh = not path.exists()
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            before = os.fstat(file).st_size
            if before and os.pread(file, 1, before - 1) != b"\n":
                content = b"\n" + content  # a line that a crash tore ends here, and costs itself alone
            try:
                _write(file, content)
                os.fdatasync(file)
            except OSError:
                os.ftruncate(file, before)
                raise
        finally:
            os.close(file)
        if fresh:
            _sync_folder(self.directory)

    def between(self, since: datetime, until: datetime) -> Iterator[Question]:
        """Those of a span (until is exclusive), oldest first; a line that can't be read is counted."""
        first, last = (each.astimezone(UTC).date() for each in (since, until))
        for day in self.days():
            if first <= day <= last:
                yield from (one for one in self._of(day) if since <= datetime.fromisoformat(one.at) < until)

    def _of(self, day: date) -> Iterator[Question]:
        with (self.directory / f"{day.isoformat()}.jsonl").open("rb") as file:
            for line in file:
                try:
                    yield _DECODER.decode(line)
                except (msgspec.DecodeError, ValueError):
                    self.unreadable += 1

    def days(self) -> list[date]:
        """Every day of which there is a file."""
        found = []
        for path in self.directory.glob("????-??-??.jsonl"):
            try:
                found.append(date.fromisoformat(path.stem))
            except ValueError:
                continue  # nobody's day
        return sorted(found)

    def expire(self, before: date) -> int:
        """Remove the files of every day before this one; say how many."""
        gone = [day for day in self.days() if day < before]
        for day in gone:
            (self.directory / f"{day.isoformat()}.jsonl").unlink(missing_ok=True)
        return len(gone)


def _write(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
