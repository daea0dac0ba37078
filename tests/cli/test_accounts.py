"""`lapel user` and `lapel token`: who may what, on record, and the text of a token nowhere on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.evidence_half import records_at
from tests.cli.conftest import Lapel


def logged(store: Path) -> list[dict]:
    """Details of every `account` entry of a store's log."""
    with records_at(store / "evidence", store / "keys") as opened:
        log = opened.custody
        indexes = [n for n in range(log.size) if json.loads(log.leaf(n))["kind"] == "account"]
        return [log.detail(n)[0] for n in indexes]


def test_an_account_from_first_to_last(lapel: Lapel, store: Path) -> None:
    """Add, token, list, revoke, disable: each act is a log entry with its actor and no secret."""
    added = lapel("user", "add", "ann", "--role", "auditor", "--full-name", "Ann Other", "--data", store)
    assert (added.code, "lapel token create --user ann" in added.out) == (0, True)
    made = lapel(
        "token", "create", "--user", "ann", "--scope", "log:read", "--label", "mirror", "--data", store, "--json"
    )
    assert made.json["token"].startswith(f"lpl_{made.json['id']}_")
    (user,) = (each for each in lapel("user", "list", "--data", store, "--json").json["users"] if each["id"] == "ann")
    assert (user["name"], user["roles"], user["disabled"]) == ("Ann Other", ["auditor"], False)
    token = lapel("token", "list", "--data", store, "--json").json["tokens"][-1]
    assert (token["account"], token["scopes"], token["label"]) == ("ann", ["log:read"], "mirror")
    assert lapel("token", "revoke", made.json["id"], "--data", store).code == 0
    assert lapel("token", "list", "--data", store, "--json").json["tokens"][-1]["revoked_at"] is not None
    assert lapel("user", "disable", "ann", "--data", store).code == 0
    assert "disabled" in lapel("user", "list", "--data", store).out
    acts = logged(store)
    assert [each["act"] for each in acts] == ["add", "token", "revoke", "disable"]
    assert all(each["actor"].startswith("cli:") for each in acts)
    secret = made.json["token"].split("_", 2)[2]
    assert secret not in json.dumps(acts)
    for path in store.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    assert lapel("evidence", "verify", "--data", store).code == 0


def test_a_token_goes_to_standard_output_alone(lapel: Lapel, bare: Path) -> None:
    """So that a script can take it; what it is goes to standard error."""
    lapel("user", "add", "bob", "--role", "consumer", "--data", bare)
    done = lapel("token", "create", "--user", "bob", "--data", bare)
    assert done.out.count("\n") == 1
    assert done.out.startswith("lpl_")
    assert "shown once" in done.err
    assert done.out.strip() not in lapel("token", "list", "--data", bare).out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("user", "add", "x", "--role", "king"), 2, "role 'king' is not one of administrator"),
        (("user", "add", "x"), 2, "--role"),
        (("user", "disable", "nobody"), 1, "user 'nobody' is not known"),
        (("token", "create", "--user", "nobody"), 1, "user 'nobody' is not known"),
        (("token", "revoke", "nobody"), 1, "token 'nobody' is not known"),
    ],
)
def test_what_cannot_be(lapel: Lapel, bare: Path, words: tuple[str, ...], code: int, said: str) -> None:
    """Refused and said why."""
    done = lapel(*words, "--data", bare)
    assert (done.code, done.out, said in done.err) == (code, "", True), done


def test_twice(lapel: Lapel, bare: Path) -> None:
    """A name is taken once."""
    assert lapel("user", "add", "bob", "--role", "consumer", "--data", bare).code == 0
    done = lapel("user", "add", "bob", "--role", "administrator", "--data", bare)
    assert (done.code, "exists" in done.err) == (1, True)
    assert lapel("user", "list", "--data", bare, "--json").json["users"][0]["roles"] == ["consumer"]


def test_roles_of_the_configuration(lapel: Lapel, bare: Path, tmp_path: Path) -> None:
    """With -c its own roles hold, and only they."""
    (tmp_path / "lapel.toml").write_text('[gateway]\ndata = "bare"\n[auth]\nroles = { dispatcher = ["feed:read"] }\n')
    assert lapel("user", "add", "d", "--role", "dispatcher", "-c", tmp_path / "lapel.toml").code == 0
    assert lapel("user", "add", "e", "--role", "controller", "-c", tmp_path / "lapel.toml").code == 2


def test_a_token_of_somebody_disabled(lapel: Lapel, bare: Path) -> None:
    """None is made: it would not work."""
    lapel("user", "add", "bob", "--role", "consumer", "--data", bare)
    lapel("user", "disable", "bob", "--data", bare)
    done = lapel("token", "create", "--user", "bob", "--data", bare)
    assert (done.code, done.out, "disabled" in done.err) == (1, "", True)
