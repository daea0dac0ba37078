"""`lapel log verify`, `lapel log proof`, `lapel evidence verify` from outside."""

import json

import pytest
from click.testing import CliRunner

from gateway.cli.evidence_verify import verify
from gateway.cli.log import log
from tests.evidence.verify.build_store import log_of, small_store


@pytest.fixture
def store(tmp_path):
    """A small whole store."""
    return small_store(tmp_path)


def run(command, *arguments):
    """Run a command as the shell would."""
    return CliRunner().invoke(command, [str(one) for one in arguments])


def damage(store):
    """Change one byte of the lowest hash tile."""
    path = store.evidence / "log" / "tile" / "0" / "000.p" / "8"
    path.write_bytes(b"\x00" + path.read_bytes()[1:])


def test_good_store_exits_0(store):
    """One line, exit 0."""
    for command, words in ((verify, []), (verify, ["--all"]), (verify, ["X-0001"]), (log, ["verify"])):
        result = run(command, *words, "--data", store.root)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        assert "verified" in result.stdout
        assert "8 entries" in result.stdout


def test_damage_exits_3_and_is_named_on_stderr(store):
    """Each finding on standard error, exit 3; as JSON too."""
    damage(store)
    for command, words in ((verify, []), (log, ["verify"])):
        result = run(command, *words, "--data", store.root)
        assert result.exit_code == 3
        assert "log/tile/0/000.p/8: expected hash" in result.stderr
        result = run(command, *words, "--data", store.root, "--json")
        body = json.loads(result.stdout)
        assert result.exit_code == 3
        assert (body["v"], body["ok"], body["findings"][0]["path"]) == (1, False, "log/tile/0/000.p/8")


def test_json_of_a_good_store(store):
    """Counts, checkpoint and notes are there."""
    body = json.loads(run(verify, "--data", store.root, "--json").stdout)
    assert body["ok"] is True
    assert body["counts"]["sealed"] == 2
    assert body["checkpoint"]["origin"] == "lapel.example/pes"


def test_usage_exits_2(store, tmp_path):
    """Neither or both of the alternatives, no store, no such entry."""
    for command, words in (
        (verify, []),
        (verify, ["X-1", "--all", "--data", store.root]),
        (log, ["verify", "--data", tmp_path / "none"]),
        (log, ["proof", "8", "--data", store.root]),
        (log, ["proof", "-1", "--data", store.root]),
    ):
        assert run(command, *words).exit_code == 2, words


def test_unread_exits_1(store, monkeypatch):
    """What could not be read is no integrity failure."""
    from gateway.cli import evidence_verify
    from gateway.evidence.verify.report import Report, UnreadError

    report = Report("store")
    report.add(UnreadError("keys.db", "a readable file", "Permission denied"))
    monkeypatch.setattr(evidence_verify, "verify_store", lambda *a, **k: report)
    result = run(verify, "--data", store.root)
    assert result.exit_code == 1
    assert "keys.db: not read: Permission denied" in result.stderr


def test_proof_and_leaf(tmp_path):
    """The proof's text, or the leaf's exact bytes, or both as JSON."""
    store = log_of(tmp_path, 5)
    proof = run(log, "proof", 3, "--data", store.root)
    assert proof.stdout.startswith("c2sp.org/tlog-proof@v1\nindex 3\n")
    assert proof.stdout.endswith((store.evidence / "log" / "checkpoint").read_text())
    assert run(log, "proof", 3, "--leaf", "--data", store.root).stdout_bytes == store.entries[3]
    body = json.loads(run(log, "proof", 3, "--json", "--data", store.root).stdout)
    assert (body["index"], body["proof"]) == (3, proof.stdout)


def test_findings_print_on_one_line(store):
    """Control characters of damaged files do not reach the terminal."""
    (store.evidence / "log" / "log.vkey").write_bytes(b"\x1b[2J\x07evil\n")
    result = run(log, "verify", "--data", store.root)
    assert result.exit_code == 3
    assert "\x1b" not in result.stderr
    assert "\x07" not in result.stderr
