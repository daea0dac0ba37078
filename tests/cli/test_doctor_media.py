"""`lapel doctor` on the video tools and the cage around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import settings as configuration
from gateway.cli import doctor_media
from tests.cli.conftest import Lapel


def look(monkeypatch: pytest.MonkeyPatch, held: dict[str, str], **media: object) -> list[tuple[str, str]]:
    """What is said where the commands are there and the bars hold so."""

    async def report() -> dict[str, str]:
        return held

    monkeypatch.setattr(doctor_media, "report", report)
    monkeypatch.setattr(doctor_media, "program", lambda name: None if "no-such" in name else f"/usr/bin/{name}")
    found = doctor_media.look(configuration.parse({"media": media}))
    return [(one.verdict, f"{one.what} {one.do}") for one in found]


def test_all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and every bar."""
    ((verdict, said),) = look(monkeypatch, {"network": "yes", "files": "yes"})
    assert verdict == "fine"
    assert "every bar" in said


def test_missing_commands_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, with what to do; nothing is wrong with the evidence."""
    ((verdict, said),) = look(monkeypatch, {}, ffprobe="no-such-ffprobe")
    assert verdict == "note"
    assert "no-such-ffprobe not found" in said
    assert "Install ffmpeg" in said


def test_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each bar that this kernel lacks, why, and what would help."""
    ((verdict, said),) = look(
        monkeypatch, {"network": "[Errno 1] Operation not permitted", "files": "no", "rights": "yes"}
    )
    assert verdict == "note"
    assert "network: [Errno 1]" in said
    assert "Landlock" in said
    ((_, said),) = look(monkeypatch, {"priority": "odd"})
    assert "See the gateway's log" in said


def test_a_cage_that_cannot_be_put_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is wrong, and says how to go on without."""

    async def broken() -> dict[str, str]:
        raise OSError("no python")

    monkeypatch.setattr(doctor_media, "report", broken)
    monkeypatch.setattr(doctor_media, "program", lambda name: name)
    (found,) = doctor_media.look(configuration.parse({}))
    assert (found.verdict, found.do) == ("wrong", "Set [media] enabled = false.")


def test_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to say, also where there is no evidence at all."""
    assert look(monkeypatch, {}, enabled=False) == []
    assert doctor_media.look(configuration.parse({"evidence": {"enabled": False}})) == []


def test_the_command_itself(lapel: Lapel, tmp_path: Path) -> None:
    """The real cage of this machine, as `lapel doctor` tells of it."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "lapel.toml"
    path.write_text('[gateway]\ndata = "data"\n')
    done = lapel("doctor", "-c", path, "--json")
    (media,) = [one for one in done.json["findings"] if one["about"] == "media"]
    assert media["verdict"] in {"fine", "note"}
