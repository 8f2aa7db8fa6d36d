"""Snapshots: the frozen versions of the data, how one is made, what is in it, and what changed since."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse

from training.contract import PARTS
from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.datasets.difference import KINDS
from webapp.datasets.drafting import grouped_by
from webapp.datasets.freeze import newest_snapshot
from webapp.datasets.freeze_job import request_freeze, stop
from webapp.datasets.freeze_options import FreezeOptions, read_counts, read_options, read_split
from webapp.datasets.groups import CHOICES
from webapp.datasets.leaks import WORDS
from webapp.datasets.models import Freezing, JobState, Snapshot
from webapp.datasets.restore import freeze_again, restore_labels
from webapp.datasets.since import since
from webapp.datasets.snapshots import (
    add_note,
    affected_by_withdrawals,
    freezing_by_uid,
    snapshot_by_uid,
    snapshots_of,
)
from webapp.datasets.stored_difference import stored_difference
from webapp.errors import Invalid, NotFound, OspreyError
from webapp.images.models import Image
from webapp.leases import UNDER_WAY
from webapp.pages.answering import attempt, page
from webapp.projects.find import project_by_slug
from webapp.projects.models import Individual, Project

SHOWN = 100
LABELS_SHOWN = 300
DIFFERENCE_WORDS = {
    "added": "added",
    "removed": "removed",
    "relabelled": "relabelled",
    "moved": "moved to another part",
    "redrawn": "with other boxes, counts or individuals",
}


@page()
def snapshots(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug)
    rows = list(snapshots_of(project)[:SHOWN])
    affected = affected_by_withdrawals(project, rows)
    waiting = Freezing.objects.filter(project=project, state__in=UNDER_WAY, is_dry_run=False).order_by("-pk")
    context = {
        "project": project,
        "rows": [{"snapshot": row, "parts": parts_in(row.counts), "is_affected": row.pk in affected} for row in rows],
        "waiting": waiting,
        "may_freeze": allowed(actor, Action.FREEZE, project),
        **_form(project, rows),
    }
    return render(request, "pages/snapshots.html", context)


@page("POST")
def freeze(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    """Ask for a snapshot, or for a look at what it would be, and follow it."""
    project = project_by_slug(actor, slug, Action.FREEZE)
    try:
        row = request_freeze(
            actor=actor,
            project=project,
            options=posted_options(request.POST),
            name=request.POST.get("name", ""),
            parent=request.POST.get("parent", "newest"),
            notes=request.POST.get("notes", ""),
            sign_leak=request.POST.get("sign_leak", "").strip(),
            dry_run="preview" in request.POST,
        )
    except NotFound:
        raise
    except OspreyError as error:
        messages.error(request, error.what)
        return HttpResponseRedirect(reverse("snapshots", args=[slug]))
    return HttpResponseRedirect(reverse("freezing", args=[slug, row.uid]))


@page()
def freezing(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    row = freezing_by_uid(actor, uid)
    if row.project.slug != slug:
        raise NotFound(f"The project {slug} has no freezing {uid}.")
    if row.state == JobState.DONE and row.snapshot is not None:
        return _go(request, reverse("snapshot", args=[slug, row.snapshot.uid]))
    counts = row.report.get("counts", {})
    context = {
        "project": row.project,
        "row": row,
        "is_under_way": row.state in UNDER_WAY,
        "counts": counts,
        "parts": parts_in(counts),
        "leaks": _leaks_shown(row.report.get("leak_report", {})),
        "leak_report": row.report.get("leak_report", {}),
        "again": again_fields(row),
        "may_freeze": allowed(actor, Action.FREEZE, row.project),
        "may_sign": allowed(actor, Action.MANAGE_PROJECT, row.project),
    }
    return render(request, "pages/freezing.html", context)


@page("POST")
def freezing_stop(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    row = freezing_by_uid(actor, uid)
    back = reverse("snapshots", args=[slug])
    return attempt(request, back, "It was stopped; nothing of it is kept.", lambda: stop(actor=actor, freezing=row))


@page()
def snapshot(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    found = _snapshot(actor, slug, uid)
    counts = found.counts
    labels, known = _labels(found), since(found)
    context = {
        "project": found.project,
        "snapshot": found,
        "counts": counts,
        "parts": parts_in(counts),
        "labels": labels[:LABELS_SHOWN],
        "labels_total": len(labels),
        "most": max((label["total"] for label in labels), default=1),
        "how": _how(counts),
        "leaks": _leaks_shown(found.leak_report),
        "now": known.state,
        "counted_at": known.at,
        "difference": [(word, counts["difference"][kind]) for kind, word in DIFFERENCE_WORDS.items()]
        if "difference" in counts
        else None,
        "others": [one for one in snapshots_of(found.project)[:SHOWN] if one.pk != found.pk],
        "children": found.children.exclude(digest="").order_by("pk"),
        "words": WORDS,
        "may_freeze": allowed(actor, Action.FREEZE, found.project),
        "may_curate": allowed(actor, Action.CURATE, found.project),
        "may_export": allowed(actor, Action.EXPORT, found.project),
        "may_train": allowed(actor, Action.TRAIN, found.project),
    }
    return render(request, "pages/snapshot.html", context)


@page()
def snapshot_difference(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    after = _snapshot(actor, slug, uid)
    asked = request.GET.get("before", "")
    before = _snapshot(actor, slug, _uid(asked)) if asked else after.parent
    if before is None:
        raise Invalid(f"{after} has no snapshot before it: choose one to compare it with on its page.")
    found = stored_difference(before, after)
    names = dict(after.project.labels.values_list("key", "name"))
    context = {
        "project": after.project,
        "before": before,
        "after": after,
        "found": found,
        "kinds": [_kind_shown(kind, found, names) for kind in KINDS] if found else [],
        "others": [one for one in snapshots_of(after.project)[:SHOWN] if one.pk != after.pk],
    }
    return render(request, "pages/snapshot_difference.html", context)


@page("POST")
def snapshot_note(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    found = _snapshot(actor, slug, uid, Action.FREEZE)
    back = reverse("snapshot", args=[slug, uid])
    text = request.POST.get("text", "")
    return attempt(request, back, "The note was added.", lambda: add_note(actor=actor, snapshot=found, text=text))


@page("POST")
def snapshot_restore(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    found = _snapshot(actor, slug, uid, Action.CURATE)
    if request.POST.get("what") == "snapshot":
        act = lambda: freeze_again(actor=actor, snapshot=found)  # noqa: E731
        return attempt(request, reverse("snapshots", args=[slug]), f"A new snapshot equals {found.name}.", act)

    def restore() -> None:
        done = restore_labels(actor=actor, snapshot=found)
        left = f" {done.left:,} are left: restore again to go on." if done.left else ""
        missing = f" {done.missing_words:,} name a label or individual that is gone." if done.missing_words else ""
        messages.info(request, f"{done.images:,} images have their label of {found.name} again.{left}{missing}")

    return attempt(request, reverse("snapshot", args=[slug, uid]), "It is one change: undo takes it back.", restore)


# ---- forms -----------------------------------------------------------------------------------------------------------


def posted_options(posted: QueryDict) -> dict[str, Any]:
    """The form's fields as options; what is empty is left to its default."""
    how = posted.get("how", "shares")
    found: dict[str, Any] = {"split": how} if how in ("imported", "identity") else {}
    if how == "shares":
        found = read_split(posted.get("shares", "") or "80/10/10")
    elif how == "counts":
        found = read_counts(posted.get("counts", ""))
    if "group_by" in posted:
        chosen = [key for key in posted.getlist("group_by") if key]
        found["group_by"] = chosen
    for name in ("seed", "folds", "min_images", "per_class"):
        text = posted.get(name, "").strip()
        if text:
            found[name] = _number(name, text)
    for name in ("singletons", "test_labels", "cannot_tell", "class_by"):
        if posted.get(name):
            found[name] = posted[name]
    for name in ("damaged", "negatives", "unknown"):
        found[name] = name in posted
    return found


def again_fields(row: Freezing) -> list[tuple[str, Any]]:
    """What a preview or a refusal was asked for, as hidden fields of the form that asks again."""
    options = read_options(row.options["options"])
    fields: list[tuple[str, Any]] = [("how", options.split), ("parent", row.options["parent"])]
    fields += [("shares", "/".join(f"{one:g}" for one in options.shares))]
    fields += [("counts", ",".join(str(one) for one in options.counts))]
    if options.group_by is not None:
        fields += [("group_by", key) for key in options.group_by or ("",)]
    names = ("seed", "folds", "min_images", "per_class", "singletons", "test_labels", "cannot_tell", "class_by")
    fields += [(name, getattr(options, name)) for name in names]
    fields += [(name, "on") for name in ("damaged", "negatives", "unknown") if getattr(options, name)]
    return [*fields, ("name", row.options["name"]), ("notes", row.options["notes"])]


def _form(project: Project, rows: list[Snapshot]) -> dict[str, Any]:
    newest = newest_snapshot(project)
    return {
        "choices": [(key, WORDS[key]) for key in CHOICES],
        "by_default": grouped_by(project, FreezeOptions()),
        "has_parts": Image.objects.filter(project=project).exclude(part="").exists(),
        "has_individuals": Individual.objects.filter(project=project).exists(),
        "newest": newest,
        "parents": rows,
    }


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Invalid(f"{text[:20]!r} is not a whole number ({name.replace('_', ' ')}).") from None


def _uid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"There is no snapshot {text[:40]!r} that you may see.") from None


# ---- what is shown ---------------------------------------------------------------------------------------------------


def parts_in(counts: dict[str, Any]) -> list[str]:
    """The usual three in their order, then any others."""
    there = counts.get("parts", {})
    return [*(part for part in PARTS if part in there), *sorted(set(there) - set(PARTS))]


def _snapshot(actor: Actor, slug: str, uid: UUID, action: Action = Action.VIEW_PROJECT) -> Snapshot:
    found = snapshot_by_uid(actor, uid, action)
    if found.project.slug != slug:
        raise NotFound(f"The project {slug} has no snapshot {uid}.")
    return found


def _labels(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Label -> images by part, most first."""
    names = dict(snapshot.project.labels.values_list("key", "name"))
    rows = [
        {"key": key, "name": names.get(key, key) or "nothing there", "parts": by_part, "total": sum(by_part.values())}
        for key, by_part in snapshot.counts["labels"].items()
    ]
    return sorted(rows, key=lambda row: (-row["total"], row["name"]))


def _how(counts: dict[str, Any]) -> list[tuple[str, dict[str, int]]]:
    """How labels came about -> images by part."""
    kinds = sorted({how for some in counts["how"].values() for how in some})
    return [(kind, {part: some.get(kind, 0) for part, some in counts["how"].items()}) for kind in kinds]


def _leaks_shown(report: dict[str, Any]) -> list[dict[str, Any]]:
    return list(report.get("leaks", []))[:20]


def _kind_shown(kind: str, found: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    images = [
        {
            **one,
            "was": names.get((one["before"] or {}).get("label") or "", ""),
            "is": names.get((one["after"] or {}).get("label") or "", ""),
            "part": (one["after"] or one["before"])["part"],
        }
        for one in found["images"][kind]
    ]
    labels = [(names.get(key, key) or "nothing there", number) for key, number in found["labels"][kind].items()]
    return {
        "kind": kind,
        "words": DIFFERENCE_WORDS[kind],
        "number": found[kind],
        "images": images,
        "labels": labels[:12],
        "beyond": found[kind] - len(images),
    }


def _go(request: HttpRequest, where: str) -> HttpResponse:
    """To another page; a page that renews itself by htmx is told in its own way."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": where})
    return HttpResponseRedirect(where)
