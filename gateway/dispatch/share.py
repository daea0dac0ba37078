"""Several gateway terminals as one: they share the load and take over for one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.errors import LinkError
from gateway.ports import Downlink, Outgoing, Sent

NONE_READY = "no gateway terminal is ready to send"


class Share:
    """Chooses, hands over, goes on to the next when one is lost."""

    def __init__(self, downlinks: Callable[[], Mapping[str, Downlink]]) -> None:
        self._downlinks = downlinks
        self.takeovers = 0

    @property
    def ready(self) -> bool:
        """Whether any can send now."""
        return any(link.ready for link in self._downlinks().values())

    def over(self, text: str) -> int:
        """How many octets the text is over the limit of the tightest bearer, so that any may take over; 0: it fits."""
        return max((link.fits(text) for link in self._downlinks().values()), default=0)

    async def send(self, message: Outgoing) -> tuple[str, Sent]:
        """Return the gateway terminal that sent it. RefusedError as it says; LinkError when none is left (not sent)."""
        tried: set[str] = set()
        problem = NONE_READY
        while (name := self._next(tried, message.via)) is not None:
            tried.add(name)
            try:
                return name, await self._downlinks()[name].send(message)
            except LinkError as gone:
                self.takeovers += 1
                problem = f"{name}: {gone}"
        raise LinkError(problem)

    def _next(self, tried: set[str], only: str | None) -> str | None:
        """The ready one with the fewest waiting; by name where they are equal. only: that one or none."""
        links = {name: link for name, link in self._downlinks().items() if only in {None, name}}
        able = [(link.waiting, name) for name, link in links.items() if name not in tried and link.ready]
        return min(able)[1] if able else None


def longest(fits: Callable[[str], bool], text: str) -> int:
    """How many characters of the text fit, by bisection."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(text[:middle]) else (low, middle - 1)
    return low
