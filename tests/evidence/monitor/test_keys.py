"""A log whose key changes under a monitor that pinned the first one: followed by its entries, and by nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gateway.crypto.canonical import canonical
from gateway.crypto.keys import LogSigner
from gateway.crypto.notes import VerifierKey, parse_note, sign_note
from gateway.evidence.log.known_keys import read_chain
from gateway.evidence.monitor.keys import Trusted
from gateway.evidence.monitor.look import Look, Memory, Seen, Witnesses
from gateway.evidence.verify.notes import Vkey, parse_vkey
from gateway.evidence.verify.rotations import parse_chain
from gateway.outlets.log_tiles import DirectoryLog
from tests.evidence.log.lab import Lab, act
from tests.evidence.log.test_rotation import rotated
from tests.evidence.monitor.test_look import Kept, grow, kinds, lab


def known_as(key: VerifierKey) -> Vkey:
    """A key as somebody pins it."""
    return parse_vkey(str(key).encode(), "vkey")


async def look(made: Lab, *pinned: Vkey, before: Seen | None = None) -> Seen:
    """One look."""
    memory, items = (Memory(), {}) if before is None else (before.memory, before.items)
    source = DirectoryLog(made.evidence / "log")
    return await Look(pinned, Witnesses(), source, (memory, Kept(items))).run(0.0)


def signer_of(made: Lab, key: VerifierKey) -> LogSigner:
    """Its private half, as it lies there."""
    found = made.keystore.log_keys.of(key.public)
    assert found is not None
    return found


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    """A log of five entries."""
    return lab(tmp_path / "store", 5)


async def test_followed_from_look_to_look(made: Lab) -> None:
    """At the hand-over, behind it, twice; each change is seen once."""
    first, second = rotated(made)
    at_once = await look(made, known_as(first))
    assert (kinds(at_once), [each.size for each in at_once.rotated]) == (set(), [5])
    grow(made, 300)
    then = await look(made, known_as(first), before=at_once)
    assert (kinds(then), then.rotated, len(then.memory.rotations)) == (set(), [], 1)
    _, third = rotated(made)
    grow(made, 3)
    last = await look(made, known_as(first), before=then)
    assert (kinds(last), [str(each.new) for each in last.rotated]) == (set(), [str(third)])
    assert (last.memory.frontier.size, len(last.memory.rotations)) == (310, 2)
    assert second != third


async def test_from_any_of_its_keys(made: Lab) -> None:
    """Somebody who comes later has pinned the first, the second or the last; another's key leads nowhere."""
    first, second = rotated(made)
    grow(made, 3)
    _, third = rotated(made)
    grow(made, 3)
    for key in (first, second, third):
        seen = await look(made, known_as(key))
        assert (kinds(seen), len(seen.rotated)) == (set(), 2), key
    stranger = VerifierKey(first.name, bytes(31) + b"\x01")
    assert kinds(await look(made, known_as(stranger))) == {"unsigned"}


async def test_a_statement_without_an_entry_leads_nowhere(made: Lab, tmp_path: Path) -> None:
    """The key that it names signs what is known, or more: not accepted, and nothing is remembered of it."""
    shutil.copytree(tmp_path / "store", tmp_path / "other")
    forger = Lab(tmp_path / "other")
    old, new = rotated(forger)
    grow(made, 4)
    known = await look(made, known_as(old))
    shutil.copy(forger.evidence / "log/keys.jsonl", made.evidence / "log/keys.jsonl")
    path = made.evidence / "log/checkpoint"
    for more in (0, 4):
        path.write_text(known.memory.note)
        grow(made, more)
        path.write_text(sign_note(parse_note(path.read_bytes()).text, old.name, signer_of(forger, new)))
        seen = await look(made, known_as(old), before=known)
        assert (kinds(seen), seen.memory, seen.items) == ({"unsigned"}, known.memory, {}), more


async def test_an_entry_of_another_log_hands_over_nothing(made: Lab, tmp_path: Path) -> None:
    """Both keys signed it, but over other entries than those before it: an alarm, and the key stays."""
    shutil.copytree(tmp_path / "store", tmp_path / "other")
    forger = Lab(tmp_path / "other")
    old, new = rotated(forger)
    (note,) = read_chain(forger.evidence / "log")
    grow(made, 2)
    with made.opened() as log:
        log.record_now(act(0, None, "key_rotate", what="log", old=str(old), new=str(new), signed=note))
    seen = await look(made, known_as(old))
    assert (kinds(seen), seen.rotated, seen.memory.rotations) == ({"entry_differs"}, [], ())
    assert seen.memory.frontier.size == 8


@pytest.mark.parametrize("pin_both", [False, True])
async def test_an_old_key_signs_nothing_more(made: Lab, pin_both: bool) -> None:
    """Not even where it is pinned: it handed over."""
    first, second = rotated(made)
    pinned = (known_as(first), known_as(second))[: 1 + pin_both]
    known = await look(made, *pinned)
    grow(made, 2)
    path = made.evidence / "log/checkpoint"
    good = path.read_text()
    path.write_text(sign_note(parse_note(good.encode()).text, first.name, signer_of(made, first)))
    seen = await look(made, *pinned, before=known)
    assert (kinds(seen), seen.memory) == ({"unsigned"}, known.memory)
    path.write_text(good)
    assert kinds(await look(made, *pinned, before=known)) == set()


def test_statements_that_are_none(made: Lab) -> None:
    """Rubbish, another chain, half a line: what is known stays what is known."""
    first, _ = rotated(made)
    rotated(made)
    raw = (made.evidence / "log/keys.jsonl").read_bytes()
    chain = parse_chain(raw, "x")
    known = Trusted([known_as(first)], chain[:1])
    assert known.hinted(raw).chain == tuple(chain)
    lines = raw.splitlines(keepends=True)
    swapped = json.loads(lines[1])
    swapped["note"] = swapped["note"].replace("size 6", "size 7")
    for told in (None, b"", b"{}\n", raw[:-1], lines[0], canonical(swapped) + b"\n", lines[0] + b"\xff\n"):
        assert known.hinted(told).chain == known.chain
    assert Trusted([known_as(first)]).hinted(lines[1]).at(9) == (known_as(first),)
