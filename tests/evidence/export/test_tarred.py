"""A bag as one tar: any span of it is a span of the whole, and stock tar opens it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.export import tarred as module
from gateway.evidence.export.tarred import letter, tarred
from tests.api.site import noise


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of odd sizes, one of them empty, one with a long name."""
    bag = tmp_path_factory.mktemp("tarred") / "bag"
    for name, octets in (("a", 0), ("data/X-1/master.mp4", 70_001), ("data/" + "n" * 150, 512), ("z", 513)):
        path = bag / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise(octets, octets))
    return bag


def test_stock_tar_opens_it(bag: Path, tmp_path: Path) -> None:
    """Every file as it was, under the export's name."""
    content = tarred(bag, "E-1")
    whole = b"".join(content.read(0, content.size))
    assert (len(whole), content.name, len(whole) % tarfile.RECORDSIZE) == (content.size, "E-1.tar", 0)
    subprocess.run(["tar", "-x", "-C", tmp_path], input=whole, check=True)
    for path in bag.rglob("*"):
        if path.is_file():
            assert (tmp_path / "E-1" / path.relative_to(bag)).read_bytes() == path.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        assert len(tar.getmembers()) == 4


@given(st.data())
def test_any_span(bag: Path, data: st.DataObject) -> None:
    """Wherever a fetch goes on, it gets the very bytes that the whole has there."""
    content = tarred(bag, "E-1")
    whole = b"".join(content.read(0, content.size))
    start = data.draw(st.integers(0, content.size))
    end = data.draw(st.integers(start, content.size))
    assert b"".join(content.read(start, end)) == whole[start:end]


def test_a_letter_is_its_file(bag: Path) -> None:
    """Nothing is put round what is encrypted."""
    content = letter(bag / "z")
    assert (b"".join(content.read(5, 500)), content.size) == (noise(513, 513)[5:500], 513)


def test_a_file_that_became_shorter_is_an_error(bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is cut off, not filled up."""
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag/x").write_bytes(bytes(1000))
    monkeypatch.setattr(module, "STEP", 100)
    content = tarred(tmp_path / "bag", "E-1")
    (tmp_path / "bag/x").write_bytes(bytes(500))
    with pytest.raises(OSError, match="shorter"):
        list(content.read(0, content.size))
