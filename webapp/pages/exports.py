"""The Export page: choose what and which format, see what it will hold, follow and download."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from webapp import leases
from webapp.access.actors import Actor
from webapp.access.table import Action
from webapp.datasets import export_job
from webapp.datasets import selection as selecting
from webapp.datasets.export_records import WHOSE
from webapp.datasets.exporting import Asked, start_export
from webapp.datasets.models import Export
from webapp.datasets.snapshots import snapshot_by_uid, snapshots_of
from webapp.errors import NotFound
from webapp.images.facets import count_of
from webapp.pages.answering import attempt, page
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project

SHOWN = 50
FORMAT_WORDS = {
    "csv": ("CSV table", "one line an animal, for spreadsheets and scripts; boxes, counts and fields included"),
    "imagefolder": ("ImageFolder", "part/label/picture, as training code reads it"),
    "coco": ("COCO", "boxes and labels in one JSON"),
    "coco-ct": ("COCO Camera Traps", "COCO with sites, sequences and times"),
    "yolo": ("YOLO", "a text of boxes beside each picture"),
    "darknet": ("darknet", "YOLO's older layout with .data, .names and lists"),
    "voc": ("Pascal VOC", "an XML beside each picture"),
    "megadetector": ("MegaDetector JSON 1.6", "what machines found, for Timelapse and its friends"),
    "camtrapdp": ("Camtrap DP 1.0.2", "the exchange package of camera-trap data, as GBIF takes it"),
}
WHOSE_WORDS = {
    "verified": "labels that people gave",
    "all": "the machine's too, where nobody looked",
    "machine": "the machine's alone",
}


@page("GET", "HEAD", "POST")
def exports(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.EXPORT)
    if request.method == "POST":
        asked = _asked(request, actor, project)
        done = f"{asked.total:,} images are being written. The file appears below."
        return attempt(request, reverse("exports", args=[slug]), done, lambda: start_export(actor=actor, asked=asked))
    params = {name: value for name, value in request.GET.items() if name in selecting.NAMES and value}
    snapshot = params.pop("snapshot", "") if "label" not in params else ""
    selection = selecting.read(params)
    rows = Export.objects.filter(project=project).select_related("snapshot", "asked_by").order_by("-pk")
    mine = rows.filter(asked_by=actor.user)[:SHOWN]
    context: dict[str, Any] = {
        "project": project,
        "formats": [(name, *words) for name, words in FORMAT_WORDS.items()],
        "whose": [(name, WHOSE_WORDS[name]) for name in WHOSE],
        "snapshots": snapshots_of(project)[:SHOWN],
        "snapshot": snapshot,
        "filters": selecting.as_params(selection),
        "total": _total(project, selection),
        "rows": mine,
        "works": any(row.state in leases.UNDER_WAY for row in mine),
        "kept_days": export_job.KEPT.days,
    }
    return render(request, "pages/exports.html", context)


def _total(project: Project, selection: selecting.Selection) -> int:
    if selection.is_everything:
        return count_of(project, "all", "")
    return selecting.images_of(project, selection).count()


@page("POST")
def stop(request: HttpRequest, actor: Actor, slug: str, pk: int) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.EXPORT)
    row = Export.objects.filter(project=project, pk=pk, asked_by=actor.user).first()
    if row is None:
        raise NotFound("There is no such export of yours.")
    return attempt(request, reverse("exports", args=[slug]), "Stopped.", lambda: export_job.stop(row))


def _asked(request: HttpRequest, actor: Actor, project: Project) -> Asked:
    posted = request.POST
    snapshot = snapshot_by_uid(actor, posted["snapshot"]) if posted.get("snapshot") else None
    filters = {} if snapshot else {name: posted[name] for name in selecting.NAMES if posted.get(name)}
    return Asked(
        project=project,
        format=posted.get("format", ""),
        selection=selecting.read(filters),
        snapshot=snapshot,
        whose="verified" if snapshot else posted.get("whose", "verified"),
        options={} if "with_images" in posted else {"with_images": False},
    )
