"""Import: bring data in after a look at it, follow it, see what became of every file, withdraw it as a whole."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.api.imports import as_shape
from webapp.datasets import importing, in_place, roots
from webapp.datasets.formats.columns import FLAGS, MEANINGS
from webapp.datasets.formats.paths import IMAGE_ENDINGS
from webapp.datasets.models import Import
from webapp.images.models import Item, Upload
from webapp.pages.answering import page
from webapp.pages.recognise import side_file_rules
from webapp.projects.find import project_by_slug

SHOWN = 100
WORD_ENDINGS = (".csv", ".tsv", ".txt", ".json", ".yaml", ".yml", ".xml", ".data", ".names")
"""Of the files beside pictures that the readers read."""
FORMATS = {
    "": "find out",
    "imagefolder": "folders named for their label",
    "csv": "a table (CSV)",
    "coco": "COCO",
    "coco-ct": "COCO Camera Traps",
    "yolo": "YOLO",
    "darknet": "darknet",
    "voc": "Pascal VOC",
    "camtrapdp": "Camtrap DP",
    "megadetector": "MegaDetector results",
    "speciesnet": "SpeciesNet results",
    "fisheries": "the fisheries folders",
}
LAYOUTS = {
    "": "what their names suggest",
    "label": "labels",
    "site": "sites",
    "site/label": "sites, and labels in them",
    "label/site": "labels, and sites in them",
    "none": "neither labels nor sites",
}
"""What folders of pictures may mean, in words; `imagefolder` reads them."""


@page()
def imports(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.VIEW_UPLOAD)
    is_admin = allowed(actor, Action.MANAGE_PROJECT, project)
    context = {
        "project": project,
        "rows": [_line(row) for row in importing.imports_of(project)[:SHOWN]],
        "originals": in_place.summary(project),
        "is_admin": is_admin,
        "may_import": allowed(actor, Action.IMPORT, project),
        "roots": [str(root) for root in roots.allowed_roots()] if is_admin else [],
        "formats": FORMATS,
        "side_file_rules": side_file_rules(),
        "script": {
            "project": project.slug,
            "meanings": MEANINGS,
            "flags": FLAGS,
            "formats": FORMATS,
            "layouts": LAYOUTS,
            "pictureEndings": sorted(IMAGE_ENDINGS),
            "endings": sorted([*IMAGE_ENDINGS, *WORD_ENDINGS]),
            "mostBytes": settings.MAX_ZIP_BYTES,
        },
    }
    return render(request, "pages/imports.html", context)


@page()
def one_import(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.VIEW_UPLOAD)
    row = importing.import_by_uid(actor, uid, project)
    is_admin = allowed(actor, Action.MANAGE_PROJECT, project)
    context = {
        "project": project,
        "row": row,
        "upload": row.upload,
        "root": row.root if is_admin and not row.root.startswith("sent:") else "",
        "may_import": allowed(actor, Action.IMPORT, project),
        "script": {
            "import": _plain(as_shape(row, is_admin=is_admin)),
            "project": project.slug,
            "mayImport": allowed(actor, Action.IMPORT, project),
            "mayMerge": allowed(actor, Action.CURATE, project),
            "meanings": MEANINGS,
            "flags": FLAGS,
            "formats": FORMATS,
            "layouts": LAYOUTS,
            "states": dict(Item.State.choices),
        },
    }
    return render(request, "pages/import.html", context)


def _line(row: Import) -> dict[str, Any]:
    counts = importing.as_result(row)
    return {
        "row": row,
        "upload": row.upload,
        "added": counts["added"],
        "duplicates": counts["duplicates"],
        "bad": counts["rejected"] + counts["failed"],
        "is_withdrawn": row.upload.state == Upload.State.WITHDRAWN,
        "is_watched": row.upload.kind == Upload.Kind.WATCH,
        "asks": importing.asks(row),
        "format": FORMATS.get(row.format, row.format),
    }


def _plain(shape: dict[str, Any]) -> dict[str, Any]:
    """As JSON holds it."""
    return {name: str(value) if isinstance(value, UUID) else value for name, value in shape.items()}
