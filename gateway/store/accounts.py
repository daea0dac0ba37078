"""Accounts and API tokens, in roster.db; only a hash of a token is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Column, Engine, ForeignKey, Integer, MetaData, String, Table, insert, select, update

from gateway.domain.time import from_rfc3339, rfc3339
from gateway.errors import GatewayError
from gateway.store.sqlite import storing

ACCOUNT_TABLES = MetaData()
ACCOUNTS = Table(
    "account",
    ACCOUNT_TABLES,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("person", String),
    Column("roles", String, nullable=False),
    Column("disabled", Integer, nullable=False, default=0),
    Column("created_at", String, nullable=False),
    Column("agency", String),
)
TOKENS = Table(
    "token",
    ACCOUNT_TABLES,
    Column("id", String, primary_key=True),
    Column("account", String, ForeignKey("account.id"), nullable=False),
    Column("hash", String, nullable=False),
    Column("scopes", String, nullable=False),
    Column("label", String, nullable=False),
    Column("created_at", String, nullable=False),
    Column("expires_at", String, nullable=False),
    Column("revoked_at", String),
)


class Account(msgspec.Struct, frozen=True):
    """Who may sign in; roles are names from [auth] roles; agency None sees the feed of every agency."""

    id: str
    name: str
    roles: tuple[str, ...]
    person: str | None = None
    disabled: bool = False
    agency: str | None = None


class Token(msgspec.Struct, frozen=True):
    """A bearer token without its secret; scopes () means all that the account's roles allow."""

    id: str
    account: str
    scopes: tuple[str, ...]
    label: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


class Accounts:
    """Repository of accounts and tokens."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, account: Account) -> None:
        """Create an account; GatewayError when the id is taken."""
        if self.account(account.id) is not None:
            raise GatewayError(f"user {account.id!r} exists")
        with storing(self._engine) as connection:
            connection.execute(
                insert(ACCOUNTS).values(
                    id=account.id,
                    name=account.name,
                    person=account.person,
                    roles=" ".join(account.roles),
                    disabled=int(account.disabled),
                    created_at=rfc3339(datetime.now(UTC)),
                    agency=account.agency,
                )
            )

    def disable(self, name: str) -> None:
        """No token of this account works any more; GatewayError for an unknown one."""
        with storing(self._engine) as connection:
            if connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == name).values(disabled=1)).rowcount == 0:
                raise GatewayError(f"user {name!r} is not known")

    def account(self, name: str) -> Account | None:
        """The account of this id."""
        return next((each for each in self.all() if each.id == name), None)

    def all(self) -> list[Account]:
        """Every account."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(ACCOUNTS).order_by(ACCOUNTS.c.id)).all()
        return [
            Account(row.id, row.name, tuple(row.roles.split()), row.person, bool(row.disabled), row.agency)
            for row in rows
        ]

    def issue(self, account: str, scopes: tuple[str, ...], label: str, days: float) -> tuple[Token, str]:
        """Make a token; its text is shown this once and never stored."""
        if self.account(account) is None:
            raise GatewayError(f"user {account!r} is not known")
        name, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        created_at = datetime.now(UTC)
        token = Token(name, account, scopes, label, created_at, created_at + timedelta(days=days))
        with storing(self._engine) as connection:
            connection.execute(
                insert(TOKENS).values(
                    id=name,
                    account=account,
                    hash=_hash(secret),
                    scopes=" ".join(scopes),
                    label=label,
                    created_at=rfc3339(token.created_at),
                    expires_at=rfc3339(token.expires_at),
                )
            )
        return token, f"lpl_{name}_{secret}"

    def revoke(self, name: str) -> None:
        """End a token; GatewayError for an unknown one."""
        with storing(self._engine) as connection:
            done = connection.execute(
                update(TOKENS).where(TOKENS.c.id == name).values(revoked_at=rfc3339(datetime.now(UTC)))
            )
            if done.rowcount == 0:
                raise GatewayError(f"token {name!r} is not known")

    def tokens(self) -> list[Token]:
        """Every token ever issued."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(TOKENS).order_by(TOKENS.c.created_at)).all()
        return [_token(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name

    def whose(self, text: str, now: datetime) -> tuple[Account, Token] | None:
        """The account and token a bearer text stands for; None if it is unknown, expired, revoked or disabled."""
        parts = text.split("_", 2)
        if len(parts) != 3 or parts[0] != "lpl":
            return None
        with self._engine.connect() as connection:
            row = connection.execute(select(TOKENS).where(TOKENS.c.id == parts[1])).one_or_none()
        if row is None or not hmac.compare_digest(row.hash, _hash(parts[2])):
            return None
        token, account = _token(row._mapping), self.account(row.account)  # noqa: SLF001
        if account is None or account.disabled or token.revoked_at is not None or token.expires_at <= now:
            return None
        return account, token

    def claimed(self, text: str) -> str | None:
        """The account whose token a bearer text names, whether or not its secret is right."""
        parts = text.split("_", 2)
        with self._engine.connect() as connection:
            query = select(TOKENS.c.account).where(TOKENS.c.id == (parts[1] if len(parts) == 3 else ""))
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else str(found)

    def set_roles(self, name: str, roles: tuple[str, ...]) -> tuple[str, ...]:
        """Give an account other roles; those it had. GatewayError for an unknown one."""
        before = self.account(name)
        if before is None:
            raise GatewayError(f"user {name!r} is not known")
        with storing(self._engine) as connection:
            connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == name).values(roles=" ".join(roles)))
        return before.roles

    def set_agency(self, name: str, agency: str | None) -> str | None:
        """Say whose eyes an account has; whose it had. GatewayError for an unknown one."""
        before = self.account(name)
        if before is None:
            raise GatewayError(f"user {name!r} is not known")
        with storing(self._engine) as connection:
            connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == name).values(agency=agency))
        return before.agency


def _token(row: object) -> Token:
    get = dict(row)  # type: ignore[call-overload]
    return Token(
        get["id"],
        get["account"],
        tuple(get["scopes"].split()),
        get["label"],
        from_rfc3339(get["created_at"]),
        from_rfc3339(get["expires_at"]),
        from_rfc3339(get["revoked_at"]) if get["revoked_at"] else None,
    )


def _hash(secret: str) -> str:
    """A token's secret is 256 random bits: one SHA-256 is enough, no password hash needed."""
    return hashlib.sha256(secret.encode()).hexdigest()
