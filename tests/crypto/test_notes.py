"""Signed notes: the specification's own example, strict reading, and nothing else accepted."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.keys import LogSigner
from gateway.crypto.notes import (
    VerifierKey,
    parse_note,
    parse_vkey,
    sign_note,
    strict_base64,
    strict_int,
    verify_note,
)

# golang.org/x/mod/sumdb/note, package example: key and note of another implementation.
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SIGNER = LogSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEY = VerifierKey("lapel.test/log", SIGNER.public)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(lambda text: text + "\n")


def test_another_implementations_note() -> None:
    """Its key parses and prints back, and its signature verifies."""
    key = parse_vkey(PETER_VKEY)
    assert str(key) == PETER_VKEY
    assert verify_note(PETER_NOTE.encode(), key).startswith("If you think")
    with pytest.raises(ValueError, match="wrong"):
        verify_note(PETER_NOTE.replace("think", "thank").encode(), key)


@given(TEXTS)
def test_round_trip(text: str) -> None:
    """A signed text verifies to itself; vkeys print and parse."""
    note = sign_note(text, KEY.name, SIGNER).encode()
    assert verify_note(note, KEY) == text
    assert parse_note(note).text == text
    assert parse_vkey(str(KEY)) == KEY


@given(st.data())
def test_no_changed_note_verifies(data: st.DataObject) -> None:
    """Any byte changed, inserted or removed: ValueError, and never another error."""
    note = sign_note("lapel.test/log\n1\nAAAA\n", KEY.name, SIGNER).encode()
    at = data.draw(st.integers(0, len(note) - 1))
    new = data.draw(st.binary(max_size=2).filter(lambda new: new != note[at : at + 1]))
    with pytest.raises(ValueError):
        verify_note(note[:at] + new + note[at + 1 :], KEY)


def test_other_signatures_are_left_alone() -> None:
    """A witness's line beside ours, before or after, does not matter; ours twice or never does."""
    ours = sign_note("text\n", KEY.name, SIGNER)
    witness = f"— witness {base64.b64encode(bytes(76)).decode()}\n"
    mine = ours.split("\n\n")[1]
    assert verify_note((ours + witness).encode(), KEY) == "text\n"
    assert verify_note(f"text\n\n{witness}{mine}".encode(), KEY) == "text\n"
    with pytest.raises(ValueError, match="2 signatures"):
        verify_note((ours + mine).encode(), KEY)
    with pytest.raises(ValueError, match="0 signatures"):
        verify_note(f"text\n\n{witness}".encode(), KEY)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n\n",
        "text\n— a AAAAAAA=\n",
        "te\txt\n\n— a AAAAAAA=\n",
        "text\n\n- a AAAAAAA=\n",
        "text\n\n— a\n",
        "text\n\n— a AAAA\n",
        "text\n\n— a AAAAAAB=\n",
        "text\n\n— a+b AAAAAAA=\n",
        "text\n\n— a AAAAAAA=",
        "text\n\n— a AAAAAAA=\n\n",
        "text\n\n" + "— a AAAAAAA=\n" * 65,
    ],
)
def test_what_is_no_note(note: str) -> None:
    """Its form is refused before any signature is looked at."""
    with pytest.raises(ValueError):
        parse_note(note.encode())


def test_limits() -> None:
    """A note of more than a million bytes, or not UTF-8, is refused."""
    with pytest.raises(ValueError, match="bytes"):
        parse_note(b"x" * 1_000_001)
    with pytest.raises(ValueError):
        parse_note(b"\xff\n\n\xe2\x80\x94 a AAAAAAA=\n")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\u2028b"])
def test_names(name: str) -> None:
    """Neither white space nor plus signs."""
    with pytest.raises(ValueError, match="key name"):
        sign_note("text\n", name, SIGNER)


@pytest.mark.parametrize("text", ["", "no newline", "a\rb\n", "a\x00\n"])
def test_texts_that_cannot_be_signed(text: str) -> None:
    """A text ends in a newline and has no control characters."""
    with pytest.raises(ValueError, match="newline"):
        sign_note(text, "a", SIGNER)


@pytest.mark.parametrize(
    "vkey",
    [
        PETER_VKEY + "\n",
        PETER_VKEY.replace("c74f", "c74e"),
        PETER_VKEY.replace("c74f20a3", "C74F20A3"),
        PETER_VKEY.replace("Peter", "Pater"),
        PETER_VKEY.replace("+ARp", "+BRp"),
        "a+b",
        "",
        PETER_VKEY[:-4],
    ],
)
def test_vkeys_that_are_none(vkey: str) -> None:
    """The id is that of name and key, and the print is exact."""
    with pytest.raises(ValueError):
        parse_vkey(vkey)


@given(st.binary(max_size=64))
def test_strict_base64_round_trip(raw: bytes) -> None:
    """What base64 prints is read."""
    assert strict_base64(base64.b64encode(raw).decode()) == raw


@pytest.mark.parametrize("text", ["QQ", "QR==", "Q Q=", "QQ==\n", "QQ-_", "=", "QQ==QQ==", "é==="])
def test_lax_base64_is_refused(text: str) -> None:
    """No missing padding, no spare bits, no space, no other alphabet."""
    with pytest.raises(ValueError, match="base64"):
        strict_base64(text)


@given(st.integers(0, 10**20 - 1))
def test_strict_int_round_trip(number: int) -> None:
    """What str prints is read."""
    assert strict_int(str(number)) == number


@pytest.mark.parametrize("text", ["", "01", "+1", "-1", " 1", "1 ", "1_0", "\u0661", "²", "1" * 21, "0x1", "1.0"])
def test_lax_ints_are_refused(text: str) -> None:
    """What int() takes besides is no number here."""
    with pytest.raises(ValueError, match="decimal"):
        strict_int(text)
