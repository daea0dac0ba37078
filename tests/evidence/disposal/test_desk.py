"""Asking, approving, taking back; what is due; what goes together."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.errors import OverruledError
from gateway.evidence.disposal.desk import NoSuchError
from gateway.evidence.disposal.telling import told
from tests.evidence.disposal.lab import Lab, asked


@pytest.fixture
def lab(tmp_path: Path):
    """An open store."""
    made = Lab(tmp_path / "store")
    with made.opened():
        yield made
    made.close()


def plain(lab: Lab, detail: dict | None = None, **facts) -> str:
    """A small exhibit."""
    return lab.seal(b"x", thumbnail=False, detail=detail, **facts)


def test_due_is_listed_and_nothing_more(lab: Lab) -> None:
    """Past its due date, not held, not asked for: listed; time alone destroys nothing."""
    past, held, later, asked_for = (plain(lab) for _ in range(4))
    lab.custody.record_now(Act("hold", "P-1", ExhibitId(held), {"hold": "H-1"}))
    lab.custody.record_now(Act("review", "P-1", ExhibitId(later), {"due": "2030-01-01"}))
    desk = lab.desk()
    assert (list(desk.due()), desk.count_due()) == ([], 0)
    lab.clock.on(days=40)
    desk.request(asked(asked_for, ground="due"))
    assert ([row.id for row in desk.due()], desk.count_due()) == ([past], 1)
    with pytest.raises(OverruledError, match="past its due"):
        desk.request(asked(later, ground="due"))
    execution = lab.execution(desk)
    lab.clock.on(days=400)
    execution.turn()
    assert execution.figures()["destroyed"] == 0
    assert all(lab.keyring.get(f"identity/{name}") for name in (past, held, later, asked_for))


def test_the_grace_runs_from_the_approval(lab: Lab) -> None:
    """Nothing happens a second before; it can be taken back until then, and not after."""
    one, two = plain(lab), plain(lab)
    desk = lab.desk()
    first, second = desk.request(asked(one)), desk.request(asked(two))
    lab.clock.on(days=30)
    desk.approve(first.id, "boss")
    desk.approve(second.id, "boss")
    execution = lab.execution(desk)
    lab.clock.on(days=6, hours=23, minutes=59, seconds=59)
    execution.turn()
    assert desk.one(first.id).state(desk.now) == "grace"
    desk.cancel(second.id, "officer", "appeal")
    lab.clock.on(seconds=1)
    execution.turn()
    assert [each.state(desk.now) for each in desk.all()] == ["done", "cancelled"]
    assert lab.keyring.get(f"identity/{two}") is not None
    for act in (lambda: desk.cancel(first.id, "officer", "late"), lambda: desk.approve(second.id, "chief")):
        with pytest.raises(OverruledError):
            act()
    assert desk.request(asked(two)).state(desk.now) == "waiting"
    lab.verified()


def test_a_second_person(lab: Lab) -> None:
    """Whoever asked cannot approve; nobody approves twice; an approval of nothing is none."""
    desk = lab.desk()
    one = desk.request(asked(plain(lab)))
    with pytest.raises(OverruledError, match="second person"):
        desk.approve(one.id, "officer")
    desk.approve(one.id, "boss", "as ordered")
    with pytest.raises(OverruledError, match="approved already"):
        desk.approve(one.id, "chief")
    with pytest.raises(NoSuchError):
        desk.approve("D-NO", "boss")
    with pytest.raises(ValueError, match="reason"):
        desk.cancel(one.id, "officer", " ")


@pytest.mark.parametrize("how", ["hold", "due"])
def test_what_ends_a_disposal_at_its_hour(lab: Lab, how: str) -> None:
    """A hold, or a due date that was moved: the whole disposal is cancelled, and a new request is needed."""
    lab.clock.on(days=40)
    one, two = plain(lab), plain(lab)
    ready = lab.ready(one, two, ground="due")
    desk = lab.desk()
    act = Act("hold", "P-1", ExhibitId(two), {"hold": "H-1"})
    if how == "due":
        act = Act("review", "P-1", ExhibitId(two), {"due": "2031-01-01"})
    lab.custody.record_now(act)
    execution = lab.execution(desk)
    execution.turn()
    assert desk.one(ready.id).state(desk.now) == "cancelled"
    assert two in desk.one(ready.id).cancelled.reason
    assert execution.counters["ended_by_hold"] == 1
    assert lab.keyring.get(f"identity/{one}") is not None
    assert lab.catalogue.exhibit(one).disposal is None
    lab.custody.record_now(Act("release", "P-1", ExhibitId(two), {"hold": "H-1"}))
    lab.clock.on(days=400)
    execution.turn()
    assert lab.keyring.get(f"identity/{two}") is not None
    lab.verified()


def test_what_goes_together(lab: Lab) -> None:
    """A clip, what was superseded, the part before, the part behind, the track: all, or why not."""
    first = plain(lab, {"recording": "r-1"})
    middle = plain(lab, {"recording": "r-2", "manifest": {"continues": "r-1", "part": 2}})
    last = plain(lab, {"recording": "r-3", "manifest": {"continues": "r-2", "part": 3}})
    track = plain(lab, {"recording": "r-2-gps", "user_data": {"sidecar_of": "r-2"}})
    clip = plain(lab, {"recording": None}, parent=middle)
    part = plain(lab, {"recording": "r-9"})
    whole = plain(lab, {"recording": "r-9"}, supersedes=part)
    plain(lab, {"recording": "r-7", "device": "cam-2", "manifest": {"continues": "r-1"}})
    desk = lab.desk()
    with pytest.raises(OverruledError) as refused:
        desk.request(asked(middle))
    assert str(refused.value).split(": ")[1].split(", ") == sorted([first, last, track, clip])
    with pytest.raises(OverruledError, match=part):
        desk.request(asked(whole))
    assert desk.request(asked(middle, first, last, track, clip)).parts.keys() == {middle, first, last, track, clip}
    assert desk.request(asked(whole, alone="the part shows another street")).alone == "the part shows another street"


def test_a_copy_goes_without_its_master(lab: Lab) -> None:
    """A redacted copy may leave alone; its master stays."""
    master = plain(lab)
    clip = plain(lab, {"recording": None}, parent=master)
    assert lab.desk().request(asked(clip)).parts.keys() == {clip}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"ground": "room"}, "ground"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 2001}, "reason"),
        ({"alone": ""}, "alone"),
        ({"erase": True}, "erase_details"),
    ],
)
def test_a_request_that_says_too_little(lab: Lab, words: dict, said: str) -> None:
    """Nothing is on record."""
    exhibit = plain(lab)
    size = lab.custody.size
    with pytest.raises(ValueError, match=said):
        lab.desk().request(asked(exhibit, **words))
    with pytest.raises(ValueError, match="each once"):
        lab.desk().request(asked(exhibit, exhibit))
    with pytest.raises(NoSuchError):
        lab.desk().request(asked("X-NO"))
    assert lab.custody.size == size


def test_another_desk_sees_the_same(lab: Lab) -> None:
    """A disposal lives in the log: a desk opened later, in another process, tells the same of it."""
    exhibit = plain(lab)
    lab.ready(exhibit, reason="order 7")
    lab.execution(lab.desk()).turn()
    desks = [lab.desk() for _ in range(2)]
    said = [told(desk.all()[0], desk.now, {}) for desk in desks]
    assert said[0] == said[1]
    assert (said[0].requested.reason, said[0].exhibits[0].state) == ("order 7", "disposed")
    assert list(said[0].exhibits[0].entries) == ["dispose_request", "dispose_approve", "key_destroy", "dispose"]
