"""How well one version does on one part: its report, and the images behind each number."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from webapp.access.actors import Actor
from webapp.errors import NotFound
from webapp.pages.answering import page
from webapp.pages.report_parts import report_parts
from webapp.runs.comparing.evaluated_images import Wanted, evaluated_images
from webapp.runs.comparing.find import evaluation_by_id, names_of
from webapp.runs.comparing.gallery import NO_ANSWER
from webapp.runs.models import Evaluation

AT_ONCE = 48
MOST = 1 << 31


@page()
def evaluation(request: HttpRequest, actor: Actor, slug: str, pk: int) -> HttpResponse:
    row = _evaluation(actor, slug, pk)
    told = report_parts(row, request.GET.get("matrix", "")) if row.report else {"evaluation": row}
    return render(request, "pages/evaluation.html", {"project": row.snapshot.project, "told": told})


@page()
def images(request: HttpRequest, actor: Actor, slug: str, pk: int) -> HttpResponse:
    row = _evaluation(actor, slug, pk)
    asked = {name: request.GET[name] for name in ("truth", "answer", "wrong") if request.GET.get(name)}
    wanted = Wanted(asked.get("truth", ""), asked.get("answer", ""), "wrong" in asked)
    cursor = request.GET.get("cursor", "")
    found = evaluated_images(row, wanted, cursor=int(cursor) % MOST if cursor.isdecimal() else 0, limit=AT_ONCE)
    keys = {key for one in found.images for key in (one.truth, one.answer)}
    names = names_of(row.snapshot.project, keys | {_key(wanted.truth), _key(wanted.answer)}, [row.version])
    context = {
        "project": row.snapshot.project,
        "evaluation": row,
        "thumbs": [(one, names[one.truth], names[one.answer]) for one in found.images],
        "total": found.total,
        "next": found.next,
        "query": urlencode(asked),
        "words": _words(wanted, names),
    }
    return render(request, "pages/evaluation_images.html", context)


def _words(wanted: Wanted, names: dict[str, str]) -> str:
    """What the images are narrowed down to."""
    if wanted.truth and wanted.answer:
        return f"{names[_key(wanted.truth)]}, answered {names[_key(wanted.answer)]}"
    if wanted.truth:
        return names[_key(wanted.truth)]
    if wanted.answer:
        return f"Answered {names[_key(wanted.answer)]}"
    return "Its mistakes" if wanted.wrong else "All images"


def _key(asked: str) -> str:
    return "" if asked == NO_ANSWER else asked


def _evaluation(actor: Actor, slug: str, pk: int) -> Evaluation:
    row = evaluation_by_id(actor, pk)
    if row.snapshot.project.slug != slug:
        raise NotFound(f"The project {slug} has no evaluation {pk}.")
    return row
