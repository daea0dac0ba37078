"""A body-worn camera on real MQTT: telemetry, and the upload of `upload` with a file, a clock and a line."""

import argparse
import hashlib
import json
import queue
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from firmware_stubs.fate import Fate
from firmware_stubs.footage import Footage, rfc3339
from firmware_stubs.habits import NAMED, Habits, named
from firmware_stubs.jsonline import say
from firmware_stubs.line import Line, News, Tiding
from firmware_stubs.mqtt import Broker
from firmware_stubs.phrases import parse_answer
from firmware_stubs.proof import VerifierKey
from firmware_stubs.recall import recalled, successor_key
from firmware_stubs.receipt import LAST_DAY
from firmware_stubs.signing import signer_in
from firmware_stubs.upload import Command, Memory, Phase, Upload

WAIT_S = 0.25
BACK_OFF_S = 0.2
BACK_OFF_CAP_S = 2.0
STATUS_EVERY_S = 15.0
HELD_MAX = 4096

Report = Callable[[Mapping[str, object]], None]


class Camera(threading.Thread):
    """One camera: recordings are uploaded one after another, for ever if need be."""

    def __init__(self, broker: Broker, device: str, vkey: Path, report: Report, habits: Habits | None = None) -> None:
        super().__init__(name=f"camera {device}", daemon=True)
        self.device = device
        self.uploads: list[Upload] = []
        self.held: deque[Footage] = deque(maxlen=HELD_MAX)
        self.told: Counter[str] = Counter()
        self._broker, self._vkey, self._report = broker, vkey, report
        self._habits = habits or Habits()
        self._signer = signer_in(broker.certificates, device)
        self._root = f"lapel/v1/camera/{device}"
        self._offered: queue.SimpleQueue[Footage] = queue.SimpleQueue()
        self._current: tuple[Footage, Upload] | None = None
        self._beginning = False
        self._key: VerifierKey | None = None
        self._telemetry: deque[tuple[str, bytes, bool]] = deque()
        self._unacknowledged: dict[int, tuple[str, bytes, bool]] = {}
        self._ended = threading.Event()
        self._up = self._recording = False
        self._next_segment_at = 0.0
        self._next_status_at = 0.0
        self._fate = Fate(self._habits, device)
        self.dead = False
        self.docked = threading.Event()
        self.away_until_s = 0.0

    def offer(self, footage: Footage) -> None:
        """Hand over a finished recording; it is kept until its receipt is verified."""
        self._offered.put(footage)

    def tell(self, event: str, **details: object) -> None:
        """Send an event (`recording_started`, `recording_stopped`, `panic`) when there is a connection."""
        payload = {"v": 1, "at": rfc3339(datetime.now(UTC)), "event": event, **details}
        self.told[event] += 1
        if event.startswith("recording_"):
            self._recording = event == "recording_started"
        self._telemetry.append((f"{self._root}/event", json.dumps(payload).encode(), False))

    @property
    def violations(self) -> list[str]:
        """Every breach of the protocol that this camera saw."""
        return [breach for upload in self.uploads for breach in upload.violations]

    def idle(self) -> bool:
        """Whether nothing offered is still on its way, and no event waits; one without power has nothing on its way."""
        if self.dead:
            return True
        waiting = not self._offered.empty() or self._beginning or self._telemetry or self._unacknowledged
        return not waiting and (self._current is None or self._current[1].over)

    @property
    def smashed(self) -> bool:
        """Whether it is no more."""
        return any(upload.phase is Phase.SMASHED for upload in self.uploads)

    def waiting(self) -> int:
        """How many recordings were handed over whose upload has not begun."""
        return self._offered.qsize()

    def close(self) -> None:
        """Stop; what has no receipt is still held, and its state file says so."""
        self._ended.set()
        if self.is_alive():
            self.join(10)

    def run(self) -> None:
        """Connect, work, and connect again, until closed."""
        pause = BACK_OFF_S
        while not self.at_home() and not self._ended.wait(WAIT_S):
            pass
        while not self._ended.is_set() and not self.dead:
            line = Line(self._broker, self.device)
            try:
                line.open()
                pause = BACK_OFF_S if self._serve(line) else min(BACK_OFF_CAP_S, pause * 2)
            except OSError:
                pause = min(BACK_OFF_CAP_S, pause * 2)
            finally:
                line.close()
                self.lost_line()
            self._ended.wait(max(pause, self.away_until_s - time.monotonic()))

    def at_home(self) -> bool:
        """Whether it may connect: one that docks does so in its dock alone."""
        return not self._habits.docks or self.docked.is_set()

    def _serve(self, line: Line) -> bool:
        """One connection's life; True when it ever came up."""
        was_up = False
        while not self._ended.is_set() and not self.dead:
            try:
                news = line.news.get(timeout=self.wait_s())
            except queue.Empty:
                news = None
            if news is not None and news.tiding is Tiding.DOWN:
                return was_up
            if news is not None:
                was_up = self.hear(news) or was_up
            if self._up:
                self.work(line)
        return was_up

    def hear(self, news: News) -> bool:
        """Take up what the connection says; whether it is up."""
        now = time.monotonic()
        if news.tiding is Tiding.UP:
            self._up, self._next_status_at = True, 0.0
            if self._current is not None:
                self._current[1].connected(now)
        elif news.tiding is Tiding.ACKNOWLEDGED:
            self._unacknowledged.pop(news.mid, None)
        else:
            if self._current is not None:
                self._current[1].receive(news.payload, now)
            self._asked_again(news.payload)
        return self._up

    def _asked_again(self, payload: bytes) -> None:
        """What the gateway lost, and is held here still, is offered once more with the receipt that it had."""
        answer = parse_answer(payload)
        if answer is None or "recall" not in answer or not self._vkey.exists():
            return
        key = successor_key(answer, VerifierKey.parse(self._vkey.read_text()))
        if key is None:
            return
        self._key = key
        for footage in recalled(answer, self.held):
            footage.keep()
            self._report({"event": "recalled", "recording": footage.recording.name, "device": self.device})
            self.held.remove(footage)
            self.offer(footage)

    def work(self, line: Line) -> None:
        """Send what may be sent now; nothing while there is no connection."""
        now = time.monotonic()
        if not self._up:
            return
        self._send_telemetry(line, now)
        if self._current is not None:
            self._tell_of(*self._current)  # a receipt is kept before the next recording takes its place
        self._next_footage(now)
        if self._current is None:
            return
        footage, upload = self._current
        if not upload.over and self._goes(line, footage, upload):
            return
        upload.tick(now)
        if 0 < self._habits.abandon_at <= upload.durable.octets:
            upload.abandon()
        while now >= self._next_segment_at and not self._doomed(upload) and (command := upload.take(now)) is not None:
            self._send(line, footage, command, now)
        if self._doomed(upload) and upload.landed:
            upload.smash()
            self._ended.set()
        self._tell_of(footage, upload)

    def _doomed(self, upload: Upload) -> bool:
        """Whether as much has been sent as will ever be."""
        return 0 < self._habits.smash_at * upload.recording.size <= upload.sent_octets and not upload.over

    def _goes(self, line: Line, footage: Footage, upload: Upload) -> bool:
        """Let fate strike: the network, the power for a while, or the power for good."""
        self.dead = self._fate.dies(upload.durable.octets, footage.recording.size)
        if not self.dead and not self._fate.breaks(upload.durable.octets):
            return False
        self._tell_of(footage, upload)
        self._up = False
        self.away_until_s = time.monotonic() + self._habits.away_s
        line.cut()
        if self._habits.reboots and not self.dead:
            self._reboot(footage, upload)
        what = "battery_empty" if self.dead else "reboot" if self._habits.reboots else "dropped_off"
        self._report({"event": what, "recording": footage.recording.name, "device": self.device})
        return True

    def _reboot(self, footage: Footage, upload: Upload) -> None:
        """What was in memory is gone; what the state file knew is lost as well where the camera forgets."""
        if self._habits.forgets:
            footage.memory = Memory()
        fresh = Upload(footage.recording, footage.memory, upload.key, self._habits)
        fresh.violations, fresh.troubles, fresh.manifest = upload.violations, upload.troubles, upload.manifest
        self._current, self.uploads[-1] = (footage, fresh), fresh

    def _next_footage(self, now: float) -> None:
        if self._current is not None and (not self._current[1].over or self._offered.empty()):
            return
        if self._offered.empty() or not self._vkey.exists():
            return
        self._beginning = True  # neither offered any more nor on its way yet: still not idle
        footage = self._offered.get_nowait()
        key = self._key or self._pinned()
        upload = Upload(footage.recording, footage.memory, key, self._habits)
        if self._signer is not None:
            upload.manifest = self._signer.manifest(footage.recording)
        self._current = (footage, upload)
        self.held.append(footage)
        self.uploads.append(upload)
        self._fate.begin(footage.recording.size)
        self._beginning = False
        upload.connected(now)

    def _pinned(self) -> VerifierKey:
        """The key that it was given, or what that one has handed over to since: a camera never goes back."""
        key = VerifierKey.parse(self._vkey.read_text())
        for upload in self.uploads:
            if upload.receipt is not None and upload.pinned == key:
                key = upload.key
        return key

    def _send(self, line: Line, footage: Footage, command: Command, now: float) -> None:
        """Publish one command; every other segment carries its own digest, as the protocol leaves it open."""
        payload = footage.read(command.span) if command.span is not None else command.payload
        topic = f"{self._root}/file/{footage.recording.name}/{command.leaf}"
        if command.span is not None:
            if self._habits.corrupts or command.span[0] // self._habits.segment_octets % 2:
                topic = f"{topic}/{hashlib.sha256(payload).hexdigest()}"
            payload = self._fate.damaged(payload)
            if self._habits.pace:
                self._next_segment_at = now + len(payload) / self._habits.pace
        for _ in range(2 if self._habits.repeats else 1):
            line.publish(topic, payload)

    def _send_telemetry(self, line: Line, now: float) -> None:
        if now >= self._next_status_at:
            self._next_status_at = now + STATUS_EVERY_S
            line.publish(f"{self._root}/status", self._status(), retain=True)
        while self._telemetry:
            topic, payload, retain = self._telemetry.popleft()
            self._unacknowledged[line.publish(topic, payload, retain=retain)] = (topic, payload, retain)

    def _status(self) -> bytes:
        now = rfc3339(datetime.now(UTC))
        held = self._offered.qsize() + (self._current is not None and not self._current[1].over)
        status = {
            "v": 1,
            "at": now,
            "battery_pct": 0 if self.dead else 71,
            "storage_free_bytes": 51539607552,
            "recording": self._recording,
            "recordings_held": held,
            "firmware": "2.4.1",
            "clock": {"source": "gnss", "last_sync": now},
        }
        return json.dumps(status).encode()

    def _tell_of(self, footage: Footage, upload: Upload) -> None:
        """The state file is written before anybody hears of it."""
        if not upload.happenings:
            return
        footage.keep()
        for happening in upload.happenings:
            self._report({**happening, "device": self.device})
        upload.happenings.clear()

    def lost_line(self) -> None:
        """The connection is gone: what was in flight on it is unknown."""
        self._up = False
        if self._current is not None:
            self._tell_of(*self._current)  # a receipt may have been the last thing that came
            self._current[1].disconnected()
        self._telemetry.extendleft(reversed(self._unacknowledged.values()))
        self._unacknowledged.clear()

    def wait_s(self) -> float:
        """For how long nothing is due."""
        now = time.monotonic()
        times = [now + WAIT_S, self._next_segment_at]
        if self._current is not None and self._up:
            times.append(self._current[1].deadline() or 0.0)
        return min(when for when in times if when > now) - now


def main(arguments: Sequence[str] | None = None) -> int:
    """Upload one file and wait for its receipt."""
    given = _parser().parse_args(arguments)
    footage = Footage.of(given.recording, given.device, given.name or given.recording.stem, given.state)
    awaited = given.habit == "waits" and str((footage.memory.receipt or {}).get("keep_until")).startswith(LAST_DAY)
    if footage.memory.receipt is not None and not (given.reoffer or awaited):
        say({"event": "receipt", "already": True, "recording": footage.recording.name, **_kept(footage)})
        return 0
    broker = Broker.parse(given.mqtt, given.credentials, given.certificates)
    pace, caps = given.pace_kib * 1024, {"window_cap": given.window_cap, "smash_at": given.smash_at}
    steady = Habits(pace, given.patience, given.abort_after, **caps)
    habits = named([given.habit], steady)[0]
    camera = Camera(broker, given.device, given.vkey, say, habits)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    camera.offer(footage)
    camera.docked.set()
    say({"event": "offered", "recording": footage.recording.name, "size": footage.recording.size})
    camera.start()
    ends = time.monotonic() + given.timeout if given.timeout else float("inf")
    while not camera.idle() and not stop.wait(0.05) and time.monotonic() < ends:
        pass
    time.sleep(0.2 if given.abort_after else 0)
    camera.close()
    phase = camera.uploads[0].phase if camera.uploads else Phase.OFFLINE
    troubles = camera.uploads[0].troubles if camera.uploads else {}
    say(
        {
            "event": "summary",
            "state": phase,
            "durable_ever": footage.ever.listed(),
            "violations": camera.violations,
            "troubles": troubles,
            **_kept(footage),
        }
    )
    return 0 if phase in {Phase.RECEIPTED, Phase.ABANDONED, Phase.SMASHED} else 1


def _kept(footage: Footage) -> dict[str, object]:
    receipt = footage.memory.receipt
    if receipt is None:
        return {"exhibit": None, "deletable": False}
    keep_until = str(receipt["keep_until"])
    deletable = datetime.now(UTC) >= datetime.fromisoformat(keep_until)
    return {"exhibit": footage.memory.exhibit, "deletable_from": keep_until, "deletable": deletable}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m firmware_stubs.camera", description=__doc__)
    parser.add_argument("--mqtt", required=True, help="HOST:PORT")
    parser.add_argument("--device", required=True)
    parser.add_argument("--recording", type=Path, required=True, help="the file to upload")
    parser.add_argument("--name", help="the recording's name in the topic; the file's stem unless said")
    parser.add_argument("--state", type=Path, help="state file, so that a restarted camera resumes")
    parser.add_argument("--vkey", type=Path, required=True, help="the pinned log key")
    parser.add_argument("--reoffer", action="store_true", help="offer a receipted recording again: same exhibit")
    parser.add_argument("--pace-kib", type=float, default=0.0, help="KiB a second at most; 0 is no limit")
    parser.add_argument("--patience", type=float, default=3.0, help="seconds of silence before asking again")
    parser.add_argument("--abort-after", type=int, default=0, help="abandon on purpose at so many durable bytes")
    parser.add_argument("--smash-at", type=float, default=0.0, help="fall silent for ever at this share of the upload")
    parser.add_argument("--timeout", type=float, default=0.0, help="seconds before giving up with exit 1; 0 never")
    parser.add_argument("--habit", choices=tuple(NAMED), default="steady", help="how it behaves")
    parser.add_argument("--window-cap", type=int, default=0, help="bytes beyond what is durable at most; 0: as told")
    parser.add_argument("--credentials", type=Path, help="JSON file, device to password")
    parser.add_argument("--certificates", type=Path, help="folder with ca.crt, DEVICE.crt, DEVICE.key")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
