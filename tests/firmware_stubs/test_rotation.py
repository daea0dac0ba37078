"""A camera follows the log to another key only by the word of the key that it pinned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_stubs.proof import ProofError, VerifierKey
from firmware_stubs.receipt import Recording, verify_receipt
from firmware_stubs.rotation import follow, parse_rotation
from firmware_stubs.upload import Memory, Upload
from tests.firmware_stubs.tiny_log import ORIGIN, TinyLog, b64

SHA = "ab" * 32
RECORDING = Recording("cam-1", "rec-1", 100, SHA, "2026-11-21T21:00:00Z", "2026-11-21T21:01:00Z")
LOGS = [TinyLog(seed=bytes([number]) * 32) for number in (7, 8, 9)]
KEYS = [VerifierKey.parse(log.vkey) for log in LOGS]


def rotation(old, new, size=5, signers=None, origin=ORIGIN):
    """A statement, signed by both or by whoever is named."""
    lines = ["lapel key rotation v1", f"origin {origin}", f"old {old.vkey}", f"new {new.vkey}", f"size {size}"]
    body = "\n".join([*lines, f"root {b64(bytes(32))}", "old key ends"]) + "\n"
    signed = [f"\u2014 {log.origin} {b64(log.key_id + log.key.sign(body.encode()))}\n" for log in signers or (old, new)]
    return body + "\n" + "".join(signed)


def receipt(log, rotations):
    """A receipt for the recording by this key, six entries in the log."""
    log.leaves = []
    return {**log.receipt(RECORDING.name, 100, SHA), "rotations": rotations}


def test_the_pinned_key_leads_to_the_next():
    """From the first key over the second to the third, or from the second; the pin moves along."""
    steps = [rotation(LOGS[0], LOGS[1], 3), rotation(LOGS[1], LOGS[2], 4)]
    for pinned in KEYS:
        assert verify_receipt(receipt(LOGS[2], steps), RECORDING, pinned).key == KEYS[2]
    assert [most for _, most in follow(steps, KEYS[0])] == [4, 5, None]
    assert follow([], KEYS[0]) == [(KEYS[0], None)]


def test_without_its_word_it_stays():
    """No statement, one by the new key alone, one by another key, one that skips a step."""
    steps = [rotation(LOGS[0], LOGS[1]), rotation(LOGS[1], LOGS[2])]
    for rotations in ([], [rotation(LOGS[0], LOGS[2], signers=[LOGS[2]])], [steps[1]], [steps[1], steps[0]]):
        with pytest.raises(ProofError):
            verify_receipt(receipt(LOGS[2], rotations), RECORDING, KEYS[0])


def test_a_proof_of_before_is_good_and_a_later_one_by_the_old_key_is_not():
    """The old key's word ends with the entry that hands over."""
    size = len(LOGS[0].leaves) if receipt(LOGS[0], []) else 0
    good = receipt(LOGS[0], [rotation(LOGS[0], LOGS[1], size - 1)])
    assert verify_receipt(good, RECORDING, KEYS[0]).key == KEYS[1]
    with pytest.raises(ProofError, match="rotated before"):
        verify_receipt({**good, "rotations": [rotation(LOGS[0], LOGS[1], size - 2)]}, RECORDING, KEYS[0])


@pytest.mark.parametrize("wrong", [None, "text", [None], [7], ["x"] * 65, {"a": 1}])
def test_what_is_no_list_of_statements(wrong):
    """Refused, and never another error."""
    with pytest.raises(ProofError, match="rotations"):
        verify_receipt(receipt(LOGS[0], wrong), RECORDING, KEYS[0])


@given(st.integers(0, 2000), st.characters())
def test_any_changed_character(at, letter):
    """A statement with another character somewhere is none."""
    note = rotation(LOGS[0], LOGS[1])
    at %= len(note)
    changed = note[:at] + letter + note[at + 1 :]
    if changed != note:
        with pytest.raises(ProofError):
            parse_rotation(changed)


def test_keys_of_two_logs():
    """A log cannot hand over to another log's key."""
    other = TinyLog(seed=bytes(32), origin="elsewhere.example/log")
    with pytest.raises(ProofError, match="two logs"):
        parse_rotation(rotation(LOGS[0], other))


def test_an_upload_pins_what_it_followed_to():
    """After the receipt, the key is the new one; a receipt by the old key is refused from then on."""
    upload = Upload(RECORDING, Memory(), KEYS[0])
    upload._note_receipt(receipt(LOGS[1], [rotation(LOGS[0], LOGS[1], 2)]), 0.0)
    assert (upload.key, upload.pinned, upload.violations) == (KEYS[1], KEYS[0], [])
    later = Upload(RECORDING, Memory(), upload.key)
    later._note_receipt(receipt(LOGS[0], []), 0.0)
    assert later.receipt is None
    assert later.violations
