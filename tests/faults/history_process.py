"""A process that journals, roots and prints what is durable, until killed: `python -m tests.faults.history_process`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from gateway.crypto.journal_keys import JournalKeys
from gateway.history.frame import Row
from gateway.history.rooting import Rooting
from gateway.history_half import entries_of
from gateway.pipeline.journal import Journal
from gateway.store.keyring import Keyring
from tests.evidence.log.lab import Lab


def main(directory: Path) -> None:
    """Batches of three people's frames; every few of them a look for roots, as if the hour were over."""
    lab = Lab(directory)
    secrets = Keyring(directory / "journal" / "keys.db", lab.keystore)
    secrets.open()
    number = int(sys.argv[2])
    with lab.opened() as log:
        while True:
            journal = Journal(directory / "journal", JournalKeys(secrets))
            logged = lambda: entries_of(log, lab.catalogue, "journal_root")  # noqa: E731
            for _ in range(5):
                rows: list[Row] = [
                    ("link", "t", f"dev-{each % 3}", None, datetime.now(UTC), "raw", str(number + each).encode())
                    for each in range(4)
                ]
                journal.write(rows)
                number += 4
                print(number, flush=True)
            journal.close()
            Rooting(directory / "journal", journal.turn, log.record_now, logged).once("another")
            print("rooted", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
