"""The roster is followed while it can be read; whatever its file says, the last one stands."""

from gateway.roster.directory import Roster
from gateway.roster.watch import Watch


class Source:
    """A roster file that can be damaged."""

    def __init__(self) -> None:
        self.number, self.problem = 1, None

    def version(self) -> int:
        """The version, or what the database says."""
        if self.problem is not None:
            raise self.problem
        return self.number

    def roster(self) -> Roster:
        """Nobody."""
        return Roster([], [], [], [])


async def test_any_error_of_the_database_leaves_the_last_roster_standing() -> None:
    """Not only errors of ours: an sqlite or driver error must not end the watch, and with it the gateway."""
    source, changes = Source(), []
    watch = Watch(source, source.roster(), lambda: changes.append(1))
    await watch.look()
    source.problem = RuntimeError("database disk image is malformed")
    await watch.look()
    assert watch.problem == "database disk image is malformed"
    source.problem, source.number = None, 2
    await watch.look()
    assert watch.problem is None
    assert len(changes) == 2
