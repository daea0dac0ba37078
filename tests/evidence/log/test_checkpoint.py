"""Checkpoints: three lines, signed under the origin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.notes import VerifierKey, sign_note
from gateway.evidence.log.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from tests.crypto.test_notes import KEY, SIGNER


@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_round_trip(size: int, root: bytes) -> None:
    """Printed and parsed, signed and opened."""
    head = Checkpoint(KEY.name, size, root)
    assert parse_checkpoint(head.text) == head
    assert open_checkpoint(head.sign(SIGNER).encode(), KEY) == head


ROOT = "A" * 43 + "="


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        f"o\n1\n{ROOT}",
        f"\n1\n{ROOT}\n",
        f"o\n01\n{ROOT}\n",
        f"o\n-1\n{ROOT}\n",
        f"o\n1\n{ROOT}\nextension\n",
        "o\n1\nAAAA\n",
        f"o\n1\n{ROOT[:-2]}B=\n",
    ],
)
def test_what_is_no_checkpoint(text: str) -> None:
    """Exactly an origin, a plain number and 32 bytes."""
    with pytest.raises(ValueError):
        parse_checkpoint(text)


def test_the_origin_is_the_keys_name() -> None:
    """A checkpoint of another origin under our key is not one of our log."""
    note = sign_note(Checkpoint("other", 1, bytes(32)).text, KEY.name, SIGNER)
    with pytest.raises(ValueError, match="other"):
        open_checkpoint(note.encode(), KEY)
    with pytest.raises(ValueError, match="0 signatures"):
        open_checkpoint(note.encode(), VerifierKey("other", SIGNER.public))
