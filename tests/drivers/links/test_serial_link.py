"""The serial link on real pseudo-terminals."""

import asyncio
import os
import pty
import subprocess
import sys
import termios
import tty

import pytest

from drivers.links import serial_link
from drivers.links.serial_link import HeldError, SerialLink, held_by, holders
from gateway.errors import LinkError


@pytest.fixture
def terminal():
    """A pseudo-terminal: its master, and the name of its port."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    os.set_blocking(master, False)
    ends = [master, slave]
    yield master, name, ends
    for end in ends:
        os.close(end)


def pull(ends):
    """Pull the cable."""
    while ends:
        os.close(ends.pop())


def count_fds() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


async def test_bytes_both_ways(terminal):
    """Exactly as they are: no translation of line ends or control characters."""
    master, name, _ = terminal
    every = bytes(range(256))
    async with SerialLink(name) as link:
        os.write(master, every)
        got = b""
        while len(got) < 256:
            got += await link.read()
        assert got == every
        link.send(every)
        await asyncio.sleep(0.05)
        assert os.read(master, 1000) == every


async def test_what_came_before_the_port_was_opened_is_read(terminal):
    """It may be an emergency."""
    master, name, _ = terminal
    os.write(master, b"0000\r\n")
    async with SerialLink(name) as link:
        assert await link.read() == b"0000\r\n"


async def test_a_cancelled_read_loses_nothing(terminal):
    """Time-outs of the session cut reads short all day."""
    master, name, _ = terminal
    async with SerialLink(name) as link:
        for _ in range(50):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await link.read()
        os.write(master, b"kept")
        assert await link.read() == b"kept"


async def test_unplugged_is_a_link_error(terminal):
    """While a read waits."""
    _, name, ends = terminal
    async with SerialLink(name) as link:
        asyncio.get_running_loop().call_later(0.05, pull, ends)
        with pytest.raises(LinkError):
            async with asyncio.timeout(5):
                await link.read()


async def test_a_write_to_an_unplugged_port_does_not_raise_from_a_callback(terminal):
    """The reader says it."""
    _, name, ends = terminal
    async with SerialLink(name) as link:
        pull(ends)
        link.send(b"AT\r\n")
        with pytest.raises(LinkError):
            async with asyncio.timeout(5):
                await link.read()


async def test_no_such_port():
    """Said with its name."""
    with pytest.raises(LinkError, match="/dev/nowhere"):
        SerialLink("/dev/nowhere").open()


async def test_not_a_port(tmp_path):
    """A file is none."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(LinkError):
        SerialLink(str(tmp_path / "file")).open()


async def test_a_port_has_one_owner(terminal):
    """A second gateway on the same port is refused."""
    _, name, _ = terminal
    async with SerialLink(name):
        with pytest.raises(LinkError, match="held by"):
            SerialLink(name).open()
    async with SerialLink(name):
        pass


async def test_rtscts_on_a_pseudo_terminal_falls_back(terminal):
    """It has no modem lines; the bytes flow all the same."""
    master, name, _ = terminal
    async with SerialLink(name, flow="rtscts") as link:
        os.write(master, b"x")
        assert await link.read() == b"x"


async def test_open_and_close_are_idempotent_and_leak_nothing(terminal):
    """A port that comes and goes all day."""
    _, name, _ = terminal
    before = count_fds()
    link = SerialLink(name, flow="rtscts")
    for _ in range(20):
        link.open()
        link.open()
        link.close()
        link.close()
    assert count_fds() == before
    with pytest.raises(LinkError, match="not open"):
        await link.read()
    with pytest.raises(LinkError, match="not open"):
        link.send(b"x")


async def test_a_port_that_takes_nothing(terminal, monkeypatch):
    """What waits is bounded; then it is a fault of the link, not of our memory."""
    _, name, _ = terminal
    async with SerialLink(name) as link:
        for _ in range(16):
            link.send(b"x" * 4096)
        with pytest.raises(LinkError, match="takes no bytes"):
            link.send(b"x" * 65_536)


async def test_a_port_that_stalls_too_long(terminal, monkeypatch):
    """Flow control without a CTS line is named as what it is."""
    _, name, _ = terminal
    async with SerialLink(name) as link:
        for _ in range(12):
            link.send(b"x" * 4096)
        monkeypatch.setattr(serial_link, "STALL_S", 0.0)
        await asyncio.sleep(0.01)
        with pytest.raises(LinkError, match="flow control"):
            link.send(b"AT\r\n")


async def test_what_waited_is_sent_in_order_when_the_port_takes_it(terminal):
    """A slow reader on the other side."""
    master, name, _ = terminal
    sent = bytes(number % 251 for number in range(40_000))
    async with SerialLink(name) as link:
        for at in range(0, len(sent), 4000):
            link.send(sent[at : at + 4000])
        got = b""
        async with asyncio.timeout(5):
            while len(got) < len(sent):
                await asyncio.sleep(0.001)
                try:
                    got += os.read(master, 4096)
                except BlockingIOError:
                    continue
        assert got == sent


def program(text, *arguments):
    """Another program, once it has said that it is there."""
    started = subprocess.Popen([sys.executable, "-c", text, *arguments], stdout=subprocess.PIPE)
    started.stdout.readline()
    return started


OPENS = "import os, sys, time; os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); print(flush=True); time.sleep(60)"
LOCKS = "import fcntl, os, sys, time; f = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); fcntl.flock(f, fcntl.LOCK_EX);"
LOCKS += "print(flush=True); time.sleep(60)"
IS_A_RADIO = "import os, pty, sys, time; m, s = pty.openpty(); os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY);"
IS_A_RADIO += "print(flush=True); time.sleep(60)"


async def test_a_program_that_locked_the_port_is_named(terminal):
    """Its pid and its name; the port is ours once it has gone."""
    _, name, _ = terminal
    rival = program(LOCKS, name)
    try:
        with pytest.raises(HeldError, match=rf"held by pid {rival.pid} \(python"):
            SerialLink(name).open()
    finally:
        rival.kill()
        rival.communicate()
    async with SerialLink(name):
        pass


async def test_a_program_that_has_the_port_open_is_found(terminal):
    """Without a lock, too; the other end of a pseudo-terminal is the radio and no rival, nor are we ourselves."""
    _, name, _ = terminal
    assert holders(name) == []
    rival, radio = program(OPENS, name), program(IS_A_RADIO, name)
    try:
        assert [holder.pid for holder in holders(name)] == [rival.pid]
    finally:
        for one in (rival, radio):
            one.kill()
            one.communicate()
    assert holders(name) == []
    assert "not see" in held_by([])


async def test_processes_that_vanish_while_we_look_are_nobody(tmp_path):
    """A name in /proc without its files."""
    (tmp_path / "12").mkdir()
    (tmp_path / "self").mkdir()
    assert holders("/dev/null", tmp_path) == []


@pytest.mark.parametrize(
    ("baud", "code"), [(9600, termios.B9600), (115_200, termios.B115200), (460_800, termios.B460800)]
)
async def test_the_speed_can_be_changed_while_open(terminal, baud, code):
    """The other end sees it."""
    master, name, _ = terminal
    link = SerialLink(name)
    with pytest.raises(LinkError, match="not open"):
        link.set_speed(9600, "none")
    async with link:
        link.set_speed(baud, "none")
        assert termios.tcgetattr(master)[5] == code
        os.write(master, b"x")
        assert await link.read() == b"x"
        with pytest.raises(LinkError, match="baud"):
            link.set_speed(-1, "none")
