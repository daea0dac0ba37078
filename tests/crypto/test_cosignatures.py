"""Cosignatures: the specification's form, and what differs from it is refused."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.cosignatures import (
    TIME_MAX,
    WitnessKey,
    cosign,
    cosignature_line,
    cosigned_at,
    parse_witness_vkey,
    with_cosignatures,
)
from gateway.crypto.keys import LogSigner
from gateway.crypto.notes import VerifierKey, parse_note, sign_note, verify_note

SIGNER = LogSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
LOG = LogSigner(Ed25519PrivateKey.from_private_bytes(bytes(reversed(range(32)))))
KEY = WitnessKey("witness.test/w1", SIGNER.public)
TEXT = "lapel.test/log\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
NOTE = sign_note(TEXT, "lapel.test/log", LOG)


def test_what_is_signed() -> None:
    """Header, time and the whole text, by the byte (tlog-cosignature, "Ed25519 signed message")."""
    blob = parse_note((NOTE + cosign(TEXT, KEY.name, SIGNER, 1679315147)).encode()).signatures[-1][1]
    public = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    public.verify(blob[12:], b"cosignature/v1\ntime 1679315147\n" + TEXT.encode())
    assert blob[4:12] == (1679315147).to_bytes(8, "big")
    assert blob[:4] == hashlib.sha256(b"witness.test/w1\n\x04" + SIGNER.public).digest()[:4]


@given(st.integers(0, TIME_MAX))
def test_round_trip(time_s: int) -> None:
    """Signed at a time, read as that time, and the log's own signature still holds."""
    note = with_cosignatures(NOTE, [cosign(TEXT, KEY.name, SIGNER, time_s)])
    assert cosigned_at(parse_note(note.encode()), KEY) == time_s
    assert verify_note(note.encode(), VerifierKey("lapel.test/log", LOG.public)) == TEXT


@given(st.integers(0, 8 * 76 - 1))
def test_any_flipped_bit_is_refused(bit: int) -> None:
    """Another key id is nobody's cosignature; another time or signature is a wrong one."""
    parsed = parse_note((NOTE + cosign(TEXT, KEY.name, SIGNER, 5)).encode())
    name, blob = parsed.signatures[-1]
    changed = bytearray(blob)
    changed[bit // 8] ^= 1 << (bit % 8)
    note = type(parsed)(parsed.text, (*parsed.signatures[:-1], (name, bytes(changed))))
    with pytest.raises(ValueError, match=r"no cosignature of|is wrong|no time"):
        cosigned_at(note, KEY)


def test_another_text_or_name_is_not_cosigned() -> None:
    """A cosignature holds for one text, and is found under one name."""
    line = cosign(TEXT, KEY.name, SIGNER, 5)
    other = sign_note(TEXT.replace("\n7\n", "\n8\n"), "lapel.test/log", LOG) + line
    with pytest.raises(ValueError, match="is wrong"):
        cosigned_at(parse_note(other.encode()), KEY)
    with pytest.raises(ValueError, match="no cosignature"):
        cosigned_at(parse_note((NOTE + line).encode()), WitnessKey("witness.test/w2", SIGNER.public))


def test_vkey_round_trip_and_refusals() -> None:
    """Printed and read; a log's key, a wrong id and other forms are refused."""
    assert parse_witness_vkey(str(KEY)) == KEY
    name, key_id, blob = str(KEY).split("+", 2)
    for bad in ("", name, f"{name}+00000000+{blob}", f"{name}+{key_id}+AAAA", f"+{key_id}+{blob}"):
        with pytest.raises(ValueError, match="key"):
            parse_witness_vkey(bad)
    with pytest.raises(ValueError, match="0x04"):
        parse_witness_vkey(str(VerifierKey(KEY.name, KEY.public)))


def test_the_answers_line_is_picked_and_others_are_left() -> None:
    """Of an answer with several lines, ours; a missing or wrong one is refused."""
    line = cosign(TEXT, KEY.name, SIGNER, 5)
    foreign = cosign(TEXT, "other.test/w", LOG, 6)
    assert cosignature_line((foreign + line).encode(), NOTE, KEY) == line
    for answer in (b"", foreign.encode(), b"\xff\n", line.encode()[:-1], b"ok\n"):
        with pytest.raises(ValueError):
            cosignature_line(answer, NOTE, KEY)


def test_merging_repeats_nothing_and_stays_a_note() -> None:
    """The same line twice is once; a note takes no more signatures than the format allows."""
    line = cosign(TEXT, KEY.name, SIGNER, 5)
    merged = with_cosignatures(with_cosignatures(NOTE, [line, line]), [line])
    assert merged == NOTE + line
    many = [cosign(TEXT, f"w{number}", SIGNER, 5) for number in range(70)]
    assert len(parse_note(with_cosignatures(NOTE, many).encode()).signatures) == 64


@pytest.mark.parametrize("time_s", [-1, TIME_MAX + 1])
def test_times_that_are_none(time_s: int) -> None:
    """A time below 0 or above 2^63-1 cannot be signed."""
    with pytest.raises(ValueError, match="not a time"):
        cosign(TEXT, KEY.name, SIGNER, time_s)
