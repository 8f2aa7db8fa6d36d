"""The images of one evaluation: those of a cell of its matrix, the mistakes, or all, the surest mistakes first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from training.contract import Outcome, ReportError, read_outcomes
from webapp.errors import NotFound, Unavailable
from webapp.images.models import Image
from webapp.runs.comparing.gallery import LIMIT, NO_ANSWER
from webapp.runs.comparing.outcomes import path_in_store
from webapp.runs.models import Evaluation


@dataclass(frozen=True)
class Wanted:
    """Which images: label keys ('' for any, `-` for no answer); `wrong`: only those that were answered wrongly."""

    truth: str = ""
    answer: str = ""
    wrong: bool = False


@dataclass(frozen=True)
class Told:
    """One image with its truth and the answer, label keys ('' for none)."""

    image: Image
    truth: str
    answer: str
    score: float


@dataclass(frozen=True)
class ToldPage:
    """A page of them; `next` is the cursor of the one after. `total` counts those that were withdrawn since as well."""

    images: tuple[Told, ...]
    total: int
    next: int | None


def evaluated_images(row: Evaluation, wanted: Wanted, *, cursor: int = 0, limit: int = LIMIT) -> ToldPage:
    """Images that are still in the project, in an order that stays."""
    picked = sorted((one for one in _read(row) if _is_wanted(one, wanted)), key=_order)
    page = picked[cursor : cursor + limit]
    rows = Image.objects.filter(project=row.snapshot.project_id, withdrawn_at=None)
    there = rows.in_bulk([one.image for one in page])
    images = tuple(Told(there[one.image], one.truth, one.answer, one.score) for one in page if one.image in there)
    end = cursor + len(page)
    return ToldPage(images, len(picked), end if end < len(picked) else None)


def _is_wanted(one: Outcome, wanted: Wanted) -> bool:
    if wanted.wrong and one.is_right:
        return False
    asked = ((wanted.truth, one.truth), (wanted.answer, one.answer))
    return all(key in ("", said or NO_ANSWER) for key, said in asked)


def _order(one: Outcome) -> tuple[bool, float, int]:
    """The surest mistake first; of images that it has right, the least sure."""
    return (one.is_right, one.score if one.is_right else -one.score, one.image)


def _read(row: Evaluation) -> tuple[Outcome, ...]:
    if not row.outcomes_key:
        raise NotFound(f"This evaluation is {row.get_state_display()}: there are no images to look at.")
    path = path_in_store(row.outcomes_key)
    try:
        return _kept(path, path.stat().st_mtime_ns)
    except (OSError, ReportError) as error:
        what = f"The images of this evaluation cannot be read ({error}): evaluate the version again."
        raise Unavailable(what, code="comparison-missing") from error


@lru_cache(maxsize=2)
def _kept(path: Path, written: int) -> tuple[Outcome, ...]:
    """Read once by each process; an evaluation that is made again is another time of writing."""
    return tuple(read_outcomes(path))
