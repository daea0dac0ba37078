"""A terminal on a real pseudo-terminal: the radio of `pei` with a line, a clock and other radios to hear."""

import fcntl
import os
import queue
import random
import select
import sys
import termios
import threading
import time
import tty
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from firmware_stubs.pei import MobileTermination
from firmware_stubs.sds import AI_SDS4, Downlink, Frame, status

IDLE_S = 0.02
LOOKS, LOOK_S = 4, 0.0005
READ_CAP = 4096
LINGER_S = 2.0


SPEEDS = {
    getattr(termios, f"B{speed}"): speed for speed in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 460800)
}
UNREAD_CAP = 3000

Act = Callable[[], None]


class Terminal(threading.Thread):
    """One radio on one pseudo-terminal, under a stable path; `hear` is what arrives on its air interface.

    With a seed it writes in arbitrary pieces; with a speed it is deaf and dumb to equipment at any other.
    """

    def __init__(
        self, link: Path, radio: MobileTermination, seed: int | None = None, *, speed: int | None = None
    ) -> None:
        super().__init__(name=f"terminal {link.name}", daemon=True)
        self.link, self.radio = link, radio
        self.sent: Counter[str] = Counter()
        self.unheard: Counter[str] = Counter()
        self.deaf = 0
        self.on_downlink: Callable[[Downlink], None] | None = None
        self.on_written: Callable[[Frame, int], None] | None = None
        self.on_line: Callable[[str, bytes], None] | None = None
        self.written = 0
        self.hangups = 0
        self.slowly = False
        self._speed = speed
        self._chance = random.Random(seed) if seed is not None else None
        self._frames: queue.SimpleQueue[tuple[str, bytes | Frame | Act]] = queue.SimpleQueue()
        self._given = 0
        self._done = 0
        self._awake = False
        self._ended = threading.Event()
        self._master = -1
        self._path = ""
        self._poll = select.poll()

    def open(self) -> None:
        """Make the pseudo-terminal and its link. Nobody holds the far end, so that unplugging shows."""
        self.link.parent.mkdir(parents=True, exist_ok=True)
        self._plug()

    def _plug(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self._path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self._poll.register(self._master, select.POLLIN)
        fresh = self.link.with_name(f".{self.link.name}.{os.getpid()}")
        fresh.symlink_to(self._path)
        fresh.replace(self.link)

    def hear(self, frame: Frame) -> None:
        """Short data from another radio; handed on only where the equipment registered for it."""
        self._given += 1
        self._frames.put((frame.kind, frame))

    def garble(self, kind: str, octets: bytes) -> None:
        """Bytes on the line that are no frame: notices and rubbish, sent once equipment is there."""
        self._given += 1
        self._frames.put((kind, octets))

    def suffer(self, act: Act) -> None:
        """Something that happens to the radio, in its turn among what it hears."""
        self._given += 1
        self._frames.put(("", act))

    def reboot(self) -> None:
        """Off and on again, as far as the line shows; only from within `suffer`."""
        self.radio.reboot(time.monotonic())

    def replug(self, pause_s: float) -> None:
        """Out of the computer and back in, under the same path; only from within `suffer`."""
        self._poll.unregister(self._master)
        os.close(self._master)
        self._master, self._awake, self.written = -1, False, 0
        self.link.unlink(missing_ok=True)
        self._ended.wait(pause_s)
        self._plug()

    def unread(self) -> int | None:
        """How many octets on the line the equipment has not read yet; None where that cannot be known.

        The most of a few looks: what is on its way between the two ends may escape one of them.
        """
        most = 0
        for _ in range(LOOKS):
            time.sleep(LOOK_S)
            waiting = self._waiting()
            if waiting is None:
                return None
            most = max(most, waiting)
        return most

    def _waiting(self) -> int | None:
        try:
            far = os.open(self._path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            # Polling moves what is still between the two ends; only then does the count mean something.
            waiting = select.select([far], [], [], 0)[0]
            count = int.from_bytes(fcntl.ioctl(far, termios.FIONREAD, bytes(4)), sys.byteorder)
        finally:
            os.close(far)
        return None if count > UNREAD_CAP else max(count, len(waiting))

    @property
    def understood(self) -> bool:
        """Whether the equipment has set the speed that this radio is set to."""
        if self._speed is None:
            return True
        _, _, _, _, input_speed, output_speed, _ = termios.tcgetattr(self._master)
        return SPEEDS.get(input_speed) == SPEEDS.get(output_speed) == self._speed

    @property
    def ready(self) -> bool:
        """Whether equipment is attached and has registered for location reports and statuses."""
        probe = (Frame("", 0, AI_SDS4, "0A", 8), status(0, 1))
        return self._awake and all(self.radio.wants(frame) for frame in probe)

    def drained(self) -> bool:
        """Whether everything heard so far has been written or let go."""
        return self._given == self._done

    def close(self) -> None:
        """Stop, remove the link, close the line once the other end has read it out."""
        if self._awake and not self._ended.is_set():
            self._let_read()
        self._ended.set()
        if self.is_alive():
            self.join(5)
        self.link.unlink(missing_ok=True)
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def _let_read(self) -> None:
        """Closing this end throws away what the other has not read, which was already counted as sent."""
        ends = time.monotonic() + LINGER_S
        while time.monotonic() < ends:
            time.sleep(IDLE_S)
            if self.unread() == 0:
                break

    def run(self) -> None:
        """Serve the line until closed."""
        while not self._ended.is_set():
            self._listen()
            self._hand_over()
            self.radio.tick(time.monotonic())
            answers = self.radio.to_send()
            if self.understood:
                self._write(answers)
            self._take_frame()

    def _listen(self) -> None:
        for _, mask in self._poll.poll(IDLE_S * 1000 if self.drained() else 0):
            if mask & select.POLLIN:
                data = self._read()
                if not self.understood:
                    self.deaf += len(data)
                    continue
                self._awake = self._awake or (bool(data) and not mask & select.POLLHUP)
                self._trace("in", data)
                self.radio.receive(data, time.monotonic())
            elif mask & select.POLLHUP:
                self._left()
                self._ended.wait(IDLE_S)

    def _left(self) -> None:
        """The equipment has closed the port; what it had not read went with that."""
        self.hangups += self._awake
        self._awake = False

    def _read(self) -> bytes:
        try:
            return os.read(self._master, READ_CAP)
        except (BlockingIOError, OSError):
            return b""

    def _hand_over(self) -> None:
        while self.radio.downlinks:
            downlink = self.radio.downlinks.pop(0)
            if self.on_downlink is not None:
                self.on_downlink(downlink)

    def _take_frame(self) -> None:
        try:
            kind, what = self._frames.get_nowait()
        except queue.Empty:
            return
        if isinstance(what, bytes | Frame):
            self._bring(kind, what)
        else:
            what()
        self._done += 1

    def _bring(self, kind: str, what: bytes | Frame) -> None:
        heard = self._awake and self.understood and (not isinstance(what, Frame) or self.radio.wants(what))
        octets = self.radio.indication(what) if isinstance(what, Frame) else what
        if not heard or not self._write(octets):
            self.unheard[kind] += 1
            return
        self.sent[kind] += 1
        if isinstance(what, Frame) and self.on_written is not None:
            self.on_written(what, self.written)

    def _write(self, octets: bytes) -> bool:
        """Write it all, in pieces where a seed was given; False when the line went first."""
        self._trace("out", octets)
        rest = memoryview(octets)
        while rest:
            most = 3 if self.slowly else 24
            size = len(rest) if self._chance is None else self._chance.randint(1, min(most, len(rest)))
            if not self._writable():
                return False
            try:
                done = os.write(self._master, rest[:size])
                self.written += done
                rest = rest[done:]
            except BlockingIOError:
                self._ended.wait(IDLE_S)
            except OSError:
                return False
            if self._chance is not None and self._chance.random() < 0.2:
                self._ended.wait(0.001)
        return True

    def _trace(self, way: str, octets: bytes) -> None:
        if octets and self.on_line is not None:
            self.on_line(way, octets)

    def _writable(self) -> bool:
        """Wait for room on the line; False when it is unplugged or the terminal ends."""
        while not self._ended.is_set():
            _, ready, _ = select.select([], [self._master], [], 0.2)
            hung_up = any(mask & select.POLLHUP for _, mask in self._poll.poll(0))
            if hung_up:
                self._left()
                return False
            if ready:
                return True
        return False
