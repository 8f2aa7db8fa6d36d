"""The synchronous call: a picture in, an answer out. Plain and async, because this is what programs call most."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from webapp.api.authentication import caller_of
from webapp.api.calls import Taken, failure_of, take_call, why_waiting
from webapp.api.lane import in_lane
from webapp.api.problems import InvalidFields, plain
from webapp.api.throttles import check
from webapp.images.keep import received, received_fields
from webapp.predictions.answer import answer_of
from webapp.predictions.wait import wait_done

DEFAULT_PROJECT = "animals"
FISH_PROJECT = "fish"
WAIT_SECONDS = 20.0
LONGEST_WAIT = 25.0
RETRY_AFTER = 2


@csrf_exempt
@plain("POST")
async def classify(request: HttpRequest) -> HttpResponse:
    """POST /api/v1/classify?project=SLUG&wait=S&scores=all"""
    return await answer_call(request, request.GET.get("project", DEFAULT_PROJECT))


@csrf_exempt
@plain("POST")
async def classifyfish(request: HttpRequest) -> HttpResponse:
    """POST /classifyfish: the short form of the same for the fish project."""
    return await answer_call(request, FISH_PROJECT)


async def answer_call(request: HttpRequest, slug: str) -> HttpResponse:
    """Take the picture in, wait for its answer as long as asked, and say what is known by then."""
    wait, all_scores = read_wait(request), read_scores(request)
    begun = time.monotonic()
    taken = await in_lane(_admit_and_take, request, slug)
    if not taken.settled and wait > 0:
        await wait_done(taken.prediction_id, wait - (time.monotonic() - begun))
    answer = await in_lane(answer_of, taken.prediction_id, all_scores=all_scores)
    if answer["state"] == "done":
        return _json(answer)
    if answer["state"] == "failed":
        raise failure_of(answer, hint=taken.hint)
    return await _pending(request, taken)


def _admit_and_take(request: HttpRequest, slug: str) -> Taken:
    request.get_host()  # refuses hosts that are not ours; no middleware does it here
    actor = caller_of(request)
    check(actor, request.META.get("REMOTE_ADDR"))
    fields = received_fields(request)
    name = request.GET.get("name", "") or fields.get("name", "")
    return take_call(actor=actor, slug=slug, parts=received(request), fields=fields, name=name[:1000])


async def _pending(request: HttpRequest, taken: Taken) -> HttpResponse:
    job = request.build_absolute_uri(reverse("api-prediction", args=[taken.prediction_id]))
    why = await in_lane(partial(why_waiting, taken.prediction_id))
    response = _json({"state": "pending", "job": job, "why": why}, status=202)
    response["Location"] = job
    response["Retry-After"] = str(RETRY_AFTER)
    return response


def _json(content: dict[str, Any], status: int = 200) -> HttpResponse:
    response = HttpResponse(json.dumps(content), status=status, content_type="application/json")
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def read_wait(request: HttpRequest) -> float:
    """Seconds to wait: 20 unless asked otherwise, never above 25."""
    raw = request.GET.get("wait")
    if raw is None:
        return WAIT_SECONDS
    try:
        seconds = float(raw)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:  # also true for "nan"
        words = f"`wait` is a number of seconds, 0 or more (above {LONGEST_WAIT:.0f} counts as that), not {raw[:20]!r}."
        raise InvalidFields(words, errors={"wait": [words]})
    return min(seconds, LONGEST_WAIT)


def read_scores(request: HttpRequest) -> bool:
    raw = request.GET.get("scores", "top")
    if raw not in ("top", "all"):
        words = f"`scores` is `all` or `top` (the best five), not {raw[:20]!r}."
        raise InvalidFields(words, errors={"scores": [words]})
    return raw == "all"
