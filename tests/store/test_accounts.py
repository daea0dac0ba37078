"""Accounts and tokens: only a hash is kept; expired, revoked and disabled ones are nobody's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.store.accounts import Account, Accounts
from gateway.store.roster import RosterStore

NOW = datetime.now(UTC)


@pytest.fixture
def accounts(tmp_path: Path):
    """One account in a fresh store."""
    store = RosterStore(tmp_path / "roster.db")
    accounts = Accounts(store.engine)
    accounts.add(Account("jo", "Jo", ("controller",), "P-1"))
    yield accounts
    store.close()


def test_a_token_stands_for_its_account(accounts: Accounts) -> None:
    """Account, scopes, label come back."""
    made, text = accounts.issue("jo", ("feed:read",), "desk 4", days=1)
    account, token = accounts.whose(text, NOW)
    assert (account.id, account.person) == ("jo", "P-1")
    assert (token.id, token.scopes, token.label) == (made.id, ("feed:read",), "desk 4")


def test_the_text_of_a_token_is_stored_nowhere(accounts: Accounts, tmp_path: Path) -> None:
    """Neither whole nor its secret part, write-ahead log included."""
    _, text = accounts.issue("jo", (), "", days=1)
    secret = text.split("_", 2)[2].encode()
    for file in tmp_path.iterdir():
        assert secret not in file.read_bytes()


def test_expired_revoked_and_disabled_are_nobody(accounts: Accounts) -> None:
    """Each alone is enough."""
    short, text = accounts.issue("jo", (), "", days=1)
    assert accounts.whose(text, NOW + timedelta(days=2)) is None
    accounts.revoke(short.id)
    assert accounts.whose(text, NOW) is None
    _, other = accounts.issue("jo", (), "", days=1)
    accounts.disable("jo")
    assert accounts.whose(other, NOW) is None


def test_a_changed_secret_is_nobodys(accounts: Accounts) -> None:
    """One character off."""
    _, text = accounts.issue("jo", (), "", days=1)
    assert accounts.whose(text[:-1] + ("A" if text[-1] != "A" else "B"), NOW) is None


@given(text=st.text(max_size=60))
def test_any_other_text_is_nobodys(text: str) -> None:
    """No shape of text raises."""
    from sqlalchemy import create_engine

    from gateway.store.accounts import ACCOUNT_TABLES

    engine = create_engine("sqlite://")
    ACCOUNT_TABLES.create_all(engine)
    assert Accounts(engine).whose(text, NOW) is None
    assert Accounts(engine).whose(f"lpl_{text}", NOW) is None


def test_unknown_names_are_refused(accounts: Accounts) -> None:
    """Each names what it did not find."""
    with pytest.raises(GatewayError, match="'jo' exists"):
        accounts.add(Account("jo", "Jo", ()))
    with pytest.raises(GatewayError, match="'al' is not known"):
        accounts.issue("al", (), "", days=1)
    with pytest.raises(GatewayError, match="'al' is not known"):
        accounts.disable("al")
    with pytest.raises(GatewayError, match="'ff' is not known"):
        accounts.revoke("ff")


def test_lists(accounts: Accounts) -> None:
    """Accounts and tokens, never a secret."""
    made, _ = accounts.issue("jo", (), "x", days=1)
    assert [account.id for account in accounts.all()] == ["jo"]
    assert [token.id for token in accounts.tokens()] == [made.id]
    assert accounts.account("nobody") is None
