"""Enrolled cameras on a real broker with the generated configuration, to a gateway process: sealed, and who signed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import urllib.request

import pytest

from gateway.cli.places import places
from gateway.evidence_half import records_at
from tests.faults.camera_process import footage
from tests.scenarios.gateway_process import ROOT, GatewayProcess, until
from tests.site import Site, command

CAMERA, OTHER = "cam-0042", "cam-0043"


@pytest.fixture
def site():
    """A site with a camera whose key is its own, and its broker."""
    made = Site()
    made.enrol(CAMERA, "--csr", made.csr(CAMERA))
    made.enrol(OTHER)
    made.write()
    made.start()
    yield made
    made.close()


@pytest.fixture
def gateway(site):
    """`lapel run` with the lines that `lapel broker config` gives for it."""
    lines = (site.conf / "gateway.toml").read_text()
    text = f'[gateway]\ndata = "{site.data}"\n{lines}[api]\nport = 0\n[store]\nreserve_mb = 0\n'
    text += '[[driver]]\nkind = "camera"\nname = "cameras"\n'
    process = GatewayProcess(site.root, text)
    process.start().ready()
    yield process
    process.kill()


def camera(site, recording, device=CAMERA, *more):
    """The stub with its certificate, from offer to verified receipt."""
    words = ["--mqtt", f"127.0.0.1:{site.port}", "--device", device, "--recording", recording, "--patience", "0.5"]
    words += ["--vkey", site.data / "evidence" / "log" / "log.vkey", "--certificates", site.keys, "--timeout", "30"]
    done = subprocess.run(
        [sys.executable, "-m", "firmware_stubs.camera", *map(str, words), *more], cwd=ROOT, capture_output=True
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (said[-3:], done.stderr[-500:])
    return said[-1]["exhibit"]


def seal_of(site, exhibit):
    """The detail of an exhibit's seal."""
    found = places(None, str(site.data))
    with records_at(found.evidence, found.keys) as store:
        row = store.catalogue.exhibit(exhibit)
        detail, _salt = store.custody.detail(row.log_index)
    return detail


def test_an_upload_over_mutual_tls_is_sealed_with_its_signature_valid(site, gateway):
    """From certificate to receipt; the broker's rights were tried; revoked meanwhile: kept, flagged, never valid."""
    until(lambda: gateway.events("broker_rights_enforced"), 20, "the gateway has tried the broker's rights")
    detail = seal_of(site, camera(site, footage(site.root / "one.mp4", 3_000_000, 1)))
    assert (detail["device_signature"], detail["key_origin"], detail["flags"]) == (
        "valid",
        "device",
        ["holder_unknown"],
    )
    assert detail["manifest"]["n"] == 1
    with sqlite3.connect(site.data / "roster.db") as link:
        assert link.execute("SELECT device FROM credential WHERE serial = ?", (detail["serial"],)).fetchone() == (
            CAMERA,
        )
    made_here = seal_of(site, camera(site, footage(site.root / "two.mp4", 100_000, 2), OTHER))
    assert (made_here["device_signature"], made_here["key_origin"]) == ("valid", "operator")
    command("device", "revoke", CAMERA, "--reason", "lost", "--data", site.data)  # the broker is not told
    until(lambda: _revoked(site), 5, "on record")
    _settle(gateway)
    late = seal_of(site, camera(site, footage(site.root / "three.mp4", 200_000, 3)))
    assert late["device_signature"] == "invalid"
    assert "revoked on" in late["problem"]
    assert set(late["flags"]) == {"device_signature_invalid", "device_revoked", "holder_unknown"}
    assert command("evidence", "verify", "--all", "--data", site.data)


def _revoked(site):
    with sqlite3.connect(site.data / "roster.db") as link:
        return link.execute("SELECT count(*) FROM revocation").fetchone()[0]


def _settle(gateway):
    """A running gateway sees what a command did within about a second."""
    import time

    time.sleep(1.2)
    assert gateway.running


def test_health_metrics_and_doctor_tell_of_the_broker(site, gateway):
    """`broker-rights` among the inputs and in the metrics; a certificate that lapses soon is named by the doctor."""
    until(lambda: gateway.events("broker_rights_enforced"), 20, "the gateway has tried the broker's rights")
    token = site.root / "token"
    token.write_text(gateway.token())
    headers = {"Authorization": f"Bearer {token.read_text()}"}

    def asked(path):
        with urllib.request.urlopen(urllib.request.Request(gateway.address.rstrip("/") + path, headers=headers)) as got:
            return got.read().decode()

    assert json.loads(asked("/ready"))["parts"]["inputs"] == "ok"
    inputs = json.loads(asked("/v1/drivers"))["inputs"]
    assert inputs["broker-rights"]["state"] == "up"
    assert inputs["broker-rights"]["counters"]["rights_enforced"] == 1
    metrics = asked("/metrics")
    assert "lapel_devices_enrolled 2.0" in metrics
    assert 'lapel_input_count{counter="rights_enforced",input="broker-rights"} 1.0' in metrics
    said = command("doctor", "--url", gateway.address, "--token-file", token)
    assert "broker-rights: up" in said
