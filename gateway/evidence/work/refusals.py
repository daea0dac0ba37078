"""Why an act is not done: nothing is on record then."""

from __future__ import annotations

from gateway.errors import EvidenceError


class NoneSuchError(EvidenceError):
    """What the act names is not there."""


class ConflictError(EvidenceError):
    """The exhibit, hold or rule is in a state in which this cannot be done."""


class UnfitError(EvidenceError):
    """A field of the act says something that cannot be; the text begins with its name."""
