"""The cage, judged by a prisoner: what it tries, and what it is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.media import cage
from gateway.media.child import CAGE

PRISONER = """
import json, os, socket, sys, threading
def tried(act):
    try:
        return "did it" if act() is not None or True else ""
    except BaseException as refused:
        return type(refused).__name__
def thread():
    one = threading.Thread(target=lambda: None)
    one.start()
    one.join()
own = int(sys.argv[1])
print(json.dumps({
    "socket": tried(socket.socket), "unix": tried(lambda: socket.socket(socket.AF_UNIX)),
    "fork": tried(os.fork), "spawn": tried(lambda: os.posix_spawn("/bin/true", ["true"], {})),
    "secret": tried(lambda: open(sys.argv[2]).read()), "passwd": tried(lambda: open("/etc/passwd").read()),
    "folder": tried(lambda: os.listdir(os.path.dirname(sys.argv[2]))),
    "write": tried(lambda: open("/tmp/lapel-escaped", "w")), "shm": tried(lambda: open("/dev/shm/lapel-escaped", "w")),
    "parent": tried(lambda: open(f"/proc/{os.getppid()}/environ").read()),
    "kill": tried(lambda: os.kill(os.getppid(), 0)),
    "memory": tried(lambda: bytearray(2 << 30)), "thread": tried(thread),
    "image": tried(lambda: open(f"/proc/self/fd/{own}", "rb").read()),
    "uid": os.getuid(), "environment": [name for name in os.environ if name != "LC_CTYPE"], "cwd": os.getcwd(),
}))
"""
NOBODY = 65534


def ran(command: list[str], *words: str, fd: int | None = None, **more: object) -> subprocess.CompletedProcess[str]:
    """Run something in the cage, as its caller does."""
    order = json.dumps({"memory": 1 << 30, "seconds": 5})
    return subprocess.run(
        [*command, "-I", "-S", str(CAGE), order, *words],
        **{"pass_fds": () if fd is None else (fd,), "env": {}, "cwd": "/", "timeout": 60, **more},
        capture_output=True,
        text=True,
    )


def tells(command: list[str], python: str, secret: Path) -> dict[str, object]:
    """What the prisoner tells."""
    fd = os.memfd_create("image")
    try:
        done = ran(command, python, "-I", "-c", PRISONER, str(fd), str(secret), fd=fd)
    finally:
        os.close(fd)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def judged(found: dict[str, object]) -> None:
    """Nothing but threads and the image."""
    held = {name: word for name, word in found.items() if isinstance(word, str) and name != "cwd"}
    free = {name for name, word in held.items() if word == "did it"}
    assert free == {"thread", "image"}
    assert found["environment"] == []
    assert found["cwd"] == "/"
    assert held["memory"] == "MemoryError"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that the gateway may read."""
    path = tmp_path / "kek-1.key"
    path.write_text("secret")
    return path


@pytest.fixture
def every_bar() -> None:
    """This kernel has every bar; where one is missing, the test says so."""
    done = subprocess.run([sys.executable, "-I", "-S", str(CAGE), "report", sys.executable], capture_output=True)
    gaps = {name: why for name, why in json.loads(done.stdout).items() if why != "yes"}
    if gaps:
        pytest.skip(f"LEFT OUT: this kernel lacks {gaps}")


def test_a_prisoner_can_do_nothing(every_bar: None, system_python: str, secret: Path) -> None:
    """No network, no child, no file but the libraries, no memory beyond the limit, no signal to the gateway."""
    found = tells([sys.executable], system_python, secret)
    judged(found)
    if os.geteuid() == 0:
        assert found["uid"] == NOBODY


def test_the_same_without_root(every_bar: None, system_python: str, secret: Path, tmp_path: Path) -> None:
    """A gateway that is not root puts up the same cage; its own files are out of reach for its own user."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("LEFT OUT: not root, so the test above was this one")
    script = Path("/tmp") / f"lapel-cage-{os.getpid()}.py"
    readable = Path("/tmp") / f"lapel-secret-{os.getpid()}"
    script.write_text(CAGE.read_text("utf-8"))
    readable.write_text("secret")
    drop = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", system_python]
    fd = os.memfd_create("image")
    try:
        words = [system_python, "-I", "-c", PRISONER, str(fd), str(readable)]
        order = json.dumps({"memory": 1 << 30, "seconds": 5})
        done = subprocess.run(
            [*drop, "-I", "-S", str(script), order, *words], pass_fds=(fd,), env={}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        judged(json.loads(done.stdout))
    finally:
        os.close(fd)
        script.unlink()
        readable.unlink()


def test_without_a_kernels_leave_the_limits_hold(system_python: str, tmp_path: Path) -> None:
    """Where no bar but the limits can be put up, memory, processor and written bytes are bounded all the same."""
    bare = tmp_path / "bare.py"
    bare.write_text(
        f"import runpy, sys\nmodule = runpy.run_path({str(CAGE)!r})\n"
        "module['limits'](1 << 30, 1)\nimport os\nos.execve(sys.argv[1], sys.argv[1:], {})\n"
    )
    hog = (
        "import sys\ntry:\n    bytearray(2 << 30)\nexcept MemoryError:\n    print('bounded', flush=True)\nwhile 1: pass"
    )
    done = subprocess.run([sys.executable, str(bare), system_python, "-c", hog], capture_output=True, timeout=30)
    assert done.stdout == b"bounded\n"
    assert done.returncode == -24
    out = tmp_path / "out"
    with out.open("wb") as file:
        code = "import sys; sys.stdout.write('x' * 9); sys.stdout.flush()"
        done = subprocess.run([sys.executable, str(bare), system_python, "-c", code], stdout=file, stderr=-3)
    assert done.returncode != 0
    assert out.stat().st_size == 0


def test_a_command_that_is_none() -> None:
    """It says so, and nothing runs."""
    done = ran([sys.executable], "/nowhere/ffprobe")
    assert done.returncode == 1
    assert "cannot be run" in done.stderr


def test_a_cage_that_does_not_hold_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the drop of rights or the death with its parent there is no command."""
    monkeypatch.setattr(cage, "bars", lambda _program: {"rights": "Operation not permitted", "death": "yes"})
    monkeypatch.setattr(cage.os, "chdir", lambda _path: None)
    with pytest.raises(SystemExit, match="does not hold"):
        cage.main(['{"memory": 1, "seconds": 1}', "/bin/true"])


def test_each_bar_says_why_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that refuses is named with its reason, and the next bar is tried."""

    def refused() -> None:
        raise OSError(1, "Operation not permitted")

    def fine(*_: object) -> None:
        return None

    monkeypatch.setattr(cage, "alone", refused)
    for name in ("gently", "nobody", "few", "mortal", "only_libraries", "no_sockets_no_children"):
        monkeypatch.setattr(cage, name, fine)
    held = cage.bars("/usr/bin/ffprobe")
    assert held.pop("network") == "[Errno 1] Operation not permitted"
    assert set(held.values()) == {"yes"}


def test_an_unknown_machine_has_no_list_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of calls are never guessed."""
    monkeypatch.setattr(cage.os, "uname", lambda: os.uname_result(("Linux", "n", "9", "v", "riscv64")))
    with pytest.raises(OSError, match="no list of calls for riscv64"):
        cage._machine()
