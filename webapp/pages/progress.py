"""Where a project stands: done and left by site, the reader's own pace, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.models import AuditEvent
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.datasets.models import Snapshot
from webapp.images.facets import count_of
from webapp.images.models import FacetCount, ImageState, Upload
from webapp.pages.confidence import LOW
from webapp.projects.models import Project, Site
from webapp.reviews.models import NOT_A_PERSONS, Finding, Review
from webapp.versions.models import Pipeline, Version

PACE_REVIEWS = 200
LONGEST_LOOK = timedelta(minutes=2)
MOST_COUNTED = 10_000
MANY_AT_ONCE = (*NOT_A_PERSONS, Review.How.BULK)
"""They say nothing of how long a look takes."""


@dataclass(frozen=True)
class SiteProgress:
    """Images of one site (`name` "" for no site): how many there are and how many a person has looked at."""

    name: str
    total: int
    reviewed: int

    @property
    def left(self) -> int:
        return self.total - self.reviewed

    @property
    def share(self) -> float:
        return self.reviewed / self.total if self.total else 0.0


@dataclass(frozen=True)
class NextAction:
    """One sentence and one link."""

    what: str
    why: str
    link: str
    button: str


def by_site(project: Project) -> list[SiteProgress]:
    """By the stored counts alone; the site with the most left first."""
    total, left = facet(project, "site"), facet(project, "left")
    names = dict(Site.objects.filter(project=project).values_list("pk", "name"))
    sites = [
        SiteProgress(names.get(int(value), "gone") if value else "", count, count - left.get(value, 0))
        for value, count in total.items()
    ]
    return sorted(sites, key=lambda site: (-site.left, site.name))


def total_of(sites: list[SiteProgress]) -> SiteProgress:
    return SiteProgress("all sites", sum(site.total for site in sites), sum(site.reviewed for site in sites))


def seconds_a_review(actor: Actor, project: Project) -> float | None:
    """The reader's own usual time for one image, from the newest reviews; None before there are any."""
    if actor.user is None:
        return None
    by_hand = Review.objects.filter(reviewer=actor.user, image__project=project).exclude(how__in=MANY_AT_ONCE)
    mine = by_hand.order_by("-pk")
    rows = list(mine.values_list("seconds", "at")[:PACE_REVIEWS])
    timed = [seconds for seconds, _ in rows if seconds]
    if timed:
        return float(median(timed))
    moments = [at for _, at in rows]
    gaps = [later - earlier for later, earlier in zip(moments, moments[1:], strict=False)]
    short = [gap.total_seconds() for gap in gaps if timedelta(0) < gap < LONGEST_LOOK]
    return float(median(short)) if short else None


def facet(project: Project, name: str) -> dict[str, int]:
    rows = FacetCount.objects.filter(project=project, facet=name, count__gt=0)
    return dict(rows.values_list("value", "count"))


def latest_change(project: Project) -> AuditEvent | None:
    return AuditEvent.objects.filter(project=project).select_related("user").order_by("-pk").first()


def next_action(actor: Actor, project: Project, pipeline: Pipeline | None) -> NextAction:
    """The one thing that helps most now."""
    images = ImageState.objects.filter(project=project)
    newest = Upload.objects.filter(project=project).exclude(kind=Upload.Kind.CALL).order_by("-pk").first()
    recognise = reverse("recognise", args=[project.slug])
    if pipeline is None:
        return _first_model(actor, project)
    if not allowed(actor, Action.RECOGNISE, project):
        return NextAction("Look around", "Your role reads.", reverse("models", args=[project.slug]), "See its models")
    if newest is None or not images.exists():
        why = "Drop a few to see how well the active model knows your animals."
        return NextAction("Bring the first pictures", why, recognise, "Recognise pictures")
    address = reverse("upload", args=[newest.uid])
    if newest.items.filter(state="failed").exists():
        why = f"Files of “{newest}” failed. They say why, and can be tried again without sending the others."
        return NextAction("Put failures right", why, f"{address}?state=failed", "Show the failures")
    return _review_next(actor, project) or NextAction(
        "Bring more pictures", "Everything that came has an answer.", recognise, "Recognise pictures"
    )


def _first_model(actor: Actor, project: Project) -> NextAction:
    """On the way to something that answers: pictures with labels, a snapshot of them, a run, its version."""
    here = [project.slug]
    why = "Pictures can be taken in, but nothing names what is on them until a model is active."
    if Version.objects.filter(project=project).exists() or not allowed(actor, Action.TRAIN, project):
        return NextAction("Activate a model", why, reverse("models", args=here), "Open Models")
    if Snapshot.objects.filter(project=project).exists():
        why = "A run learns from the snapshot, beginning from the starter. With the quick recipe it takes a minute."
        return NextAction("Train a first model", why, reverse("runs", args=here), "Open Train")
    labelled = count_of(project, "review", ImageState.ReviewState.REVIEWED)
    if labelled:
        why = f"{labelled:,} images have a label. A snapshot divides them; a first model is trained on that."
        return NextAction("Freeze what is labelled", why, reverse("snapshots", args=here), "Open Snapshots")
    if ImageState.objects.filter(project=project).exists():
        why = "A first model learns from pictures that somebody gave a label."
        return NextAction("Label some pictures", why, reverse("review", args=here), "Review")
    why = "A first model learns from labels: folders named for them, a table, COCO, YOLO and more are read."
    return NextAction("Import pictures with their labels", why, reverse("imports", args=here), "Import")


def _review_next(actor: Actor, project: Project) -> NextAction | None:
    """The queue that a person's word helps most in; None where there is nothing to say, or no right to say it."""
    if not allowed(actor, Action.REVIEW, project):
        return None
    review = reverse("review", args=[project.slug])
    conflicts = count_of(project, "review", ImageState.ReviewState.CONFLICT)
    if conflicts and allowed(actor, Action.CURATE, project):
        why = f"Reviewers disagree on {conflicts:,}: a curator's verdict settles it."
        return NextAction("Settle conflicts", why, f"{review}?queue=conflicts", "Review them")
    suspects = Finding.objects.filter(project=project, kind=Finding.Kind.SUSPECT, settled_at=None)
    wrong = suspects.filter(image__withdrawn_at=None)[: MOST_COUNTED + 1].count()
    if wrong:
        many = f"More than {MOST_COUNTED:,} labels look" if wrong > MOST_COUNTED else _labels_look(wrong)
        why = f"{many} wrong beside their neighbours: a wrong label spoils training and tests alike."
        return NextAction("Check suspect labels", why, f"{review}?queue=suspect", "Review them")
    unreviewed = ImageState.objects.filter(project=project, review_state=ImageState.ReviewState.UNREVIEWED)
    unsure = unreviewed.filter(queue_priority__gt=1 - LOW)[: MOST_COUNTED + 1].count()
    if unsure:
        many = f"more than {MOST_COUNTED:,} images" if unsure > MOST_COUNTED else f"{unsure:,}"
        why = f"The model is unsure of {many}: your word helps most there."
        return NextAction("Check unsure answers", why, f"{review}?queue=uncertain", "Review them")
    left = count_of(project, "review", ImageState.ReviewState.UNREVIEWED)
    if not left:
        return None
    why = f"Nobody has looked at {left:,} yet; with Enter where the model is right, a sequence takes a second."
    return NextAction("Review what came", why, f"{review}?queue=unreviewed", "Review")


def _labels_look(count: int) -> str:
    return "One label looks" if count == 1 else f"{count:,} labels look"
