"""schemathesis, which finds requests of its own for every operation of /openapi.json, against a gateway at work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import peers
from tests.foreign.lively import lively
from tests.scenarios.gateway_process import GatewayProcess

EXAMPLES = int(os.environ.get("LAPEL_API_EXAMPLES", "8"))
SEED = int(os.environ.get("LAPEL_SEED", "1"))
PATIENCE_S = max(240, EXAMPLES * 15)
CANNOT_BE_DONE = [409, 410, 422]
"""What a document cannot foresee: that nobody on the roster is called so, that two fields do not go together
(RFC 9110 15.5.21), that something is as good as gone or in another state. 400 stays a violation."""

UNITS = ["PCC.CSO-014", "PCC.CSO-015", "CAMBS.PC-1187", "NO.SUCH"]
LEVELS = ["0", "1", "entries"]


def command() -> str:
    """Where schemathesis is."""
    found = shutil.which("schemathesis", path=str(Path(sys.executable).parent)) or shutil.which("schemathesis")
    return found or peers.left_out("schemathesis is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, str]]:
    """A gateway at work."""
    with lively(tmp_path_factory.mktemp("openapi")) as found:
        yield found


def known(client: httpx.Client) -> dict[str, list[str]]:
    """What the paths' names stand for here, so that more than 404 is found out."""
    exhibit = client.get("/v1/exhibits").json()["exhibits"][0]["id"]
    emergency = client.get("/v1/emergencies").json()["emergencies"][0]["id"]
    task = made(client, "/v1/tasks", {"unit": UNITS[0], "text": "Go"})["id"]
    booking = made(client, "/v1/bookings", {"device": "cam-0042", "holder": "P-0015"})["id"]
    words = {"purpose": "trial", "recipient": "CPS", "legal_gateway": "CPIA"}
    export = made(client, "/v1/exports", {"exhibits": [exhibit], **words})["export"]
    hold = made(client, "/v1/holds", {"incident": "CC-7", "reason": "appeal"})["hold"]
    disposal = made(client, "/v1/disposals", {"exhibits": [exhibit], "ground": "order", "reason": "order 7"})["id"]
    size = client.get("/v1/log/checkpoint").text.split("\n")[1]
    return {
        "exhibit": [exhibit, "X-NONE"],
        "unit": UNITS,
        "zone": ["south", "north", "nowhere"],
        "booking": [str(booking), "1", "2", "99"],
        "export": [export],
        "hold": [hold],
        "disposal": [disposal],
        "tile": [f"000.p/{size}", "000", "x001/000"],
        "level": LEVELS,
        "name": ["page.html", "page.css", "page.js", "mark.svg", "none.css"],
        "number": ["1", "2"],
        "category": ["evidential", "complaint"],
        "version": ["1", "2"],
        "emergencies": [emergency, "EM-0"],
        "tasks": [task],
        "messages": ["1"],
    }


def made(client: httpx.Client, place: str, body: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, made."""
    answer = client.post(place, json=body)
    assert answer.status_code in (201, 202), answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(ids: dict[str, list[str]]) -> str:
    """The settings: every check, every phase, the ids of this site in three of four requests."""
    lines = [
        "continue-on-failure = true",
        "max-stream-events = 3  # a feed has no end",
        "request-timeout = 10.0",
        "[cache]",
        "enabled = false",
        "[auth.openapi]",
        'bearer = { bearer = "${LAPEL_TOKEN}" }',
        "[phases.stateful]",
        "max-steps = 8",
        "[checks]",
        f"positive_data_acceptance = {{ expected-statuses = {['2xx', 401, 403, 404, *CANNOT_BE_DONE]} }}",
    ]
    for name, values in ids.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}"]
    lines += ["[parameters]", *(f'"path.{name}" = {bound(name)}' for name in ids if name[-1] != "s")]
    for name in ("emergencies", "tasks", "messages"):
        lines += operation(f"include-path-regex = '^/v1/{name}/'", f'parameters = {{ "path.id" = {bound(name)} }}')
    lines += operation('include-path = "/v1/units"', "parameters = { wait_s = 0.1 }  # a long poll waits so long")
    # An HTTP client cannot speak WebSocket: 426 is its answer (tests/api/test_feed_socket.py has the rest).
    lines += operation('include-path = "/v1/feed/ws"', "checks.positive_data_acceptance.expected-statuses = [426]")
    return "\n".join(lines)


def bound(name: str) -> str:
    """A parameter taken from a list, mostly."""
    return f'{{ dictionary = "{name}", probability = 0.75 }}'


def operation(*lines: str) -> list[str]:
    """Settings of some operations."""
    return ["[[operations]]", *lines]


@pytest.mark.timeout(PATIENCE_S + 60)
def test_no_violation(site: tuple[GatewayProcess, str], tmp_path: Path) -> None:
    """Every operation, every check, in every phase: examples, edges, chance, and runs of calls that build on others."""
    gateway, token = site
    with httpx.Client(base_url=gateway.address, headers={"Authorization": f"Bearer {token}"}) as client:
        (tmp_path / "schemathesis.toml").write_text(told(known(client)))
        document = client.get("/openapi.json").json()
    (tmp_path / "openapi.json").write_text(json.dumps(document))  # from a file: where it is served it is left out
    operations = sum(len(item) for item in document["paths"].values())
    words = ["--config-file", str(tmp_path / "schemathesis.toml"), "run", str(tmp_path / "openapi.json")]
    words += ["--url", gateway.address]
    options = ["--checks", "all", "--max-examples", str(EXAMPLES), "--seed", str(SEED), "--no-color", "--no-shrink"]
    done = subprocess.run(
        [command(), *words, *options, "--generation-database", "none"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "LAPEL_TOKEN": token},
    )
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-20_000:]
    assert f"Tested: {operations}" in done.stdout
    assert gateway.running
    assert not gateway.events("request_failed")
