"""The command as people run it: `main()` with its own exit codes, and a store with something in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from tests.api.site import ROSTER, Site, noise

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document it printed."""
        return json.loads(self.out)


class Lapel:
    """Calls the command line; in this process for speed, as its entry point does it."""

    def __init__(self, patch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capfd = patch, capfd

    def __call__(self, *words: object) -> Done:
        self._patch.setattr(sys, "argv", ["lapel", *map(str, words)])
        self._capfd.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as left:
            code = left.code
        said = self._capfd.readouterr()
        assert "Traceback" not in said.err
        return Done(0 if code is None else int(code), said.out, said.err)


@pytest.fixture
def lapel(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Lapel:
    """The command line."""
    return Lapel(monkeypatch, capfd)


def outside(*words: object, stdin: str = "") -> Done:
    """The command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "gateway", *map(str, words)]
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two exhibits and some custody, closed."""
    with Site(tmp_path_factory.mktemp("pattern")) as site:
        site.seal(noise(200_000), "20261121T210503Z-0017")
        site.seal(noise(1_000, 2), "20261121T211000Z-0018", "cam-0099")
        with site.client(site.token()) as client:
            client.get("/v1/exhibits")
    return site.data


@pytest.fixture
def store(pattern: Path, tmp_path: Path) -> Path:
    """A copy of that store, to be worked on."""
    shutil.copytree(pattern, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def bare(lapel: Lapel, tmp_path: Path) -> Path:
    """A data directory with a roster and nothing else."""
    (tmp_path / "roster.toml").write_text(ROSTER)
    (tmp_path / "bare").mkdir()
    assert lapel("roster", "import", tmp_path / "roster.toml", "--data", tmp_path / "bare").code == 0
    return tmp_path / "bare"
