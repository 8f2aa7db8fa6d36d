"""Background work on originals that lie in place, in the name of the site."""

from __future__ import annotations

from pathlib import Path

from webapp.access.actors import OPERATOR, SYSTEM
from webapp.datasets import in_place
from webapp.projects.models import Project

CHECK = "webapp.datasets.tasks_import.check_originals"
FIND = "webapp.datasets.tasks_import.find_originals"


def check(project_id: int) -> None:
    in_place.check_originals(actor=SYSTEM, project=Project.objects.get(pk=project_id))


def find(project_id: int, root: str) -> None:
    """The folder was checked against the allowed ones when somebody asked."""
    in_place.find_again(actor=OPERATOR, project=Project.objects.get(pk=project_id), root=Path(root))
