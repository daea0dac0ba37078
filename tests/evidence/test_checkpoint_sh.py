"""A log checked by bash, openssl, base64 and xxd alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.evidence.log.lab import Lab, act

SCRIPT = Path(__file__).parents[1] / "checkpoint.sh"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 300 entries: its files, and proof and leaf of some of them."""
    directory = tmp_path_factory.mktemp("log")
    lab = Lab(directory / "store")
    with lab.opened() as log:
        log._ask([act(number) for number in range(300)]).result()
        for index in (0, 255, 256, 299):
            (directory / f"{index}.tlog-proof").write_text(log.proof(index))
            (directory / f"{index}.leaf").write_bytes(log.leaf(index))
    for name in ("checkpoint", "log.vkey"):
        shutil.copy(lab.evidence / "log" / name, directory / name)
    lab.close()
    return directory


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, str]:
    """A PATH with those tools and nothing else."""
    for tool in ("bash", "env", "openssl", "base64", "xxd", "sed", "cut", "tr", "tail", "cat", "cp", "mktemp", "rm"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    return {**os.environ, "PATH": str(tmp_path)}


def run(tools: dict[str, str], *paths: Path) -> tuple[int, str]:
    """Exit code and all that was said."""
    done = subprocess.run([SCRIPT, *paths], capture_output=True, text=True, env=tools)
    return done.returncode, done.stdout + done.stderr


def test_a_good_checkpoint(log: Path, tools: dict[str, str]) -> None:
    """Exit 0, and it says the size."""
    assert run(tools, log / "log.vkey", log / "checkpoint") == (
        0,
        "checkpoint of lapel.test/log: size 300, signature good\n",
    )


@pytest.mark.parametrize("index", [0, 255, 256, 299])
def test_a_good_proof_and_a_changed_leaf(log: Path, tools: dict[str, str], tmp_path: Path, index: int) -> None:
    """The exact leaf is in the log; one changed byte is exit 3."""
    proof = log / f"{index}.tlog-proof"
    code, said = run(tools, log / "log.vkey", proof, log / f"{index}.leaf")
    assert (code, f"entry {index} " in said) == (0, True)
    changed = tmp_path / "leaf"
    changed.write_bytes((log / f"{index}.leaf").read_bytes().replace(b"view", b"play"))
    code, said = run(tools, log / "log.vkey", proof, changed)
    assert (code, "is not entry" in said) == (3, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n300\n", "\n301\n"),
        ("\n300\n", "\n0300\n"),
        ("lapel.test", "lapel.best"),
        ("— lapel", "- lapel"),
        ("\n\n", "\nmore\n\n"),
    ],
)
def test_a_changed_checkpoint(log: Path, tools: dict[str, str], tmp_path: Path, old: str, new: str) -> None:
    """Whatever was changed, exit 3."""
    text = (log / "checkpoint").read_text()
    assert old in text
    (tmp_path / "note").write_text(text.replace(old, new, 1))
    assert run(tools, log / "log.vkey", tmp_path / "note")[0] == 3


@pytest.mark.parametrize("line", [1, 2, 5])
def test_a_changed_proof(log: Path, tools: dict[str, str], tmp_path: Path, line: int) -> None:
    """Another index, a hash left out."""
    lines = (log / "255.tlog-proof").read_text().split("\n")
    changed = [*lines[:line], *(["index 254"] if line == 1 else []), *lines[line + 1 :]]
    (tmp_path / "proof").write_text("\n".join(changed))
    assert run(tools, log / "log.vkey", tmp_path / "proof", log / "255.leaf")[0] == 3


def test_another_key(log: Path, tools: dict[str, str], tmp_path: Path) -> None:
    """A key of the same name is not the key, and an id that is not its key's is refused."""
    other = Lab(tmp_path / "other")
    with other.opened():
        assert run(tools, other.evidence / "log/log.vkey", log / "checkpoint")[0] == 3
    other.close()
    vkey = (log / "log.vkey").read_text()
    (tmp_path / "vkey").write_text(vkey.replace("+", "+f", 1))
    assert run(tools, tmp_path / "vkey", log / "checkpoint")[0] == 3


def test_usage(log: Path, tools: dict[str, str]) -> None:
    """Wrong use is exit 2, not a verdict."""
    assert run(tools)[0] == 2
    assert run(tools, log / "log.vkey", log / "missing")[0] == 2
