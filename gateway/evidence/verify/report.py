"""What a verification found: counts, findings, notes, and what could not be read at all."""

from __future__ import annotations

from types import TracebackType

import msgspec

from gateway.errors import VerificationError

LONGEST = 400


class UnreadError(VerificationError):
    """A file that could not be read for an operational reason (rights, a busy database)."""


class Finding(msgspec.Struct, frozen=True):
    """One difference: the file or log entry, what should be there, what is."""

    path: str
    expected: str
    found: str


class Report(msgspec.Struct):
    """The outcome; `ok` when nothing differs and nothing was left unread."""

    subject: str
    checkpoint: dict[str, str | int] | None = None
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    findings: list[Finding] = msgspec.field(default_factory=list)
    unread: list[Finding] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing differs and everything was read."""
        return not self.findings and not self.unread

    def add(self, error: VerificationError) -> None:
        """Keep one difference (each once, in the order found)."""
        where = self.unread if isinstance(error, UnreadError) else self.findings
        # Names and contents come from files that anybody may have written, and go to a terminal.
        finding = Finding(*(shown(words, LONGEST) for words in (error.path, error.expected, error.found)))
        if finding not in where[-64:]:
            where.append(finding)

    def differs(self, path: str, expected: str, found: str) -> None:
        """Keep one difference given in words."""
        self.add(VerificationError(path, expected, found))

    def count(self, name: str, more: int = 1) -> None:
        """Add to a counter."""
        self.counts[name] = self.counts.get(name, 0) + more

    def note(self, text: str) -> None:
        """Say something that is not a failure."""
        if shown(text, LONGEST) not in self.notes:
            self.notes.append(shown(text, LONGEST))

    def collecting(self) -> Collecting:
        """Keep what the block raises, and go on behind it."""
        return Collecting(self)

    def raise_first(self) -> None:
        """Raise the first difference, for a caller that wants an exception."""
        for finding in self.findings:
            raise VerificationError(finding.path, finding.expected, finding.found)
        for finding in self.unread:
            raise UnreadError(finding.path, finding.expected, finding.found)


class Collecting:
    """A block whose VerificationError becomes a finding."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Swallow a VerificationError, and nothing else."""
        if isinstance(error, VerificationError):
            self._report.add(error)
            return True
        return False


def shown(found: object, limit: int = 100) -> str:
    """Print a foreign value on one line, shortened."""
    text = found if isinstance(found, str) else repr(found)
    clean = "".join(c if c.isprintable() else "\\x" + format(ord(c), "02x") for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[:limit] + "…"
