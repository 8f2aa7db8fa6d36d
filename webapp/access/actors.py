"""Who acts: a person through a session or token, a guest of open mode, the system itself, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from webapp.access.models import ApiToken, User
from webapp.access.table import Scope


class Via(StrEnum):
    SESSION = "session"
    TOKEN = "token"
    COMMAND = "command line"
    SYSTEM = "system"
    GUEST = "open mode"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Actor:
    """Passed to every act. `token` narrows what its owner may do to its scopes and project."""

    via: Via
    user: User | None = None
    token: ApiToken | None = None

    @property
    def scopes(self) -> frozenset[Scope]:
        if self.token is None:
            return frozenset(Scope)
        return frozenset(Scope(name) for name in self.token.scopes)

    @property
    def is_trusted(self) -> bool:
        """The machine's own operator: a command typed on it, or the site's own background work."""
        return self.via in (Via.SYSTEM, Via.COMMAND)

    @property
    def is_signed_in(self) -> bool:
        return self.user is not None

    def __str__(self) -> str:
        return self.user.get_username() if self.user else self.via.value


SYSTEM = Actor(Via.SYSTEM)
OPERATOR = Actor(Via.COMMAND)
GUEST = Actor(Via.GUEST)
NOBODY = Actor(Via.NOBODY)
