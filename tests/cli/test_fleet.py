"""`lapel fleet` against a broker and a gateway that are processes: every habit, its account, its exit code."""

from __future__ import annotations

import json

import pytest

from firmware_stubs.habits import NAMED
from tests.faults.sealed_once import verifies
from tests.scenarios.gateway_process import GatewayProcess, configuration, free_port, mosquitto


@pytest.fixture
def site(tmp_path):
    """A gateway behind a broker, and the broker's port."""
    with mosquitto(tmp_path) as port:
        gateway = GatewayProcess(tmp_path, configuration(tmp_path / "data", port, store={"reserve_mb": 0}))
        try:
            yield gateway.start().ready(), port
        finally:
            gateway.kill()


@pytest.mark.timeout(120)
def test_every_habit_seals(site):
    """All habits at once, two recordings each: each is sealed but for those whose camera died, and all verifies."""
    gateway, port = site
    words = ["--cameras", str(len(NAMED)), "--recordings", "2", "--size", "2.5", "--segment-kib", "128"]
    done = gateway.lapel(
        "fleet", "--broker", f"127.0.0.1:{port}", "--habits", "all", "--json", "--timeout", "60", *words
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    account = json.loads(done.stdout)
    died, offered = 1, 2 * len(NAMED) - 1
    assert (account["recordings"], account["without_power"]) == (offered, died)
    assert (account["sealed"], account["held"], account["violations"]) == (offered - died, 0, [])
    assert {"dropped_off", "reboot", "battery_empty"} <= set(account["happened"])
    assert account["receipt_s"]["p50"] <= account["receipt_s"]["p99"]
    exhibits = json.loads(gateway.told("evidence", "list", "--json", "--limit", "1000"))["exhibits"]
    sealed = [row for row in exhibits if row["sealed_at"]]
    assert len(sealed) == offered - died, "not one exhibit a recording"
    assert len({(row["device"], row["sha256"]) for row in sealed}) == len(sealed)
    reused = [row for row in sealed if "recording_id_reused" in row["flags"]]
    assert len(reused) == 1, "the camera that renumbers"
    verifies(gateway)


def test_what_is_held_is_a_failure(site):
    """Nobody behind the broker: nothing is sealed, the account says what is held, exit 1."""
    gateway, port = site
    gateway.terminate()
    done = gateway.lapel(
        "fleet", "--broker", f"127.0.0.1:{port}", "--cameras", "2", "--size", "0.1", "--timeout", "1", "--json"
    )
    account = json.loads(done.stdout)
    assert (done.returncode, account["sealed"], account["held"]) == (1, 0, 2)
    assert len(account["held_at"]) == 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--broker", "nowhere"], "--broker"),
        (["--broker", "127.0.0.1:70000"], "--broker"),
        (["--vkey", "/nonexistent/log.vkey"], "--vkey"),
        (["--certificates", "/nonexistent"], "--certificates"),
        (["--certificates", "/"], "/ca.crt is not there and 20 more"),
        (["--habits", "steady,sulks"], "sulks"),
        (["--recordings", "0"], "--duration"),
    ],
)
def test_bad_use_is_named(tmp_path, words, named):
    """Exit 2, and which option."""
    gateway = GatewayProcess(tmp_path, configuration(tmp_path / "data", free_port()))
    key = tmp_path / "log.vkey"
    key.write_text("key")
    done = gateway.lapel("fleet", "--broker", "127.0.0.1:1", "--vkey", str(key), *words)
    assert (done.returncode, named in done.stderr.decode()) == (2, True), done.stderr.decode()
