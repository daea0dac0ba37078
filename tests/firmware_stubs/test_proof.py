"""The camera believes a true proof and nothing that was touched."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_stubs.proof import ProofError, VerifierKey, check_inclusion, open_checkpoint
from firmware_stubs.receipt import Recording, verify_receipt
from tests.firmware_stubs.tiny_log import TinyLog, b64


def log_of(size):
    log = TinyLog()
    for number in range(size):
        log.append(f"leaf {number}".encode())
    return log


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_every_leaf_of_every_small_tree_is_proved(case):
    """Paths made by the recursive definition lead to the root by the iterative one."""
    size, index = case
    log = log_of(size)
    assert check_inclusion(log.leaves[index], log.proof(index), VerifierKey.parse(log.vkey)) == index


def test_extra_line_and_other_signatures_are_passed_over():
    """An extra line is not authenticated; a witness's signature is not ours to judge."""
    log = log_of(7)
    proof = log.proof(3, extra=b"anything") + f"\u2014 witness.example {b64(bytes(72))}\n"
    assert check_inclusion(log.leaves[3], proof, VerifierKey.parse(log.vkey)) == 3


def tampered():
    log = log_of(7)
    proof, key = log.proof(3), log.vkey
    lines = proof.split("\n")
    other = TinyLog(seed=b"\x08" * 32)
    other.leaves = log.leaves
    elsewhere = TinyLog(origin="elsewhere.example/log")
    elsewhere.leaves = log.leaves
    swap = {
        "header": proof.replace("@v1", "@v2"),
        "index": proof.replace("index 3", "index 2"),
        "index with a zero": proof.replace("index 3", "index 03"),
        "index beyond": proof.replace("index 3", "index 9"),
        "a hash": "\n".join([*lines[:2], b64(bytes(32)), *lines[3:]]),
        "a hash left out": "\n".join([*lines[:2], *lines[3:]]),
        "a hash too many": "\n".join([*lines[:2], lines[2], *lines[2:]]),
        "a short hash": "\n".join([*lines[:2], b64(bytes(31)), *lines[3:]]),
        "lax base64": proof.replace(lines[2], lines[2].rstrip("=")),
        "tree size": proof.replace("\n7\n", "\n8\n"),
        "no signature": proof[: proof.index("\u2014")],
        "no note": proof[: proof.index("\n\n")],
        "another key": other.proof(3),
        "another log": elsewhere.proof(3),
        "signature name": proof.replace("\u2014 lapel", "\u2014 label"),
        "a bit of the signature": flip_signature(proof),
        "a size of five thousand digits": proof.replace("\n7\n", "\n" + "7" * 5000 + "\n"),
        "a lone surrogate": proof.replace("\n7\n", "\n7\n\ud800\n"),
        "empty": "",
    }
    return [pytest.param(log.leaves[3], text, key, id=name) for name, text in swap.items()]


def flip_signature(proof):
    head, _, last = proof.rstrip("\n").rpartition(" ")
    octets = bytearray(base64.b64decode(last))
    octets[-1] ^= 1
    return f"{head} {b64(octets)}\n"


@pytest.mark.parametrize(("entry", "proof", "key"), tampered())
def test_what_was_touched_is_refused(entry, proof, key):
    """One change at a time."""
    with pytest.raises(ProofError):
        check_inclusion(entry, proof, VerifierKey.parse(key))


def test_another_entry_is_refused():
    """The proof of one leaf proves no other."""
    log = log_of(7)
    with pytest.raises(ProofError, match="signed root"):
        check_inclusion(b"leaf 4", log.proof(3), VerifierKey.parse(log.vkey))


@given(st.text(max_size=200))
def test_any_text_is_refused_in_one_way(text):
    """Nothing but ProofError is raised."""
    key = VerifierKey.parse(TinyLog().vkey)
    for read in (lambda: check_inclusion(b"", text, key), lambda: open_checkpoint(text, key)):
        with pytest.raises(ProofError):
            read()


@pytest.mark.parametrize(
    "text", ["", "a+b", "lapel+00000000+AAAA", "lapel+zz+AAAA", TinyLog().vkey.replace("lapel", "label")]
)
def test_a_bad_verifier_key_is_refused(text):
    """The key id belongs to name and key."""
    with pytest.raises(ProofError):
        VerifierKey.parse(text)


SHA = "ab" * 32
RECORDING = Recording("cam-0042", "20261121T210503Z-0017", 100, SHA, "2026-11-21T21:05:03Z", "2026-11-21T21:06:40Z")


def test_a_true_receipt_is_believed():
    """And says until when the copy is kept."""
    log = TinyLog()
    receipt = verify_receipt(log.receipt(RECORDING.name, 100, SHA), RECORDING, VerifierKey.parse(log.vkey))
    assert (receipt.exhibit, receipt.log_index, receipt.keep_until) == ("X-0001", 3, "2026-11-22T21:08:02Z")


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "cd" * 32},
        {"size": 101},
        {"recording": "another"},
        {"log_index": 4},
        {"entry": b64(b'{"kind":"seal"}')},
        {"entry": "not base64!"},
        {"entry": b64(b"[]")},
        {"entry": None},
        {"proof": ""},
        {"exhibit": "X-0002"},
        {"keep_until": "soon"},
        {"keep_until": "2026-11-22T21:08:02"},
        {"copies": 0},
    ],
)
def test_a_changed_receipt_is_refused(change):
    """Each field, changed alone."""
    log = TinyLog()
    receipt = log.receipt(RECORDING.name, 100, SHA) | change
    with pytest.raises(ProofError):
        verify_receipt(receipt, RECORDING, VerifierKey.parse(log.vkey))


@pytest.mark.parametrize("seal", [{"sha256": "cd" * 32}, {"size": 1}, {"kind": "receive"}, {"complete": False}])
def test_a_well_proved_entry_of_something_else_is_refused(seal):
    """The entry itself must speak of this very recording, whole."""
    import json

    log = TinyLog()
    leaf = {"kind": "seal", "exhibit": "X-0001", "sha256": SHA, "size": 100, "complete": True} | seal
    entry = json.dumps(leaf).encode()
    index = log.append(entry)
    receipt = log.receipt(RECORDING.name, 100, SHA)
    receipt |= {"entry": b64(entry), "log_index": index, "proof": log.proof(index)}
    with pytest.raises(ProofError, match="entry"):
        verify_receipt(receipt, RECORDING, VerifierKey.parse(log.vkey))
