"""What was made of an exhibit goes with it: exports in clear, and after an erasure the words of whoever asked."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.errors import OverruledError
from gateway.evidence.derived.wish import DeriveJob, Wish
from gateway.evidence.disposal.execution import Execution
from gateway.evidence.disposal.law import judged
from gateway.evidence.disposal.working import Working
from gateway.evidence.export.exporter import result_of
from gateway.evidence.export.jobs import ExportJob
from gateway.evidence.export.order import Order
from gateway.evidence.job_files import JobFiles
from gateway.evidence.purge import StorePlace
from gateway.evidence.vault.files import DiskFiles
from tests.evidence.disposal.lab import FILM, CopyPlace, Lab

AT = "2026-11-22T10:00:00Z"


@pytest.fixture
def lab(tmp_path: Path):
    """An open store."""
    made = Lab(tmp_path / "store")
    with made.opened():
        yield made
    made.close()


def exported(lab: Lab, *exhibits: str, state: str = "done", to_age: str | None = None) -> Path:
    """An export of them, as its job leaves it; the folder or the letter."""
    name = f"E-{len(list(lab.evidence.glob('exports/*.json'))):012}"
    order = Order(exhibits, "the complaint of John Doe", "CPS", "s.35", "officer", to_age)
    jobs = JobFiles(lab.evidence / "exports", ExportJob, DiskFiles())
    jobs.make()
    jobs.keep(name, ExportJob(name, order, AT, state=state))
    lies = result_of(order, jobs.folder / name)
    folder = lies if state == "done" else lies.with_name(f"{lies.name}.part") / "bag"
    if to_age is None or state != "done":
        folder.mkdir(parents=True)
        (folder / "master.mp4").write_bytes(FILM)
    else:
        lies.write_bytes(FILM)
    return lies


def derived(lab: Lab, master: str, state: str) -> Path:
    """A job that made something of it; its file."""
    jobs = JobFiles(lab.evidence / "derivatives", DeriveJob, DiskFiles())
    jobs.make()
    wish = Wish(master, "still", "the face of John Doe", "officer", at_s=1.0)
    jobs.keep("X-DER", DeriveJob("X-DER", "0" * 32, wish, AT, state=state))
    return jobs.path("X-DER")


def carried_out(lab: Lab, one: str) -> tuple[Execution, str]:
    """One turn; where the disposal then stands."""
    desk, place = lab.desk(), StorePlace(lab.evidence, lab.keyring, DiskFiles())
    execution = Execution(desk, place, lab.keyring, working=Working(lab.evidence, DiskFiles()))
    execution.turn()
    return execution, desk.one(one).state(desk.now)


@pytest.mark.parametrize("state", ["done", "waiting", "making", "failed"])
@pytest.mark.parametrize("to_age", [None, "age1somebody"])
def test_no_export_keeps_it(lab: Lab, state: str, to_age: str | None) -> None:
    """Whole, encrypted or half made: gone before the disposal ends, and the job says why; another's stays."""
    gone, kept = lab.seal(), lab.seal()
    lies, other = exported(lab, kept, gone, state=state, to_age=to_age), exported(lab, kept)
    _, now = carried_out(lab, lab.ready(gone).id)
    assert now == "done"
    left = sorted(path.name for path in (lab.evidence / "exports").iterdir())
    name = lies.name.split(".")[0]
    assert left == [f"{name}.json", other.name, f"{other.name}.json"]
    job = JobFiles(lab.evidence / "exports", ExportJob, DiskFiles()).get(name)
    assert job.state == ("failed" if state == "failed" else "removed")


def test_one_that_is_being_made_is_waited_for(lab: Lab) -> None:
    """Whoever makes it holds its folder; the disposal says so and goes on when it is let go."""
    gone = lab.seal()
    folder = exported(lab, gone, state="making").with_name("E-000000000000.part")
    holder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    one = lab.ready(gone).id
    execution, state = carried_out(lab, one)
    assert state == "under_way"
    assert "another process is making it" in execution.progress[gone].problem
    os.close(holder)
    assert carried_out(lab, one)[1] == "done"
    assert not folder.exists()


@pytest.mark.parametrize("state", ["waiting", "making"])
def test_a_derivative_under_way_is_waited_for(lab: Lab, state: str) -> None:
    """Its working file may hold what the master held."""
    gone = lab.seal()
    derived(lab, gone, state)
    one = lab.ready(gone).id
    execution, now = carried_out(lab, one)
    assert now == "under_way"
    assert "X-DER is still being made" in execution.progress[gone].problem
    derived(lab, gone, "failed")
    assert carried_out(lab, one)[1] == "done"


def test_after_an_erasure_no_job_names_anybody(lab: Lab) -> None:
    """Neither what an export was for, nor what a picture was made for."""
    gone = lab.seal()
    exported(lab, gone)
    derived(lab, gone, "done")
    one = lab.ready(gone, ground="erasure", erase=True).id
    assert carried_out(lab, one)[1] == "done"
    assert [path for path in lab.evidence.rglob("*") if path.is_file() and b"John Doe" in path.read_bytes()] == []


def test_without_an_erasure_the_job_stays(lab: Lab) -> None:
    """For what it was made is on record all the same."""
    gone = lab.seal()
    path = derived(lab, gone, "done")
    carried_out(lab, lab.ready(gone).id)
    assert path.exists()


def test_what_was_made_since_the_request_ends_the_disposal(lab: Lab) -> None:
    """A clip that nobody decided about would keep what is to go: it takes a new request that names it."""
    gone = lab.seal()
    one = lab.ready(gone)
    clip = lab.seal(parent=gone)
    execution, state = carried_out(lab, one.id)
    assert state == "cancelled"
    assert execution.counters["ended_by_hold"] == 1
    assert not lab.catalogue.exhibit(gone).gone
    assert carried_out(lab, lab.ready(gone, clip).id)[1] == "done"
    assert lab.catalogue.exhibit(clip).gone


@pytest.mark.parametrize("kind", ["clip", "derive"])
def test_nothing_is_made_of_what_is_gone(lab: Lab, kind: str) -> None:
    """The log refuses it, however late; what an examination found is written all the same."""
    gone = lab.seal()
    carried_out(lab, lab.ready(gone).id)
    act = Act(kind, "officer", ExhibitId(gone), {"derived": "X-NEW", "recipe": "still"}, {"purpose": "trial"})
    with pytest.raises(OverruledError):
        lab.custody.record_many_now([act])
    assert not judged(Act("derive", "system", ExhibitId(gone), {"what": "media"}, {}))


class Giving(CopyPlace):
    """A copy from which a check gives the store its blob back, before it forgets it itself."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def forget_file(self, relative: str) -> bool:
        """As a Place."""
        self._path.write_bytes(b"given back")
        return super().forget_file(relative)


def test_a_blob_that_is_taken_back_meanwhile_goes_as_well(lab: Lab) -> None:
    """Between the store's turn and the copy's: nothing of it lies there when the disposal ends."""
    gone = lab.seal()
    (path,) = (each for each in lab.files() if each.parts[-4] == "blobs")
    one, desk = lab.ready(gone), lab.desk()
    lab.execution(desk, Giving(path)).turn()
    assert desk.one(one.id).state(desk.now) == "done"
    assert not path.exists()
    assert lab.verified().counts["disposed"] == 1
