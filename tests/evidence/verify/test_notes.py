"""Signed notes: a public vector, and every way of being nearly one."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.errors import VerificationError
from gateway.evidence.verify.notes import open_checkpoint, parse_note, parse_vkey, verify_note
from tests.evidence.verify.build_store import ORIGIN, checkpoint, note

# From the documentation of golang.org/x/mod/sumdb/note.
NEUMANN_KEY = b"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def opened(raw, vkey):
    """Open a checkpoint with a verifier key line."""
    return open_checkpoint(raw, parse_vkey(vkey, "log.vkey"), "checkpoint")


def test_public_vector_verifies():
    """The note of Go's documentation verifies with its key."""
    vkey = parse_vkey(NEUMANN_KEY, "vkey")
    verify_note(parse_note(NEUMANN_NOTE, "note"), vkey, "note")
    assert vkey.name == "PeterNeumann"


def test_checkpoint_is_read():
    """Origin, size and root come out as they were signed."""
    raw, vkey = checkpoint([b"a", b"b"], KEY)
    got = opened(raw, vkey)
    assert (got.origin, got.size, got.raw) == (ORIGIN, 2, raw)


def test_unknown_signatures_are_ignored_and_ours_must_be_there():
    """A witness's line beside ours is skipped; alone it is not enough."""
    raw, vkey = checkpoint([b"a"], KEY)
    other, _ = checkpoint([b"a"], Ed25519PrivateKey.generate(), "witness.example")
    line = other.split(b"\n\n")[1]
    assert opened(raw + line, vkey).size == 1
    with pytest.raises(VerificationError, match="a signature by"):
        opened(raw.split(b"\n\n")[0] + b"\n\n" + line, vkey)


def test_one_wrong_signature_of_ours_rejects_the_note():
    """A second line of our key that does not verify rejects the whole note."""
    raw, vkey = checkpoint([b"a"], KEY)
    wrong = checkpoint([b"b"], KEY)[0].split(b"\n\n")[1]
    with pytest.raises(VerificationError, match="valid signature"):
        opened(raw + wrong, vkey)


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n1\n",
        f"{ORIGIN}\n01\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n+1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n-1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n1\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{ORIGIN}\n1\n{base64.b64encode(bytes(32)).decode().rstrip('=')}\n",
        f"{ORIGIN}\n1\n{'A' * 42}B=\n",
        f"other\n1\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n{'9' * 19}\n{base64.b64encode(bytes(32)).decode()}\n",
        f"{ORIGIN}\n٣\n{base64.b64encode(bytes(32)).decode()}\n",
    ],
)
def test_signed_but_malformed_checkpoints(text):
    """A right signature does not excuse a body that is no checkpoint."""
    raw, vkey = note(text, KEY, ORIGIN)
    with pytest.raises(VerificationError):
        opened(raw, vkey)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"\n\n",
        b"text\n",
        b"text\n\n",
        b"text\n\n- name AAAA\n",
        b"\xff\n\n",
        b"a\tb\n\n" + b"x",
        b"a\r\n\n\n",
    ],
)
def test_notes_that_are_none(raw):
    """Whatever is no note is said to be none."""
    with pytest.raises(VerificationError):
        parse_note(raw, "note")


def test_too_many_signatures():
    """Signature lines are capped."""
    raw, vkey = checkpoint([b"a"], KEY)
    line = raw.split(b"\n\n")[1]
    with pytest.raises(VerificationError, match="at most"):
        opened(raw + line * 80, vkey)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"a+b",
        NEUMANN_KEY[:-1],
        NEUMANN_KEY + b"\n\n",
        NEUMANN_KEY.replace(b"c7", b"C7"),
        NEUMANN_KEY.replace(b"c74f", b"c74e"),
        NEUMANN_KEY.replace(b"Peter", b"Peter "),
        NEUMANN_KEY.replace(b"+AR", b"+Ah"),
        b"\xff" + NEUMANN_KEY,
    ],
)
def test_verifier_keys_that_are_none(line):
    """A verifier key is taken exactly as the specification prints it."""
    with pytest.raises(VerificationError):
        parse_vkey(line, "vkey")
