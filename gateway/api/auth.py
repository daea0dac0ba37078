"""Who is asking: bearer tokens and the page's session cookie; deny by default."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from aiohttp import web

from gateway.api.identity import NOBODY, Identity, identity
from gateway.api.problem import ProblemError
from gateway.store.accounts import Account, Accounts

COOKIE = "lapel_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_SESSIONS = 10_000


class Doorkeeper:
    """Turns a request into an identity."""

    def __init__(self, accounts: Accounts, roles: dict[str, list[str]], session_hours: float) -> None:
        self._accounts, self._roles = accounts, roles
        self._session = timedelta(hours=session_hours)
        self._sessions: dict[str, tuple[str, datetime]] = {}

    @property
    def session_s(self) -> int:
        """How long a session lasts, in whole seconds."""
        return max(1, int(self._session.total_seconds()))

    def who(self, request: web.Request) -> Identity:
        """The identity behind a request; NOBODY without credentials, ProblemError 401 for wrong ones."""
        header = request.headers.get("Authorization")
        if header is not None:
            scheme, _, text = header.partition(" ")
            if scheme.lower() != "bearer":
                raise ProblemError(401, "use a bearer token")
            return self.bearer(text.strip())
        cookie = request.cookies.get(COOKIE)
        return self._by_cookie(cookie, request) if cookie else NOBODY

    def bearer(self, text: str, session: str | None = None) -> Identity:
        """The identity a token stands for; ProblemError 401 for a wrong, expired or revoked one."""
        found = self._accounts.whose(text, datetime.now(UTC))
        if found is None:
            raise ProblemError(401, "the token is unknown, expired or revoked")
        account, token = found
        return identity(account, self._granted(account, token.scopes), session or f"token {token.id}")

    def named(self, text: str) -> str | None:
        """Whose token a text claims to be, good or not; None where nobody's is called so."""
        return self._accounts.claimed(text)

    def _granted(self, account: Account, scopes: tuple[str, ...]) -> frozenset[str]:
        allowed = {permission for role in account.roles for permission in self._roles.get(role, [])}
        if not scopes:
            return frozenset(allowed)
        return frozenset(scopes if "*" in allowed else allowed.intersection(scopes))

    def sign_in(self, text: str) -> str:
        """Open a session for a token; return the cookie's value. ProblemError 401 for a wrong token."""
        self.bearer(text)
        now = datetime.now(UTC)
        self._sessions = {key: row for key, row in self._sessions.items() if row[1] > now}
        if len(self._sessions) >= MOST_SESSIONS:
            raise ProblemError(503, "too many sessions are open")
        key = secrets.token_urlsafe(32)
        self._sessions[key] = (text, now + self._session)
        return key

    def sign_out(self, request: web.Request) -> None:
        """End the session of this request, if there is one."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)

    def _by_cookie(self, cookie: str, request: web.Request) -> Identity:
        text, until = self._sessions.get(cookie, ("", datetime.min.replace(tzinfo=UTC)))
        if until <= datetime.now(UTC):
            return NOBODY
        # SameSite=Strict keeps other sites' requests out; an unsafe method is checked once more by its Origin.
        own_site(request)
        return self.bearer(text, f"session {cookie[:8]}")


def own_site(request: web.Request) -> None:
    """ProblemError 403 where a browser says that another site's page makes a request that changes something."""
    origin = request.headers.get("Origin")
    if request.method not in SAFE and origin is not None and urlsplit(origin).netloc != request.host:
        raise ProblemError(403, "this request comes from another site")
