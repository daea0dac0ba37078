"""What the log refuses, act by act; and the race of a hold with a destruction, decided by the log alone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.errors import OverruledError
from gateway.evidence.disposal.law import KINDS, refusal
from gateway.evidence.rows import Exhibit
from tests.evidence.disposal.lab import AT, Lab, asked

ROOT = Path(__file__).parents[3]
SEALED = {"id": "X-1", "sealed_at": AT, "due": "2026-11-20", "n": 4}
ASKED = {**SEALED, "disposal": "D-1"}
GONE = {**ASKED, "shredded_at": AT}


@pytest.mark.parametrize(
    ("row", "kind", "facts", "words"),
    [
        (SEALED, "hold", {}, None),
        (ASKED, "hold", {}, None),
        (GONE, "hold", {}, "destroyed"),
        ({**GONE, "disposed_at": AT}, "hold", {}, "disposed of"),
        (SEALED, "dispose_request", {"ground": "order"}, None),
        (SEALED, "dispose_request", {"ground": "due"}, None),
        ({**SEALED, "due": "2026-11-21"}, "dispose_request", {"ground": "due"}, "past its due"),
        ({**SEALED, "due": None}, "dispose_request", {"ground": "due"}, "past its due"),
        ({**SEALED, "due": "2030-01-01"}, "dispose_request", {"ground": "erasure"}, None),
        ({**SEALED, "sealed_at": None}, "dispose_request", {}, "not sealed"),
        ({**SEALED, "holds": ("H-1",), "held": True}, "dispose_request", {}, "held: H-1"),
        ({**SEALED, "held": True}, "dispose_request", {}, "held"),
        (ASKED, "dispose_request", {}, "asked for before: D-1"),
        (ASKED, "dispose_approve", {"disposal": "D-1"}, None),
        (ASKED, "dispose_approve", {"disposal": "D-2"}, "no disposal D-2"),
        (SEALED, "dispose_approve", {"disposal": "D-1"}, "no disposal D-1"),
        (ASKED, "dispose_cancel", {"disposal": "D-1"}, None),
        (GONE, "dispose_cancel", {"disposal": "D-1"}, "destroyed"),
        (ASKED, "key_destroy", {"disposal": "D-1"}, None),
        (SEALED, "key_destroy", {"disposal": "D-1"}, "no disposal D-1"),
        (GONE, "key_destroy", {"disposal": "D-1"}, "destroyed"),
        ({**ASKED, "holds": ("H-1",)}, "key_destroy", {"disposal": "D-1"}, "held"),
        ({**ASKED, "due": "2030-01-01"}, "key_destroy", {"disposal": "D-1", "ground": "due"}, "past its due"),
        (ASKED, "dispose", {"disposal": "D-1"}, "not destroyed"),
        (GONE, "dispose", {"disposal": "D-1"}, None),
        (GONE, "dispose", {"disposal": "D-2"}, "no disposal"),
        (GONE, "dispose", {"disposal": "D-1", "details": "erased", "erased_to": 4}, None),
        (GONE, "dispose", {"disposal": "D-1", "details": "erased", "erased_to": 3}, "not erased"),
        ({**GONE, "disposed_at": AT}, "dispose", {"disposal": "D-1"}, "disposed of"),
        (GONE, "view", {}, None),
    ],
)
def test_what_may_be_written(row: dict, kind: str, facts: dict, words: str | None) -> None:
    """Each refusal says why."""
    found = refusal(Act(kind, "P-1", ExhibitId("X-1"), facts), AT, Exhibit(**row))
    assert (found is None) == (words is None)
    assert words is None or words in str(found)


def test_no_exhibit() -> None:
    """An unknown one is refused; an act on none is no business of the law."""
    for kind in KINDS:
        assert "no such" in str(refusal(Act(kind, "P-1", ExhibitId("X-9")), AT, None))
        assert refusal(Act(kind, "P-1"), datetime.now(UTC), None) is None


@pytest.fixture
def lab(tmp_path: Path):
    """An open store."""
    made = Lab(tmp_path / "store")
    with made.opened():
        yield made
    made.close()


async def test_a_hold_and_a_destruction_in_one_moment(lab: Lab) -> None:
    """Asked for together, they are batches apart; whichever is first in the log, the other is refused."""
    for number in range(6):
        exhibit = ExhibitId(lab.seal(b"x", thumbnail=False))
        one = lab.ready(exhibit)
        hold = lab.custody.record(Act("hold", "P-1", exhibit, {"hold": "H-1"}))
        destroy = lab.custody.record(Act("key_destroy", "system", exhibit, {"disposal": one.id, "ground": "order"}))
        both = (hold, destroy) if number % 2 else (destroy, hold)
        others = [lab.custody.record(Act("view", "P-2", exhibit)) for _ in range(3)]
        done = await asyncio.gather(*both, *others, return_exceptions=True)
        refused = [each for each in done if isinstance(each, OverruledError)]
        assert len(refused) == 1
        assert isinstance(done[1], OverruledError)
        row = lab.catalogue.exhibit(exhibit)
        assert (row.shredded_at is None) == bool(row.holds)
        if row.shredded_at:
            lab.keyring.forget([f"identity/{exhibit}", f"run/{exhibit}/0"])
    lab.verified()


def test_a_group_is_refused_whole_and_alone(lab: Lab) -> None:
    """One held exhibit of a disposal spares the others of it, and no act of anybody else is lost with it."""
    one, two = (lab.seal(b"x", thumbnail=False) for _ in range(2))
    desk = lab.desk()
    with pytest.raises(OverruledError, match="no such"):
        lab.custody.record_many_now([Act("view", "P-1", ExhibitId(one)), Act("hold", "P-1", ExhibitId("X-NO"))])
    lab.custody.record_now(Act("hold", "P-1", ExhibitId(two), {"hold": "H-1"}))
    with pytest.raises(OverruledError, match="held"):
        desk.request(asked(one, two))
    assert lab.catalogue.exhibit(one).disposal is None
    assert lab.kinds(one) == ["receive", "seal"]
    assert lab.custody.problem is None
    lab.verified()


HOLDER = """
import sys
from pathlib import Path
from gateway.domain.evidence import Act
from gateway.errors import OverruledError
from tests.evidence.disposal.lab import Lab
lab = Lab(Path(sys.argv[1]))
with lab.opened() as log:
    print("ready", flush=True)
    for name in sys.stdin.read().split():
        try:
            log.record_now(Act("hold", "P-1", name, {"hold": "H-1"}))
            print("held", flush=True)
        except OverruledError:
            print("late", flush=True)
lab.close()
"""


def test_two_processes_race(lab: Lab) -> None:
    """Another process holds while this one destroys: of each exhibit exactly one of them was done."""
    names = [lab.seal(b"x", thumbnail=False) for _ in range(8)]
    for name in names:
        lab.ready(name)
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lab.directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdout.readline() == "ready\n"
    asking = threading.Thread(target=lambda: (child.stdin.write(" ".join(reversed(names))), child.stdin.close()))
    asking.start()
    execution = lab.execution(lab.desk())
    execution.turn()
    asking.join()
    told = child.stdout.read().split()
    assert child.wait() == 0
    child.stdout.close()
    rows = [lab.catalogue.exhibit(name) for name in reversed(names)]
    # A hold placed on what was disposed of is refused; one placed in time ended its disposal.
    assert [("late" if row.gone else "held") for row in rows] == told
    assert all((lab.keyring.get(f"identity/{row.id}") is None) == row.gone for row in rows)
    lab.verified()
