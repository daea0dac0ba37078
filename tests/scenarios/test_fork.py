"""A log that forks under a witness of its own process: footage does not wait for it, exports do, a fork ends both."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.bagged import WORDS, steps, stock
from tests.evidence.log.witness_lab import FORKED, LOG_KEY, ORIGIN, request
from tests.scenarios.gateway_process import mosquitto, until
from tests.scenarios.test_restore import Town, begin
from tests.scenarios.witness_process import WitnessProcess


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Whatever was started is gone afterwards."""
    with contextlib.ExitStack() as stack:
        made = Town(tmp_path, stack.enter_context(mosquitto(tmp_path)))
        for process in (made.witness, made.gateway):
            stack.callback(process.kill)
        stack.callback(made.camera.close)
        yield made


def sealed(town: Town, name: str) -> str:
    """One recording more, and its exhibit."""
    town.record(name)
    until(lambda: town.receipts(name), 30, f"a receipt for {name}")
    return str(town.receipts(name)[0]["exhibit"])


def test_footage_does_not_wait_exports_do_and_a_fork_ends_both(town: Town) -> None:
    """While the witness is away receipts are given and no bag is; back, it sees two histories, and keeps both."""
    begin(town)
    town.witnessed()
    assert town.gateway.terminate() == 0
    shutil.copytree(town.data, town.folder / "yesterday")
    town.gateway.start().ready()
    town.witness.terminate()
    exhibit = sealed(town, "rec-2")
    bag = town.folder / "bag"
    words = ("evidence", "export", exhibit, "-o", str(bag), *WORDS, "--wait", "1")
    late = town.gateway.lapel(*words)
    assert (late.returncode, b"not cosigned" in late.stderr, bag.exists()) == (1, True, False)
    town.witness.start()
    town.gateway.told(*words[:-1], "60")
    assert stock(bag, steps(bag))[0] == 0
    town.witnessed()
    size = town.size()
    assert town.gateway.terminate() == 0

    town.witness.terminate()
    shutil.rmtree(town.data)
    shutil.copytree(town.folder / "yesterday", town.data)
    town.gateway.start().ready()
    for number in range(3, 20):
        sealed(town, f"rec-{number}")
        if town.size() > size:
            break
    town.witness.start()
    until(lambda: httpx.get(f"{town.gateway.address}ready/evidence").status_code == 503, 60, "evidence is shut")
    (proof,) = list((town.witness.folder / "witness/refused").rglob("*.json"))
    assert proof.name.startswith(("fork-", "inconsistent-"))
    assert "forked" in (town.data / "evidence/log/halted").read_text()
    told = len([each for each in town.told if each["event"] == "receipt"])
    town.record("after")
    late = town.gateway.lapel(*words[:3], "-o", str(town.folder / "other"), *words[5:])
    assert (late.returncode, (town.folder / "other").exists()) == (3, False), late.stderr
    assert len([each for each in town.told if each["event"] == "receipt"]) == told
    assert town.size() > size, "nothing was signed any more"


def test_the_process_itself_refuses(tmp_path: Path) -> None:
    """Whoever asks: a fork and a rollback get no cosignature, by a process that was started anew as well."""
    witness = WitnessProcess(tmp_path, "cambs")
    witness.vkey()
    witness.write({ORIGIN: [str(LOG_KEY)]})
    with httpx.Client(base_url=witness.start().url, trust_env=False) as somebody:

        def asked(old: int, new: int, *leaves: list[bytes]) -> tuple[int, bytes]:
            answer = somebody.post("/add-checkpoint", content=request(old, new, *leaves))
            return answer.status_code, answer.content

        try:
            assert asked(0, 10)[0] == 200
            for _ in range(2):
                assert asked(10, 10, FORKED)[0] == 422
                assert asked(10, 15, FORKED)[0] == 422
                assert asked(0, 7) == (409, b"10\n")
                witness.terminate()
                witness.start()
            assert asked(10, 12)[0] == 200
        finally:
            witness.kill()
    kept = [json.loads(path.read_text()) for path in (witness.folder / "witness/refused").rglob("*.json")]
    assert len(kept) >= 2
