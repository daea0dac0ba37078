"""The questions by which a session finds its place again: their answers name themselves. Sans-IO.

A radio does one thing after another: once such a question has its answer, nothing older is owed, unless
the same question was asked before and that is whose answer it was.
"""

from __future__ import annotations

from drivers.tetra.dialects import Command

_ORDER = ("AT+GMI?", "AT+GMM?", "AT+GMR?", "AT+CNUMF?")
_AT_FIRST = 2
"""So many must be answered at the start: the session before may have asked the first, and it is still owed."""


class Questions:
    """Which to ask next, and whether its answer can be that to an older one. `turn` says which is the first."""

    def __init__(self, turn: int = 0) -> None:
        first = turn % len(_ORDER)
        self._untried = [Command(text) for text in (*_ORDER[first:], *_ORDER[:first])]
        self.known: list[Command] = []
        self._asked: set[str] = set()
        self._wanted, self.rounds = _AT_FIRST, 0
        self._sure = True

    def note(self, text: str) -> None:
        """Any command was sent; one of ours may be owed from now on."""
        if text in _ORDER:
            self._asked.add(text)

    def ask(self) -> Command | None:
        """The next one: not asked since all was well, where there is such; each at most twice; then None."""
        fresh = [one for one in (*self.known, *self._untried) if one.text not in self._asked]
        self._sure = bool(fresh)
        if not fresh and self.rounds >= 2 * len(self.known):
            return None
        asked = fresh[0] if fresh else self.known[self.rounds % len(self.known)]
        self.rounds += 1
        return asked

    def check(self) -> Command | None:
        """One that this radio answers by name, and that is not owed already."""
        return next((Command(one.text) for one in self.known if one.text not in self._asked), None)

    def is_known(self, question: Command) -> bool:
        """Whether this radio has answered it by name."""
        return question in self.known

    def named(self, question: Command) -> bool | None:
        """It has its own answer: True, in step; False, ask another; None, it may be the answer to an older one."""
        self.learn(question)
        if not self._sure:
            return None
        self._wanted -= 1
        return self._wanted <= 0

    def learn(self, question: Command) -> None:
        """This radio answers it with its name."""
        self._untried = [one for one in self._untried if one != question]
        if question.text in _ORDER and question not in self.known:
            self.known.append(question)

    def refused(self, question: Command) -> None:
        """This radio does not answer it: not asked again until it has."""
        self._untried = [one for one in self._untried if one != question]

    def settle(self) -> None:
        """In step: nothing is owed."""
        self._asked.clear()
        self._wanted, self.rounds = 1, 0
