"""What the import tests share: a project on the reef, and an import run to its end in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webapp.access.actors import OPERATOR, Actor, Via
from webapp.access.models import Membership, Role, User
from webapp.datasets import import_job, import_lease, importing
from webapp.datasets.models import Import
from webapp.images.models import FacetCount, Image, ImageState
from webapp.images.recount import true_counts
from webapp.projects.models import Label, Project
from webapp.reviews.rebuild import rebuild_states


@dataclass(frozen=True)
class Reef:
    project: Project
    people: dict[str, Actor]

    def run(self, root: Path, **options: Any) -> Import:
        """Import to the end, as the command does."""
        row = importing.start_import(actor=OPERATOR, project=self.project, root=root, here=True, **options)
        return work_off(row)

    def counts(self) -> dict[str, int]:
        """Images by the name of their label now."""
        names = Label.objects.in_bulk()
        found: dict[str, int] = {}
        for label_id in ImageState.objects.filter(project=self.project).values_list("label_id", flat=True):
            name = names[label_id].name if label_id else ""
            found[name] = found.get(name, 0) + 1
        return found

    def images(self) -> int:
        return Image.objects.filter(project=self.project, withdrawn_at=None).count()

    def check_states(self) -> None:
        """What was written in bulk is what a rebuild would write."""
        rebuilt = rebuild_states(self.project)
        assert (rebuilt.states, rebuilt.counts) == (0, 0)
        stored = FacetCount.objects.filter(project=self.project).exclude(count=0)
        assert {(row.facet, row.value): row.count for row in stored} == true_counts(self.project)


def work_off(row: Import) -> Import:
    held = import_lease.lease(row.pk)
    assert held is not None
    import_job.run(held)
    return Import.objects.select_related("upload", "project", "pipeline").get(pk=row.pk)


def make_reef(slug: str = "reef") -> Reef:
    project = Project.objects.create(slug=slug, name=slug.title())
    people = {}
    for name, role in (("ada", Role.ADMIN), ("cora", Role.CURATOR), ("rosa", Role.REVIEWER)):
        user, _ = User.objects.get_or_create(username=name)
        Membership.objects.create(user=user, project=project, role=role)
        people[name] = Actor(Via.SESSION, user=user)
    return Reef(project, people)
