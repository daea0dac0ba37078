"""The officers whose radios one terminal hears: they move, their radios report, and they answer what they are sent."""

import queue
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from firmware_stubs.handset import Habits, Handset
from firmware_stubs.jsonline import say
from firmware_stubs.lip_orders import Trigger
from firmware_stubs.port import Terminal
from firmware_stubs.sds import Downlink
from firmware_stubs.walk import Walker

OWN_INTERVAL = Trigger(129, 0)
EMERGENCY = Trigger(2)


class Crew:
    """Handsets on the move. Short data comes from the terminal's thread, everything else happens in `step`."""

    def __init__(self, terminal: Terminal, issis: Iterable[int], habits: Habits, *, seed: int, hurry: float) -> None:
        self._terminal, self._hurry = terminal, hurry
        self._news: queue.SimpleQueue[Downlink] = queue.SimpleQueue()
        self._began = self._stepped = time.monotonic()
        self.handsets: Mapping[int, Handset] = {issi: self._handset(issi, habits) for issi in issis}
        self._walkers = {issi: Walker("cycle", seed * 1009 + issi) for issi in self.handsets}
        terminal.on_downlink = self._news.put

    @property
    def now(self) -> float:
        """The officers' own time, which may run faster than ours."""
        return (time.monotonic() - self._began) * self._hurry

    def step(self) -> None:
        """What was received since the last step, the way gone since then, and what is to be sent by now."""
        while not self._news.empty():
            self._deliver(self._news.get_nowait())
        passed, self._stepped = time.monotonic() - self._stepped, time.monotonic()
        for issi, handset in self.handsets.items():
            self._walkers[issi].step(passed * self._hurry)
            handset.move(self._walkers[issi].place(), self.now)
            for frame in handset.due(self.now, datetime.now(UTC)):
                self._terminal.hear(frame)

    def _handset(self, issi: int, habits: Habits) -> Handset:
        made = Handset(issi, self._terminal.radio.dialect, habits, (OWN_INTERVAL, EMERGENCY))
        made.on_screen = lambda text, reference: say(
            {"event": "screen", "issi": issi, "text": text, "reference": reference}
        )
        made.on_report = lambda reference, outcome: say(
            {"event": "report", "issi": issi, "reference": reference, "outcome": outcome}
        )
        made.on_acknowledged = lambda reference, outcome: say(
            {"event": "acknowledged", "issi": issi, "reference": reference, "outcome": outcome}
        )
        return made

    def _deliver(self, down: Downlink) -> None:
        say({"event": "downlink", "called": down.called, "service": down.service, "hex": down.hexadecimal})
        handset = self.handsets.get(down.called)
        if handset is not None:
            handset.receive(down, self.now)
