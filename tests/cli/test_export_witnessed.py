"""An export of a log that a partner witnesses, as configured: quorum, labels, the published lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.crypto.notes import parse_vkey
from tests.api.site import Site, noise
from tests.cli.bagged import WORDS, steps, stock
from tests.cli.conftest import Lapel
from tests.evidence.log.witness_lab import WITNESS_SIGNER
from tests.outlets.serving import Serving


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[Serving]:
    """A partner's witness, listening in a thread of its own."""
    with Serving(tmp_path / "partner", WITNESS_SIGNER) as serving:
        yield serving


@pytest.fixture
def config(tmp_path: Path, partner: Serving) -> Path:
    """A store of one exhibit, and its configuration: the partner makes the quorum, times are our own."""
    with Site(tmp_path / "site") as site:
        site.seal(noise(1_000), "r1")
        assert site.gateway.evidence is not None
        key = parse_vkey(site.gateway.evidence.records.custody.vkey)
    partner.know(key)
    text = f"""
[gateway]
data = {json.dumps(str(site.data))}
[log]
origin = "{key.name}"
operator = "PCC"
[[log.witness]]
name = "partner"
operator = "CAMBS"
url = "{partner.url}"
vkey = "{partner.vkey}"
[timestamp]
embedded = true
"""
    (tmp_path / "lapel.toml").write_text(text)
    return tmp_path / "lapel.toml"


def _words(err: str) -> list[str]:
    """What was said to a person: log lines of the process, where a test before this one wants them, left out."""
    return [line for line in err.splitlines() if not line.startswith("{")]


def test_the_partner_makes_the_quorum(config: Path, partner: Serving, lapel: Lapel, tmp_path: Path) -> None:
    """Away: no bag, and the reason. Back: the same command ends it, and the cosignature is in it, independent."""
    (row, *_) = lapel("evidence", "list", "-c", config, "--json").json["exhibits"]
    words = ("evidence", "export", row["id"], "-o", tmp_path / "bag", *WORDS, "-c", config)
    partner.away = True
    late = lapel(*words, "--wait", "1")
    assert (late.code, "not cosigned" in late.err, (tmp_path / "bag").exists()) == (1, True, False)
    assert _words(late.err)[0].startswith("waiting for the witnesses, at most 1 s")
    partner.away = False
    done = lapel(*words, "--wait", "20")
    assert done.code == 0, done.err
    code, said = stock(tmp_path / "bag", steps(tmp_path / "bag"))
    assert (code, "(operator=CAMBS): cosigned at 20" in said) == (0, True), said
    manifest = json.loads((tmp_path / "bag/data" / row["id"] / "manifest.json").read_text())
    labels = {proof["what"]: proof["label"] for proof in manifest["proofs"]}
    assert (labels["witness"], labels["log"]) == ("independent", "self-asserted")
    (tmp_path / "trust.txt").write_text(lapel("trust", "print", "-c", config).out)
    good = lapel("verify-export", tmp_path / "bag", "--trust", tmp_path / "trust.txt", "--json")
    assert (good.code, good.json["counts"]["cosignatures"], good.json["counts"]["time_stamps"]) == (0, 1, 1)


def test_who_sets_the_time_is_the_configurations_word(config: Path, lapel: Lapel, tmp_path: Path) -> None:
    """--own-time contradicts it; contradictions in [timestamp] are named by their key."""
    done = lapel("evidence", "export", "X-1", "-o", tmp_path / "bag", *WORDS, "-c", config, "--own-time")
    assert (done.code, "[timestamp]" in done.err) == (2, True)
    config.write_text(config.read_text() + 'url = "https://tsa.test/"\n')
    done = lapel("trust", "print", "-c", config)
    assert (done.code, "timestamp.embedded" in done.err) == (2, True), done.err


def test_without_the_configuration_it_does_not_pass_by_the_witnesses(
    config: Path, partner: Serving, lapel: Lapel, tmp_path: Path
) -> None:
    """--data names no witnesses: a log that has some waits for the gateway, and the error says what to do."""
    (row, *_) = lapel("evidence", "list", "-c", config, "--json").json["exhibits"]
    words = ("evidence", "export", row["id"], *WORDS, "--wait", "20")
    assert lapel(*words, "-o", tmp_path / "first", "-c", config).code == 0
    late = lapel(*words[:-1], "0.5", "-o", tmp_path / "bag", "--data", tmp_path / "site/store")
    assert (late.code, "with -c" in late.err, (tmp_path / "bag").exists()) == (1, True, False), late.err
    said = _words(late.err)
    assert said[0] == "waiting for the witnesses, at most 0.5 s (--patience S waits longer)"
    assert "by the gateway while it runs" in said[1]
