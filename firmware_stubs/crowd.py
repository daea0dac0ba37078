"""Hundreds of cameras on one thread: every connection on one selector, every camera's turn when it has one."""

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware_stubs.camera import BACK_OFF_CAP_S, BACK_OFF_S, Camera
from firmware_stubs.line import OpenLine, Tiding
from firmware_stubs.mqtt import Broker

LOOK_S = 0.05
MISC_S = 1.0


@dataclass(eq=False)
class Seat:
    """One camera and its connection, or when it tries the next."""

    camera: Camera
    line: OpenLine | None = None
    sock: socket.socket | None = None
    writes: bool = False
    due_s: float = 0.0
    pause_s: float = BACK_OFF_S
    turn_s: float = 0.0


class Crowd:
    """Serves cameras that were never started as threads."""

    def __init__(self, broker: Broker, cameras: Sequence[Camera]) -> None:
        self.seats = [Seat(camera) for camera in cameras]
        self._broker = broker
        self._selector = selectors.DefaultSelector()
        self._look_s = self._misc_s = 0.0

    def serve(self, over: Callable[[], bool]) -> None:
        """Until it is over."""
        while not over():
            for key, events in self._selector.select(LOOK_S):
                self._move(key.data, events)
            now = time.monotonic()
            if now >= self._look_s:
                self._look_s = now + LOOK_S
                self._look(now)

    def close(self) -> None:
        """End every connection."""
        for seat in self.seats:
            if seat.line is not None:
                self._leave(seat)
        self._selector.close()

    def _move(self, seat: Seat, events: int) -> None:
        """Its socket has something, or takes something."""
        line, sock = seat.line, seat.sock
        if line is None or sock is None:
            return
        if events & selectors.EVENT_READ:
            line.reads()
        if events & selectors.EVENT_WRITE:
            line.writes()
        self._turn(seat, time.monotonic())

    def _look(self, now: float) -> None:
        """Those whose time has come, socket or not."""
        misc = now >= self._misc_s
        self._misc_s = now + MISC_S if misc else self._misc_s
        for seat in self.seats:
            if seat.line is None:
                self._come(seat, now)
                continue
            if misc:
                seat.line.keeps_alive()
            if now >= seat.turn_s or not seat.line.alive:
                self._turn(seat, now)

    def _come(self, seat: Seat, now: float) -> None:
        """Connect, when it is time for it."""
        camera = seat.camera
        if now < max(seat.due_s, camera.away_until_s) or camera.dead or not camera.at_home():
            return
        line = OpenLine(self._broker, camera.device)
        try:
            seat.sock = line.dial()
        except OSError:
            line.close()
            seat.due_s, seat.pause_s = now + seat.pause_s, min(BACK_OFF_CAP_S, seat.pause_s * 2)
            return
        seat.line, seat.writes = line, False
        self._selector.register(seat.sock, selectors.EVENT_READ, seat)
        self._wants(seat)

    def _turn(self, seat: Seat, now: float) -> None:
        line, camera = seat.line, seat.camera
        assert line is not None
        while not line.news.empty():
            news = line.news.get()
            if news.tiding is Tiding.DOWN:
                self._leave(seat)
                return
            if news.tiding is Tiding.UP:
                seat.pause_s = BACK_OFF_S
            camera.hear(news)
        camera.work(line)
        if camera.dead or not line.alive:
            self._leave(seat)
            return
        self._wants(seat)
        seat.turn_s = now + camera.wait_s()

    def _wants(self, seat: Seat) -> None:
        """Ask the selector for what the connection asks for."""
        assert seat.line is not None
        assert seat.sock is not None
        writes = seat.line.wants_to_write()
        if writes != seat.writes:
            seat.writes = writes
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writes else 0)
            self._selector.modify(seat.sock, events, seat)

    def _leave(self, seat: Seat) -> None:
        """The connection is over; the next comes after a pause."""
        assert seat.line is not None
        assert seat.sock is not None
        self._selector.unregister(seat.sock)
        seat.line.close()
        seat.line = seat.sock = None
        seat.camera.lost_line()
        seat.due_s, seat.pause_s = time.monotonic() + seat.pause_s, min(BACK_OFF_CAP_S, seat.pause_s * 2)
