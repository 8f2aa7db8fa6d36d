"""The table of who may do what: each action needs a role in the project and, through a token, a scope."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from webapp.access.models import Role


class Action(StrEnum):
    """Everything a person can do. Acts name theirs in `require`; routes name theirs in `access.routes`."""

    VIEW_PROJECT = "view project"
    VIEW_IMAGES = "view images"
    VIEW_ORIGINALS = "download originals"
    VIEW_UPLOAD = "view upload"
    VIEW_VERSIONS = "view versions"
    VIEW_PLACES = "see exact coordinates"
    RECOGNISE = "recognise"
    REVIEW = "review"
    CURATE = "curate"
    IMPORT = "import"
    EXPORT = "export"
    FREEZE = "freeze"
    VIEW_RUNS = "view training runs"
    TRAIN = "train"
    COMPARE = "compare"
    ADD_VERSION = "add version"
    ACTIVATE = "activate"
    MANAGE_PEOPLE = "manage people"
    MANAGE_PROJECT = "manage project"
    VIEW_AUDIT = "view audit log"
    OWN_TOKENS = "manage own tokens"
    CREATE_PROJECT = "create project"
    VIEW_SITE = "view site status"
    MANAGE_SITE = "manage site"


class Scope(StrEnum):
    """What a token may be used for; each scope includes the ones before it."""

    READ = "read"
    UPLOAD = "upload"
    REVIEW = "review"
    CURATE = "curate"
    TRAIN = "train"
    ADMIN = "admin"


@dataclass(frozen=True)
class Need:
    """What an action asks of the person. `role` None: site-wide, `staff` or `superuser` then says who."""

    scope: Scope
    role: Role | None = None
    staff: bool = False
    superuser: bool = False
    guest: bool = False


TABLE: dict[Action, Need] = {
    Action.VIEW_PROJECT: Need(Scope.READ, Role.VIEWER, guest=True),
    Action.VIEW_IMAGES: Need(Scope.READ, Role.VIEWER, guest=True),
    Action.VIEW_ORIGINALS: Need(Scope.READ, Role.VIEWER, guest=True),
    Action.VIEW_UPLOAD: Need(Scope.READ, Role.VIEWER, guest=True),
    Action.VIEW_VERSIONS: Need(Scope.READ, Role.VIEWER, guest=True),
    Action.VIEW_PLACES: Need(Scope.READ, Role.CURATOR),
    Action.RECOGNISE: Need(Scope.UPLOAD, Role.REVIEWER, guest=True),
    Action.REVIEW: Need(Scope.REVIEW, Role.REVIEWER),
    Action.CURATE: Need(Scope.CURATE, Role.CURATOR),
    Action.IMPORT: Need(Scope.CURATE, Role.CURATOR),
    Action.EXPORT: Need(Scope.READ, Role.VIEWER),
    Action.FREEZE: Need(Scope.CURATE, Role.CURATOR),
    Action.VIEW_RUNS: Need(Scope.READ, Role.VIEWER),
    Action.TRAIN: Need(Scope.TRAIN, Role.TRAINER),
    Action.COMPARE: Need(Scope.TRAIN, Role.TRAINER),
    Action.ADD_VERSION: Need(Scope.ADMIN, Role.ADMIN),
    Action.ACTIVATE: Need(Scope.ADMIN, Role.ADMIN),
    Action.MANAGE_PEOPLE: Need(Scope.ADMIN, Role.ADMIN),
    Action.MANAGE_PROJECT: Need(Scope.ADMIN, Role.ADMIN),
    Action.VIEW_AUDIT: Need(Scope.ADMIN, Role.ADMIN),
    Action.OWN_TOKENS: Need(Scope.ADMIN),
    Action.CREATE_PROJECT: Need(Scope.ADMIN, staff=True),
    Action.VIEW_SITE: Need(Scope.ADMIN),
    Action.MANAGE_SITE: Need(Scope.ADMIN, superuser=True),
}

ROLE_ORDER = list(Role)
SCOPE_ORDER = list(Scope)


def role_suffices(held: str, needed: Role) -> bool:
    return ROLE_ORDER.index(Role(held)) >= ROLE_ORDER.index(needed)


def scope_suffices(held: frozenset[Scope], needed: Scope) -> bool:
    return any(SCOPE_ORDER.index(scope) >= SCOPE_ORDER.index(needed) for scope in held)
