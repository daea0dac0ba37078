"""A log as a list of leaves that can be forked, and a witness over a temporary state."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.crypto.keys import LogSigner
from gateway.crypto.notes import VerifierKey
from gateway.evidence.log.add_checkpoint import print_submission
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.witness import Witness
from gateway.ports import WitnessAnswer
from tests.evidence.log import naive
from tests.evidence.log.lab import FixedClock

ORIGIN = "lapel.test/log"
LOG_SIGNER = LogSigner(Ed25519PrivateKey.from_private_bytes(b"l" * 32))
LOG_KEY = VerifierKey(ORIGIN, LOG_SIGNER.public)
WITNESS_SIGNER = LogSigner(Ed25519PrivateKey.from_private_bytes(b"w" * 32))
LEAVES = [b"leaf %d" % number for number in range(40)]
FORKED = [*LEAVES[:6], *(b"other %d" % number for number in range(34))]


def head(leaves: list[bytes], size: int, origin: str = ORIGIN) -> Checkpoint:
    """The tree of the first leaves."""
    return Checkpoint(origin, size, naive.mth(leaves[:size]))


def note(size: int, leaves: list[bytes] = LEAVES) -> str:
    """Its signed checkpoint."""
    return head(leaves, size).sign(LOG_SIGNER)


def request(old: int, size: int, leaves: list[bytes] = LEAVES) -> bytes:
    """An add-checkpoint request with a true proof."""
    path = naive.proof(old, leaves[:size]) if 0 < old <= size else []
    return print_submission(old, path, note(size, leaves))


def witness(state: Path, disk: Disk | None = None, name: str = "witness.test/w1") -> Witness:
    """A witness over a state, opened."""
    made = Witness((name, WITNESS_SIGNER), {ORIGIN: (LOG_KEY,)}, state, FixedClock(), disk or Disk())
    made.open()
    return made


def code(answer: WitnessAnswer) -> tuple[int, str]:
    """Status and body."""
    return answer.status, answer.body.decode()
