"""The camera follows the log to another key only where the key that it pinned says so (docs/formats.md, "Rotation")."""

from collections.abc import Sequence

from firmware_stubs.proof import ProofError, VerifierKey, decimal, strict_base64, verify_note

HEADER = "lapel key rotation v1"
NAMES = ("origin ", "old ", "new ", "size ", "root ", "old key ")
NOTES_CAP = 64
NOTE_CAP = 4096
Trail = list[tuple[VerifierKey, int | None]]


def parse_rotation(note: str) -> tuple[VerifierKey, VerifierKey, int]:
    """(old key, new key, the log's size then); ProofError unless both keys signed it."""
    body, gap, signatures = note.rpartition("\n\n")
    lines = body.split("\n")
    if len(note) > NOTE_CAP or not gap or len(lines) != 1 + len(NAMES) or lines[0] != HEADER:
        raise ProofError("rotation: not a note of this kind")
    if any(not line.startswith(name) for line, name in zip(lines[1:], NAMES, strict=True)):
        raise ProofError("rotation: other lines than expected")
    words = [line.removeprefix(name) for line, name in zip(lines[1:], NAMES, strict=True)]
    old, new = VerifierKey.parse(words[1]), VerifierKey.parse(words[2])
    if not old.name == new.name == words[0]:
        raise ProofError("rotation: keys of two logs")
    if len(strict_base64(words[4], "rotation root")) != 32:
        raise ProofError("rotation: root is not 32 bytes")
    for key in (old, new):
        verify_note(body + "\n", signatures, key)
    return old, new, decimal(words[3], "rotation size")


def follow(notes: object, pinned: VerifierKey) -> Trail:
    """Each key from the pinned one on, with the largest log that its signature counts for; the last has no such end."""
    if not isinstance(notes, Sequence) or isinstance(notes, str) or len(notes) > NOTES_CAP:
        raise ProofError("receipt: rotations")
    trail: Trail = [(pinned, None)]
    for note in notes:
        if not isinstance(note, str):
            raise ProofError("receipt: rotations")
        if f"\nold {trail[-1][0].text}\n" not in note:
            continue  # a step before the pinned key, or beside it: nothing to be believed or refused
        old, new, size = parse_rotation(note)
        trail[-1:] = [(old, size + 1), (new, None)]
    return trail
