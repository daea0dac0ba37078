"""What a test or a person tells the terminal to do next: one line on standard input, one act."""

import sys
import threading
from collections.abc import Callable, Sequence

from firmware_stubs.crew import Crew
from firmware_stubs.jsonline import say
from firmware_stubs.lip import Reason
from firmware_stubs.port import Terminal
from firmware_stubs.sds import simple_text, status, transfer_text

BURST = (1, 2, 30, 42)
UNPLUGGED_S = 0.3


class Cues:
    """Reads lines in a thread of its own; the acts are done by `step`, in the thread of whoever calls it."""

    def __init__(self, terminal: Terminal, crew: Crew, stop: threading.Event) -> None:
        self._terminal, self._crew, self._stop = terminal, crew, stop
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._acts: dict[str, Callable[[Sequence[str]], None]] = {
            "emergency": lambda given: crew.handsets[int(given[0])].press_emergency(crew.now),
            "status": lambda given: crew.handsets[int(given[0])].press_status(int(given[1]), crew.now),
            "value": lambda given: terminal.hear(status(int(given[0]), int(given[1], 0))),
            "text": lambda given: terminal.hear(simple_text(int(given[0]), " ".join(given[1:]))),
            "ask": lambda given: terminal.hear(
                transfer_text(int(given[0]), " ".join(given[2:]), int(given[1]), wants_report=True, when_read=True)
            ),
            "place": lambda given: crew.handsets[int(given[0])].report_place(crew.now),
            "reach": self._reach,
            "call": self._call,
            "hangup": lambda _given: terminal.suffer(terminal.radio.end_call),
            "mode": lambda given: terminal.suffer(lambda: terminal.radio.memory.change_mode(int(given[0]))),
            "burst": lambda _given: terminal.suffer(lambda: terminal.radio.burst(BURST)),
            "confuse": lambda _given: terminal.suffer(terminal.radio.confuse),
            "reboot": lambda _given: terminal.suffer(terminal.reboot),
            "unplug": lambda given: terminal.suffer(lambda: terminal.replug(float(given[0]) if given else UNPLUGGED_S)),
            "stop": lambda _given: stop.set(),
        }

    def listen(self) -> None:
        """Heed standard input; its end is a stop."""
        threading.Thread(target=self._read, name="cues", daemon=True).start()

    def step(self) -> None:
        """Do what was asked for since the last step; what is no act is said and let go."""
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            name, *given = line.split()
            try:
                self._acts[name](given)
            except (KeyError, ValueError, IndexError) as error:
                say({"event": "not_understood", "cue": line, "problem": f"{type(error).__name__}: {error}"})
            else:
                say({"event": "done", "cue": line})

    def _read(self) -> None:
        for line in sys.stdin:
            if line.strip():
                with self._lock:
                    self._lines.append(line.strip())
        self._stop.set()

    def _call(self, given: Sequence[str]) -> None:
        caller, priority = int(given[0]), int(given[1]) if given[1:] else 0
        radio = self._terminal.radio
        self._terminal.suffer(lambda: radio.begin_call(caller, radio.cell.group, priority))

    def _reach(self, given: Sequence[str]) -> None:
        issi, reason = int(given[0]), Reason[given[1].upper()]
        handset = self._crew.handsets[issi]
        handset.change_reach(reason, self._crew.now)
        reach = self._terminal.radio.memory.unreachable
        (reach.discard if handset.reachable else reach.add)(issi)
