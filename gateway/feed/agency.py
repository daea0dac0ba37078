"""How an agency is named where its name is a key: in an agreement, in a topic."""

from __future__ import annotations

from typing import Annotated

import msgspec

AGENCY = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$"
Agency = Annotated[str, msgspec.Meta(pattern=AGENCY)]
