"""Who is asking, and what they may."""

from __future__ import annotations

import msgspec

from gateway.store.accounts import Account

OPEN = ""
"""The permission of a route that needs none: health, the page's own files, sign-in."""
MASKED = "feed:masked"
"""With it masked (covert) units are seen, of no other agency than one's own."""


class Identity(msgspec.Struct, frozen=True):
    """Who is asking, and what they may; session is the same for one sign-in or token.

    agency: whose eyes they have on the feed (`[[sharing]]`); None: nobody's in particular, so they see every agency.
    """

    account: str
    permissions: frozenset[str]
    session: str
    person: str | None = None
    agency: str | None = None

    def may(self, permission: str) -> bool:
        """Whether the permission is among theirs; `*` is all."""
        return permission == OPEN or "*" in self.permissions or permission in self.permissions


NOBODY = Identity("", frozenset(), "")


def identity(account: Account, granted: frozenset[str], session: str) -> Identity:
    """An account's identity in one session."""
    return Identity(account.id, granted, session, account.person, account.agency)
