"""The one error tree: whose fault it is, and whether a retry helps.

Every error that crosses a room's border is one of these; anything else is a
defect of ours and ends the part that raised it, loudly.
"""

from __future__ import annotations


class GatewayError(Exception):
    """Root of every error Lapel raises on purpose."""

    retry = False
    fatal = False


class ConfigError(GatewayError):
    """A setting is wrong; raised at start-up only (exit code 2)."""

    def __init__(self, key: str, problem: str, file: str = "") -> None:
        """Name the file and the key, so that the operator finds the line."""
        self.file, self.key, self.problem = file, key, problem
        super().__init__(": ".join(part for part in (file, key, problem) if part))


class LinkError(GatewayError):
    """A port or a broker is gone; the supervisor restarts with back-off."""

    retry = True


class WireError(GatewayError):
    """The peer's bytes are not the protocol; the frame goes to quarantine."""

    def __init__(self, problem: str, *, frame: bytes = b"", offset: int = 0, clause: str = "") -> None:
        """Keep the frame, the byte or bit offset of the fault, and the clause broken."""
        self.problem, self.frame, self.offset, self.clause = problem, frame, offset, clause
        where = f" at {offset}" if offset else ""
        super().__init__(f"{problem}{where}" + (f" ({clause})" if clause else ""))


class MisuseError(GatewayError):
    """Our own code broke a contract: fails a test, restarts a driver."""


class RefusedError(GatewayError):
    """A device said no; the code is an int and is never compared as text."""

    def __init__(self, code: int, what: str) -> None:
        """Keep the device's own error code."""
        self.code = code
        super().__init__(f"{what}: refused with code {code}")


class EvidenceError(GatewayError):
    """Something about the evidence store."""


class StoreBusyError(EvidenceError):
    """Not now (disk full or reserve reached): stop acknowledging and say so."""

    retry = True

    def __init__(self, problem: str, retry_after_s: int = 30) -> None:
        """Say how long the sender should wait, in seconds."""
        self.retry_after_s = retry_after_s
        super().__init__(problem)


class OverruledError(EvidenceError):
    """What the log holds by now forbids this act (a hold: a destruction); nothing was written."""


class SegmentError(EvidenceError):
    """One segment or command of an upload is bad (reason code 0x80); the recording goes on."""


class IntegrityError(EvidenceError):
    """Stored evidence is not what was written; sealing stops, the feed goes on."""

    fatal = True


class VerificationError(EvidenceError):
    """The verifier's only error: where, what was expected, what was found."""

    def __init__(self, path: str, expected: str, found: str) -> None:
        """Name the file or entry that differs."""
        self.path, self.expected, self.found = path, expected, found
        super().__init__(f"{path}: expected {expected}, found {found}")
