"""One process's share of a fleet: its cameras, what they record and when."""

import argparse
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from firmware_stubs.camera import Camera
from firmware_stubs.crowd import Crowd
from firmware_stubs.fleet_account import Account
from firmware_stubs.footage import rfc3339
from firmware_stubs.habits import Habits, named
from firmware_stubs.jsonline import say
from firmware_stubs.mqtt import Broker
from firmware_stubs.reel import Reel

MB = 1_000_000
PROGRESS_S = 0.5


class Share:
    """So many cameras from the first on, each with the next habit in turn."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.account = Account()
        self._given = given
        self._size = round(given.size * MB)
        broker = Broker.parse(given.mqtt, given.credentials, given.certificates)
        self._cameras = [self._issue(broker, number) for number in range(given.first, given.first + given.cameras)]
        self._recorded = dict.fromkeys(self._cameras, 0)
        self._crowd = Crowd(broker, [camera for camera, _ in self._cameras])
        self._ends_s = self._late_s = float("inf")
        self._next_s = 0.0
        self._violations: list[str] = []
        self._troubles: Counter[str] = Counter()
        for camera, habits in self._cameras:
            for _ in range(given.recordings if habits.docks else 1):
                self._record(camera, habits)

    def run(self, stop: threading.Event) -> dict[str, Any]:
        """Serve until everything is settled, or time is up; the account."""
        began_s = time.monotonic()
        self._ends_s = began_s + self._given.duration if self._given.duration else float("inf")
        self._late_s = began_s + self._given.timeout if self._given.timeout else float("inf")
        for camera, _ in self._cameras:
            camera.docked.set()
        self._crowd.serve(lambda: self._over(stop))
        self._crowd.close()
        return self.told()

    def told(self) -> dict[str, Any]:
        """What became of everything, for whoever adds up the shares."""
        held = [f"{camera.device}:{one}" for camera, _ in self._cameras if not camera.dead for one in _held(camera)]
        for camera, _ in self._cameras:
            self._close_books(camera)
        powerless = sum(camera.dead for camera, _ in self._cameras)
        return {
            **vars(self.account),
            "held_at": held,
            "held": self.account.recordings - self.account.sealed - powerless,
            "without_power": powerless,
            "violations": self._violations,
            "troubles": self._troubles,
        }

    def _close_books(self, camera: Camera) -> None:
        """Note what its uploads so far have to say, and keep no more of them."""
        for upload in camera.uploads:
            self._violations += upload.violations
            self._troubles.update({name.split(":")[0]: count for name, count in upload.troubles.items()})
        camera.uploads.clear()

    def _issue(self, broker: Broker, number: int) -> tuple[Camera, Habits]:
        given = self._given
        steady = Habits(
            given.pace_kib * 1024,
            given.patience,
            segment=given.segment_kib * 1024,
            window_cap=max(given.segment_kib * 1024, given.memory_mb * MB // (given.processes or 1) // given.cameras),
        )
        every = named(given.habits.split(","), steady)
        habits = every[(number - 1) % len(every)]
        return Camera(broker, f"cam-{number:04d}", given.vkey, self._hear, habits), habits

    def _hear(self, happening: Mapping[str, object]) -> None:
        self.account.hear(happening)
        if self._given.happenings and happening["event"] != "durable":
            say(happening)

    def _record(self, camera: Camera, habits: Habits) -> None:
        """Make the camera's next recording; the dock's come one after the other before it connects."""
        number = self._recorded[(camera, habits)] = self._recorded[(camera, habits)] + 1
        self.account.recordings += 1
        self._close_books(camera)
        name = f"load-{1 if habits.renumbers else number:04d}"
        started = datetime.now(UTC)
        camera.tell("recording_started", recording=name, n=number, trigger="button", pre_event_s=0)
        reel = Reel.shot(camera.device, name, self._size, started, f"/{number}/{started.timestamp()}")
        reel.recording = replace(reel.recording, ended_at=rfc3339(datetime.now(UTC)))
        camera.tell("recording_stopped", recording=name, n=number, stop_reason="button")
        camera.offer(reel)

    def _over(self, stop: threading.Event) -> bool:
        now = time.monotonic()
        if stop.is_set() or now >= self._late_s:
            return True
        if now < self._next_s:
            return False
        self._next_s = now + PROGRESS_S / 10
        settled = True
        for camera, habits in self._cameras:
            if camera.idle() and not camera.dead and self._more(camera, habits, now):
                self._record(camera, habits)
            settled = settled and camera.idle()
        self._progress(now)
        return settled

    def _more(self, camera: Camera, habits: Habits, now: float) -> bool:
        limit = self._given.recordings
        return now < self._ends_s and (not limit or self._recorded[(camera, habits)] < limit)

    def _progress(self, now: float) -> None:
        account = self.account
        if int(now / PROGRESS_S) != int((now - PROGRESS_S / 10) / PROGRESS_S):
            durable = sum(camera.uploads[-1].durable.octets for camera, _ in self._cameras if camera.uploads)
            say({"event": "progress", "recordings": account.recordings, "sealed": account.sealed, "durable": durable})


def _held(camera: Camera) -> list[str]:
    """What a camera still holds: recording and how far it is."""
    open_ones = [f"{one.recording.name}:{one.phase}:{one.durable.octets}" for one in camera.uploads if not one.over]
    return open_ones + ["not begun"] * camera.waiting()
