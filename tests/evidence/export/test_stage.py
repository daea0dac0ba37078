"""The staged folder: journals, turns, orders; what an order must say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from gateway.evidence.export.exporter import export_id
from gateway.evidence.export.masters import master_name
from gateway.evidence.export.order import Order, OrderError, Published, Witnessing
from gateway.evidence.export.stage import Journal, Stage
from gateway.evidence.rows import Exhibit
from gateway.evidence.vault.files import DiskFiles

AT = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
ORDER = Order(("X-1",), "trial", "CPS", "CPIA", "cli:me")


def test_a_journal_survives_and_belongs_to_one_order(tmp_path: Path) -> None:
    """What was kept is read back whole; another order is refused, a damaged journal too."""
    stage = Stage(tmp_path / "bag", DiskFiles())
    with stage.taking_turns():
        begun = stage.begin(Journal("E-1", ORDER, "2026-11-22T07:00:00Z"))
        begun.upto, begun.note = {"X-1": 3}, "note"
        stage.keep(begun)
        assert stage.begin(Journal("E-2", ORDER, "later")) == begun
        with pytest.raises(OrderError, match="holds another export, E-1"):
            stage.begin(Journal("E-3", msgspec.structs.replace(ORDER, purpose="other"), "later"))
        (tmp_path / "bag.part/journal.json").write_text("{")
        with pytest.raises(OrderError, match=r"journal\.json"):
            stage.read()


def test_two_processes_take_turns(tmp_path: Path) -> None:
    """The second is told; when the first has finished, the folder is free."""
    first, second = (Stage(tmp_path / "bag", DiskFiles()) for _ in range(2))
    with first.taking_turns(), pytest.raises(OrderError, match="another process"), second.taking_turns():
        pass
    with second.taking_turns():
        second.clear()
    assert not (tmp_path / "bag.part").exists()


def test_a_name_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """The finished bag stays where it is, and the error says where."""
    stage = Stage(tmp_path / "bag", DiskFiles())
    with stage.taking_turns():
        stage.begin(Journal("E-1", ORDER, "2026-11-22T07:00:00Z"))
        (tmp_path / "bag").mkdir()
        with pytest.raises(OrderError, match="is there already"):
            stage.finish(stage.bag, stage.target)
    assert stage.bag.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"purpose": ""}, "purpose"),
        ({"recipient": "\n"}, "recipient"),
        ({"legal_gateway": "x" * 1001}, "legal_gateway"),
        ({"exhibits": ()}, "0 exhibits"),
        ({"exhibits": ("X-1", "X-2", "X-1")}, "X-1: named twice"),
    ],
)
def test_orders_that_say_too_little(change: dict[str, object], said: str) -> None:
    """Each is refused with the word that is missing."""
    ORDER.check()
    with pytest.raises(OrderError, match=said):
        msgspec.structs.replace(ORDER, **change).check()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("a.MP4", "master.mp4"), ("a.sh", "master.bin"), (None, "master.bin"), ("../../x.mov", "master.mov")],
)
def test_names_of_masters(name: str | None, wanted: str) -> None:
    """A camera's name never becomes a path."""
    assert master_name(Exhibit(id="X-1", name=name)) == wanted


def test_ids_are_ordered_by_time() -> None:
    """Fourteen characters, none of them ambiguous; two of one second differ."""
    first, later = export_id(AT), export_id(AT.replace(hour=8))
    assert len(first) == 14
    assert first < later
    assert len({export_id(AT) for _ in range(50)}) == 50


def test_who_is_independent() -> None:
    """The log's own operator is not, whatever it runs."""
    telling = Published("log+1+x", "PCC", b"", "ab", (Witnessing("w+2+y", "CAMBS"),))
    assert telling.witness_label("CAMBS") == "independent"
    assert telling.witness_label("PCC") == "self-asserted"
    assert telling.lines() == ["log log+1+x", "signing-certificate sha256:ab", "witness w+2+y operator=CAMBS"]
