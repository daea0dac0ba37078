"""Changes of the log's key: `log.vkey` counts, `keys.jsonl` says how it came to it, the log's entries prove that."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify import tree
from gateway.evidence.verify.files import exists, from_base64, read_whole
from gateway.evidence.verify.leaves import entry
from gateway.evidence.verify.notes import (
    Checkpoint,
    Vkey,
    claimed_size,
    open_checkpoint,
    parse_note,
    parse_vkey,
    verify_note,
)
from gateway.evidence.verify.report import shown

VKEY, CHAIN = "log/log.vkey", "log/keys.jsonl"
FILE_MAX = 1 << 24
MARK = b'"kind":"key_rotate"'
_HEADER = "lapel key rotation v1"
_NAMES = ("origin ", "old ", "new ", "size ", "root ", "old key ")


class Rotation(msgspec.Struct, frozen=True):
    """A statement that both keys signed; trusted as far as its old key is."""

    old: Vkey
    new: Vkey
    size: int
    root: bytes
    note: str


class Keys(msgspec.Struct, frozen=True):
    """The key that counts, and the rotations that lead to it, oldest first."""

    current: Vkey
    chain: tuple[Rotation, ...] = ()

    def at(self, size: int) -> Vkey:
        """Whose signature counts on a checkpoint of that size."""
        return next((each.old for each in self.chain if size <= each.size), self.current)

    def open(self, raw: bytes, path: str) -> Checkpoint:
        """Verify a checkpoint by the key that counts at its size."""
        return open_checkpoint(raw, self.at(claimed_size(raw, path)), path)


def parse_rotation(note: str, path: str) -> Rotation:
    """Read a statement strictly, and verify both signatures."""
    raw = note.encode("utf-8", "surrogatepass")
    parsed = parse_note(raw, path)
    lines = parsed.text[:-1].split("\n")
    if len(lines) != 1 + len(_NAMES) or lines[0] != _HEADER:
        raise VerificationError(path, f"a note of {_HEADER!r}", shown(lines[0]))
    words = [line.removeprefix(name) for line, name in zip(lines[1:], _NAMES, strict=True)]
    if any(not line.startswith(name) for line, name in zip(lines[1:], _NAMES, strict=True)):
        raise VerificationError(path, f"the lines {', '.join(_NAMES)}", "others")
    old, new = parse_vkey(words[1].encode(), path), parse_vkey(words[2].encode(), path)
    size, root = _size(words[3], path), from_base64(words[4], 32, path, "a root hash")
    if not old.name == new.name == words[0] or words[5] not in ("ends", "goes on") or old == new:
        raise VerificationError(path, "two keys of one origin, and what becomes of the old one", shown(words[0]))
    verify_note(parsed, old, path)
    verify_note(parsed, new, path)
    return Rotation(old, new, size, root, note)


def read_keys(top: Path) -> Keys:
    """The key in `log.vkey`, then the chain: a line that leads beyond it is a rotation not finished."""
    current = parse_vkey(read_whole(top / "log.vkey", FILE_MAX, VKEY), VKEY)
    chain: list[Rotation] = []
    key = current
    for rotation in reversed(_chain(top)):
        if rotation.new == key:
            chain, key = [rotation, *chain], rotation.old
        elif chain or rotation.old != current:
            raise VerificationError(CHAIN, f"a chain that leads to {current.key_id.hex()}", "one that does not")
    return Keys(current, tuple(chain))


def check_rotations(entries: Sequence[tuple[int, bytes]], keys: Keys, hashes: Sequence[bytes]) -> list[Rotation]:
    """Every rotation that the log has an entry of, in order; VerificationError where chain and entries disagree."""
    found = [each for index, raw in entries if (each := rotation_in(index, raw)) is not None]
    own = [(index, rotation) for index, rotation in found if rotation.old.name == keys.current.name]
    for index, rotation in own:
        _check_place(index, rotation, hashes)
    notes = [rotation.note for _, rotation in own]
    chain = [rotation.note for rotation in keys.chain]
    unfinished = len(own) == len(chain) + 1 and own[-1][0] == len(hashes) - 1 and own[-1][1].old == keys.current
    if notes[: len(chain)] != chain or (len(notes) > len(chain) and not unfinished):
        raise VerificationError(CHAIN, f"the {len(notes)} rotations that the log has", shown(len(chain)))
    return [rotation for _, rotation in found]


def follow(rotations: Sequence[Rotation], public: bytes) -> list[bytes]:
    """The public keys that the rotations lead to from one, itself first."""
    led = [public]
    for rotation in rotations:
        if rotation.old.public == led[-1]:
            led.append(rotation.new.public)
    return led


def _size(text: str, path: str) -> int:
    if not (text.isascii() and text.isdigit()) or str(int(text)) != text:
        raise VerificationError(path, "a tree size in decimal", shown(text))
    return int(text)


def parse_chain(raw: bytes, path: str) -> list[Rotation]:
    """Read rotations, one JSON object a line, each verified by itself."""
    lines = raw.split(b"\n")
    if lines.pop() != b"":
        raise VerificationError(path, "lines, each with its end", "another")
    return [parse_rotation(_note(line, f"{path} line {at}"), f"{path} line {at}") for at, line in enumerate(lines, 1)]


def _chain(top: Path) -> list[Rotation]:
    if not exists(top / "keys.jsonl"):
        return []
    return parse_chain(read_whole(top / "keys.jsonl", FILE_MAX, CHAIN), CHAIN)


def _note(line: bytes, where: str) -> str:
    found: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(line)
    if not isinstance(found, dict) or found.keys() != {"v", "note"} or found["v"] != 1:
        raise VerificationError(where, "v and note", shown(line))
    return str(found["note"])


def rotation_in(index: int, raw: bytes) -> tuple[int, Rotation] | None:
    """The rotation that an entry states; None for one of another key than the log's, or what is no leaf at all."""
    try:
        facts = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(facts, dict) or facts.get("kind") != "key_rotate" or facts.get("what") != "log":
        return None
    if "retired" in facts:
        return None
    where = entry(index)
    rotation = parse_rotation(str(facts.get("signed")), f"{where} signed")
    told = (facts.get("old"), facts.get("new"))
    if told != (str(rotation.old), str(rotation.new)):
        raise VerificationError(where, "old and new as they are in the statement", shown(told))
    return index, rotation


def _check_place(index: int, rotation: Rotation, hashes: Sequence[bytes]) -> None:
    if rotation.size != index or tree.root(hashes[:index]) != rotation.root:
        raise VerificationError(entry(index), f"a rotation of the log of {index} entries", f"of {rotation.size}")
