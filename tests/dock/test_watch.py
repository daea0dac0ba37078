"""What is taken for a finished recording, and whose it is."""

from __future__ import annotations

import os

import pytest

from gateway.dock.settings import FolderSection
from gateway.dock.watch import Watch, started_at

SERIALS = {"AX1": "cam-1", "AX2": "cam-2"}


def watch(tmp_path, settle_s: float = 0.0, **section) -> Watch:
    """A watch over tmp_path/in."""
    (tmp_path / "in").mkdir(exist_ok=True)
    return Watch((FolderSection(**{"path": str(tmp_path / "in"), **section}),), SERIALS, settle_s)


def put(path, content: bytes = b"x"):
    """A file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(found) -> list[tuple[str, str]]:
    """File and device of each."""
    return [(each.path.name, each.device) for each in found]


def test_a_file_is_finished_when_it_stands_still(tmp_path):
    """Not before settle_s after its last change; a change starts it over."""
    look = watch(tmp_path, 10.0)
    path = put(tmp_path / "in/AX1/A.MP4")
    assert (look.scan(0.0), look.unsettled) == ([], 1)
    assert look.scan(9.9) == []
    put(path, b"more")
    assert look.scan(10.0) == []
    assert look.scan(19.9) == []
    assert (names(look.scan(20.0)), look.unsettled) == ([("A.MP4", "cam-1")], 0)


def test_side_files_go_with_their_recording(tmp_path):
    """By stem or by whole name; and the recording waits until they stand still too."""
    look = watch(tmp_path, 5.0, beside=("*.gps", "*.json"))
    put(tmp_path / "in/AX1/A.MP4")
    put(tmp_path / "in/AX1/B.GPS")
    for name in ("A.GPS", "A.MP4.json", "AB.GPS", "A.MP4.lapel-receipt.json", ".A.gps"):
        put(tmp_path / "in/AX1" / name)
    look.scan(0.0)
    (found,) = look.scan(5.0)
    assert [path.name for path, _ in found.files] == ["A.MP4", "A.GPS", "A.MP4.json"]
    put(tmp_path / "in/AX1/A.GPS", b"longer")
    assert look.scan(6.0) == []


def test_the_makers_mark_says_that_it_is_finished(tmp_path):
    """With finished_by, nothing else does."""
    look = watch(tmp_path, 0.0, finished_by=".done")
    put(tmp_path / "in/AX1/A.MP4")
    assert look.scan(0.0) == []
    put(tmp_path / "in/AX1/A.done")
    assert names(look.scan(0.0)) == [("A.MP4", "cam-1")]


@pytest.mark.parametrize(
    ("file", "section"),
    [
        ("AX2/DCIM/A.MP4", {}),
        ("DCIM/AX2_20261121210503.MP4", {"device_from": "name", "name": r"^(?P<serial>[A-Z0-9]+)_"}),
        ("DCIM/100/A.MP4", {"device_from": "file", "serial_file": "SERIAL.TXT"}),
        ("A.MP4", {"device_from": "fixed", "device": "cam-2"}),
    ],
)
def test_whose_it_is(tmp_path, file, section):
    """By folder, name, the maker's file, or once for all."""
    put(tmp_path / "in/SERIAL.TXT", b"AX2\r\nfirmware 1\n")
    put(tmp_path / "in" / file)
    assert [device for _, device in names(watch(tmp_path, **section).scan(0.0))] == ["cam-2"]


def test_sticks_by_their_label(tmp_path):
    """Mount points that come and go."""
    look = watch(tmp_path, path=str(tmp_path / "media/*"), device_from="label")
    assert look.scan(0.0) == []
    put(tmp_path / "media/AX1/A.MP4")
    put(tmp_path / "media/AX2/A.MP4")
    assert names(look.scan(0.0)) == [("A.MP4", "cam-1"), ("A.MP4", "cam-2")]


@pytest.mark.parametrize(
    ("file", "section", "words"),
    [
        ("AX9/A.MP4", {}, "AX9"),
        ("A.MP4", {}, "no folder"),
        ("A.MP4", {"device_from": "name", "name": r"^(?P<serial>\d+)_"}, "serial number"),
        ("A.MP4", {"device_from": "file", "serial_file": "SERIAL.TXT"}, "SERIAL.TXT"),
    ],
)
def test_whose_it_is_cannot_be_told(tmp_path, file, section, words):
    """Not sent, and named with the reason at every look."""
    look, path = watch(tmp_path, **section), put(tmp_path / "in" / file)
    assert look.scan(0.0) == []
    assert words in look.problems[str(path)]


def test_links_and_pipes_are_not_recordings(tmp_path):
    """A stick cannot make the dock send its own files, nor hang it."""
    secret = put(tmp_path / "secret.mp4")
    (tmp_path / "in/AX1").mkdir(parents=True)
    (tmp_path / "in/AX1/A.MP4").symlink_to(secret)
    (tmp_path / "in/AX2").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "in/AX1/B.MP4")
    (tmp_path / "in/AX1/SERIAL.TXT").symlink_to(secret)
    assert watch(tmp_path).scan(0.0) == []


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    """And the others go on."""
    put(tmp_path / "in/AX1/A.MP4")
    real = os.scandir

    def refusing(path):
        if str(path).endswith("AX2"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    put(tmp_path / "in/AX2/B.MP4")
    monkeypatch.setattr(os, "scandir", refusing)
    look = watch(tmp_path)
    assert names(look.scan(0.0)) == [("A.MP4", "cam-1")]
    assert look.problems == {str(tmp_path / "in/AX2"): "Permission denied"}


def test_a_folder_that_is_not_there_is_named(tmp_path):
    """A path without a star that is missing is a fault, not an empty folder."""
    look = watch(tmp_path, path=str(tmp_path / "none"))
    assert look.scan(0.0) == []
    assert str(tmp_path / "none") in look.problems


@pytest.mark.parametrize(
    ("name", "zone", "began"),
    [
        ("AX1_20261121210503.MP4", "UTC", "2026-11-21T21:05:03Z"),
        ("AX1_20260721210503.MP4", "Europe/London", "2026-07-21T20:05:03Z"),
        ("AX1_20261399999999.MP4", "UTC", None),
        ("A.MP4", "UTC", None),
    ],
)
def test_when_it_began_is_read_or_not_said(name, zone, began):
    """Never guessed."""
    folder = FolderSection(path="x", name=r"_(?P<time>\d{14})", time_format="%Y%m%d%H%M%S", time_zone=zone)
    assert started_at(name, folder) == began
