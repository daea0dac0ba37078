"""The cage, run as a program: take away from this process what it does not need, then become the command.

    python -I -S cage.py '{"memory": bytes, "seconds": s}' PROGRAM ARGUMENT…     become PROGRAM
    python -I -S cage.py report PROGRAM                                          say which bars hold here, as JSON

It imports nothing of the gateway. What always holds: limits of memory, CPU time, files, core dumps and written bytes,
no new privileges, death with its parent, the lowest priority, and nobody's rights where it started with root's. What
the kernel decides: a network and user namespace of its own (an empty network, a count of processes of its own), files
other than the system's libraries out of reach (Landlock, Linux 5.13), no sockets and no new processes (seccomp).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

NOBODY = 65534
DESCRIPTORS = 64
THREADS = 32
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SIGKILL, _EPERM, _ENOSYS = 9, 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC, _CLONE_THREAD = 0x10000000, 0x40000000, 0x08000000, 0x00010000
_LIBRARIES = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives", "/dev/null", "/dev/urandom")
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_EXECUTE, _READ_FILE, _READ_DIR = 1, 4, 8
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights over files an ABI knows (linux/landlock.h); newer ones are as 5."""


class _Machine(NamedTuple):
    """Its audit architecture, its numbers of clone and ioprio_set, and of the calls refused (asm/unistd.h)."""

    architecture: int
    clone: int
    ioprio: int
    refused: tuple[int, ...]


_NEWER = (424, 425, 426, 427, 428, 434, 438)
_X86 = (41, 42, 43, 49, 50, 53, 57, 58, 62, 101, 155, 165, 246, 248, 249, 250, 272, 298, 304, 308, 310, 311, 321, 323)
_ARM = (40, 41, 97, 104, 117, 129, 198, 199, 200, 201, 202, 203, 217, 218, 219, 241, 265, 268, 270, 271, 280, 282)
_MACHINES = {
    "x86_64": _Machine(0xC000003E, 56, 251, (*_X86, *_NEWER)),
    "aarch64": _Machine(0xC00000B7, 220, 30, (*_ARM, *_NEWER)),
}
_CLONE3 = 435
_SECCOMP_FILTER = 2
_BLOCK_ALL_SCOPES = 3
_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    """A system call; OSError where it is refused."""
    done = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


def _prctl(option: int, first: object, second: object = 0) -> None:
    zero = ctypes.c_ulong(0)
    if _libc.prctl(option, ctypes.c_ulong(first) if isinstance(first, int) else first, second, zero, zero):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _unshare(flags: int) -> None:
    if _libc.unshare(flags):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def gently() -> None:
    """The lowest priority for processor and disk."""
    os.nice(19)
    _call(_machine().ioprio, ctypes.c_int(1), ctypes.c_int(0), ctypes.c_int(3 << 13))


def alone() -> None:
    """An empty network, and nobody's rights: as root first the network, then the drop, then a user namespace."""
    if os.geteuid() == 0:
        _unshare(_CLONE_NEWNET | _CLONE_NEWIPC)
        return
    _unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC)


def nobody() -> None:
    """Give root's rights up, for good."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def few() -> None:
    """In a user namespace of its own, a count of processes and threads of its own."""
    if Path("/proc/self/uid_map").read_bytes().strip():
        _unshare(_CLONE_NEWUSER)
    resource.setrlimit(resource.RLIMIT_NPROC, (THREADS, THREADS))


def mortal() -> None:
    """Die with the gateway, and never gain a right by what is executed."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def only_libraries(program: str) -> None:
    """Landlock: read and execute below the system's directories and the program's own; nothing else, no TCP."""
    abi = _call(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    rights = (1 << _RIGHTS_BY_ABI.get(abi, 16)) - 1
    attributes = struct.pack("=QQQ", rights, 3 if abi >= 4 else 0, _BLOCK_ALL_SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _call(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint(0))
    home = Path(program).resolve().parent
    for path in (*_LIBRARIES, str(home), str(home.parent / "lib")):
        _allow(ruleset, path)
    _call(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)


def _allow(ruleset: int, path: str) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):  # what cannot be reached need not be allowed
        return
    rights = _EXECUTE | _READ_FILE | (_READ_DIR if Path(path).is_dir() else 0)
    _call(_LANDLOCK_ADD, ctypes.c_int(ruleset), ctypes.c_int(1), struct.pack("=Qi", rights, fd), ctypes.c_uint(0))
    os.close(fd)


def no_sockets_no_children() -> None:
    """Seccomp: sockets, new processes and the kernel's rarer doors are refused with EPERM; threads are not."""
    architecture, clone, _ioprio, refused = _machine()
    load, equal, mask, back = 0x20, 0x15, 0x45, 0x06
    deny, allow = 0x00050000 | _EPERM, 0x7FFF0000
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (back, 0, 0, deny), (load, 0, 0, 0)]
    program += [(equal, 0, 1, _CLONE3), (back, 0, 0, 0x00050000 | _ENOSYS)]
    # The 32-bit calls of x86_64 have numbers of their own.
    program += [(0x35, 0, 1, 0x40000000), (back, 0, 0, deny)]
    for number in refused:
        program += [(equal, 0, 1, number), (back, 0, 0, deny)]
    program += [(equal, 1, 0, clone), (back, 0, 0, allow), (load, 0, 0, 16)]
    program += [(mask, 1, 0, _CLONE_THREAD), (back, 0, 0, deny), (back, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    pointer = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, pointer)


def _machine() -> _Machine:
    name = os.uname().machine
    if name not in _MACHINES:
        raise OSError(_ENOSYS, f"no list of calls for {name}")
    return _MACHINES[name]


def limits(memory: int, seconds: int) -> None:
    """Address space, CPU time, descriptors; nothing is written to a file, and no core is left."""
    most = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: DESCRIPTORS,
        resource.RLIMIT_AS: memory,
    }
    for kind, bound in most.items():
        resource.setrlimit(kind, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))  # SIGXCPU first: then the reason is known


def bars(program: str) -> dict[str, str]:
    """Put up every bar that this kernel has; which holds (`yes`), and why another does not."""
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("priority", gently),
        ("network", alone),
        ("rights", nobody),
        ("processes", few),
        ("death", mortal),
        ("files", lambda: only_libraries(program)),
        ("calls", no_sockets_no_children),
    )
    held = {}
    for name, step in steps:
        try:
            step()
            held[name] = "yes"
        except (OSError, ValueError) as problem:
            held[name] = str(problem)
    return held


MUST = ("rights", "death")
"""Without these nothing runs: they need no kernel's leave."""


def main(arguments: Sequence[str]) -> None:
    """As the module says."""
    order, program = arguments[0], arguments[1]
    os.chdir("/")
    held = bars(program)
    if order == "report":
        sys.stdout.write(json.dumps(held))
        return
    if any(held[name] != "yes" for name in MUST):
        sys.exit(f"the cage does not hold: {held}")
    asked = json.loads(order)
    limits(asked["memory"], asked["seconds"])
    try:
        os.execve(program, list(arguments[1:]), {})  # noqa: S606 - that is its whole purpose
    except OSError as problem:
        sys.exit(f"cannot be run: {problem}")


if __name__ == "__main__":
    main(sys.argv[1:])
