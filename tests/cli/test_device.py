"""`lapel device` and `lapel broker config` as an operator types them: files, exit codes, what is on record."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.cli import FAILED, USAGE
from gateway.crypto.certificates import public_of
from gateway.evidence_half import records
from gateway.observe import SystemClock
from tests import peers
from tests.crypto.test_authority import request_of
from tests.site import command
from tests.test_enrolment import KEY


@pytest.fixture
def data(tmp_path):
    """A store that keeps evidence."""
    where = tmp_path / "data"
    where.mkdir()
    with records(where / "evidence", where / "keys", "test.example/log", SystemClock(), create=True):
        pass
    return where


def lapel(*words, code=0):
    """The command as a process: what it prints, where, and its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *map(str, words)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    return done


def listed(data):
    """What `device list --json` says."""
    return json.loads(command("device", "list", "--data", data, "--json"))["credentials"]


def test_a_key_made_here_lies_in_the_directory_with_all_that_a_device_needs(data, tmp_path):
    """Key 0600, certificate, whom to trust; a second time the directory is refused before anything is issued."""
    out = tmp_path / "out"
    command("device", "enrol", "cam-a", "--out", out, "--data", data)
    assert {path.name for path in out.iterdir()} == {"cam-a.key", "cam-a.crt", "ca.crt"}
    assert stat.S_IMODE((out / "cam-a.key").stat().st_mode) == 0o600
    verified = [peers.program("openssl"), "verify", "-CAfile", data / "keys/authority/device-ca.crt", out / "cam-a.crt"]
    assert subprocess.run(verified, capture_output=True).returncode == 0
    before = len(listed(data))
    refused = lapel("device", "enrol", "cam-a", "--out", out, "--data", data, code=USAGE)
    assert "holds a key of cam-a already" in refused.stderr
    assert len(listed(data)) == before
    command("device", "enrol", "cam-a", "--out", tmp_path / "again", "--data", data)
    assert [each["state"] for each in listed(data) if each["device"] == "cam-a"] == ["stands", "stands"]


def test_a_request_gives_a_certificate_on_standard_output(data, tmp_path):
    """Nothing else there, so that it can be piped."""
    (tmp_path / "r.csr").write_bytes(request_of(KEY))
    done = lapel("device", "enrol", "cam-a", "--csr", tmp_path / "r.csr", "--data", data)
    assert done.stdout.startswith("-----BEGIN CERTIFICATE-----")
    assert done.stdout.endswith("-----END CERTIFICATE-----\n")
    (said,) = [each for each in listed(data) if each["device"] == "cam-a"]
    assert (said["key_origin"], said["kind"], said["state"]) == ("device", "camera", "stands")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["enrol", "cam-a"], USAGE, "--csr FILE"),
        (["enrol", "gateway", "--out", "o"], FAILED, "reserved"),
        (["enrol", "cam-a", "--kind", "gateway", "--out", "o"], FAILED, "go together"),
        (["enrol", "lapel-probe", "--out", "o"], FAILED, "reserved"),
        (["enrol", "../x", "--out", "o"], FAILED, "not a valid device id"),
        (["enrol", "cam-a", "--csr", "missing"], USAGE, "cannot be read"),
        (["enrol", "cam-a", "--out", "o", "--cameras", "b"], USAGE, "only a dock"),
        (["enrol", "d", "--out", "o", "--kind", "dock", "--cameras", "a/b"], FAILED, "not a valid"),
        (["revoke", "cam-z", "--reason", "x"], FAILED, "never enrolled"),
        (["revoke", "cam-z", "--reason", " "], USAGE, "say why"),
        (["revoke", "cam-z", "--reason", "x", "--broker", "."], USAGE, "no configuration"),
        (["renew", "cam-z", "--out", "o"], FAILED, "enrol it"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(data, tmp_path, words, code, said):
    """Exit codes as in every command, and no file left behind."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "device", *words, "--data", str(data)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / "o").exists()
    assert not (tmp_path / "x.key").exists()


def test_every_act_is_in_the_log(data, tmp_path):
    """Enrolment, renewal, revocation: entries that name nobody in clear, details that name the device."""
    command("device", "enrol", "cam-a", "--out", tmp_path / "a", "--data", data)
    command("device", "renew", "cam-a", "--out", tmp_path / "b", "--data", data)
    command("device", "revoke", "cam-a", "--reason", "stolen", "--data", data)
    with records(data / "evidence", data / "keys", "test.example/log", SystemClock()) as store:
        acts = [store.custody.detail(index)[0] for index in range(store.custody.size)]
        leaves = b"".join(store.custody.leaf(index) for index in range(store.custody.size))
    mine = [each["act"] for each in acts if each["device"] == "cam-a"]
    assert mine == ["device_enrol", "device_enrol", "device_revoke"]
    assert acts[-1]["reason"] == "stolen"
    assert b"cam-a" not in leaves
    command("evidence", "verify", "--all", "--data", data)


def test_list_tells_states_and_for_whom_a_dock_speaks(data, tmp_path):
    """As a table and as JSON."""
    command(
        "device", "enrol", "dock-1", "--kind", "dock", "--cameras", "cam-a, cam-b", "--out", tmp_path, "--data", data
    )
    command("device", "revoke", "dock-1", "--reason", "sold", "--data", data)
    (dock,) = [each for each in listed(data) if each["device"] == "dock-1"]
    assert (dock["state"], dock["reason"], dock["cameras"]) == ("revoked", "sold", ["cam-a", "cam-b"])
    assert "cam-a cam-b" in command("device", "list", "--data", data)


def test_a_new_site_begins_with_a_configuration_alone(tmp_path):
    """No data directory yet: the authority is made, in the directory and for the days that the settings say."""
    config = tmp_path / "lapel.toml"
    config.write_text('[gateway]\ndata = "d"\n[devices]\nauthority = "ca"\ncertificate_days = 10\n')
    command("device", "enrol", "cam-a", "--out", tmp_path / "o", "-c", config)
    assert (tmp_path / "ca" / "device-ca.key").exists()
    told = json.loads(command("device", "list", "-c", config, "--json"))["credentials"]
    assert all(each["not_after"] < "2100" for each in told)
    found = json.loads(command("doctor", "-c", config, "--json", code=0))["findings"]
    named = {each["about"] for each in found if each["verdict"] == "note"}
    assert {"certificate of cam-a", "certificate of gateway"} <= named


def test_a_broker_configuration_is_whole_and_can_be_written_again(data, tmp_path):
    """Every file that it names is there; a second time the same key and certificate stay."""
    words = ["broker", "config", "-o", tmp_path / "b", "--host", "mqtt.example", "--port", 8883, "--data", data]
    command(*words)
    text = (tmp_path / "b" / "mosquitto.conf").read_text()
    keys = ("cafile", "crlfile", "certfile", "keyfile", "acl_file")
    named = [line.split()[1] for line in text.splitlines() if line.startswith(keys)]
    assert len(named) == 10
    assert all(os.path.exists(each) for each in named)
    assert stat.S_IMODE((tmp_path / "b" / "broker.key").stat().st_mode) == 0o600
    key, crt = ((tmp_path / "b" / name).read_bytes() for name in ("broker.key", "broker.crt"))
    command(*words)
    assert (tmp_path / "b" / "broker.key").read_bytes() == key
    assert (tmp_path / "b" / "broker.crt").read_bytes() == crt
    assert 'host = "mqtt.example"' in (tmp_path / "b" / "gateway.toml").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--host", "a b"], "neither a name"),
        (["--gateway-port", "8883"], "a port each"),
        (["--kind", "x"], "mosquitto"),
    ],
)
def test_a_wrong_broker_option_is_named(data, tmp_path, more, said):
    """Exit 2, nothing written."""
    done = lapel("broker", "config", "-o", tmp_path / "b", *more, "--data", data, code=USAGE)
    assert said in done.stderr
    assert not (tmp_path / "b").exists()


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("number", range(1, 11))
def test_killed_while_it_hands_over_there_is_all_or_no_key(data, tmp_path, monkeypatch, number):
    """At any sync: a directory with a key is whole, of one pair; without one, enrolling again works."""
    command("device", "list", "--data", data)
    command("broker", "config", "-o", tmp_path / "b", "--data", data)
    out, calls, real = tmp_path / "out", [], os.fsync

    def dying(descriptor):
        calls.append(descriptor)
        if len(calls) == number:
            raise Killed
        real(descriptor)

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr("gateway.crypto.authority_files.os.fsync", dying)
        command("device", "enrol", "cam-a", "--out", out, "--data", data)
    if not (out / "cam-a.key").exists():
        command("device", "enrol", "cam-a", "--out", out, "--data", data)
    certificate = x509.load_pem_x509_certificate((out / "cam-a.crt").read_bytes())
    mine = public_of((out / "cam-a.key").read_bytes())
    assert certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == mine
    assert (out / "ca.crt").read_bytes() == (data / "keys/authority/site-ca.crt").read_bytes()
    assert {each["state"] for each in listed(data)} == {"stands"}
    command("evidence", "verify", "--all", "--data", data)
