"""What the pages of snapshots draw: parts as one bar, numbers as links to their images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from training.contract import PARTS
from webapp.datasets.gather import WORDS
from webapp.datasets.models import Snapshot
from webapp.pages.templatetags.osprey import thousands

register = template.Library()

HOW = {
    "blind": "blind",
    "second-read": "read twice",
    "imported": "imported",
    "suggested": "with a suggestion shown",
    "bulk": "in bulk",
    "rule": "by a rule",
}
BY_GRID = {"unlabelled": {"label": "none"}}
NO_IMAGES_OF = ("withdrawn",)
NOUGHT = SafeString('<span class="none">0</span>')


@register.simple_tag
def parts_bar(counts: Mapping[str, int], parts: list[str]) -> SafeString:
    """Shares of the parts side by side; the numbers stand beside it in words."""
    total, x = sum(counts.get(part, 0) for part in parts), 0.0
    rects = []
    for part in parts:
        width = 100 * counts.get(part, 0) / total if total else 0.0
        rects.append((_place(part), round(x, 3), round(width, 3)))
        x += width
    inside = format_html_join(
        "", '<rect class="part-{}" x="{}" width="{}" height="8"/>', (one for one in rects if one[2])
    )
    return format_html(
        '<svg class="bar parts" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="bar-ground" width="100" height="8"/>{}</svg>',
        inside,
    )


@register.filter
def part_class(part: str) -> str:
    return f"part-{_place(part)}"


def _place(part: str) -> str:
    return part if part in PARTS else "other"


@register.simple_tag
def images_of(snapshot: Snapshot, number: int, **filters: Any) -> SafeString:
    """A number that leads to its images in the grid; nought is no link."""
    if not number:
        return NOUGHT
    wanted = {"snapshot": str(snapshot.uid), **{name: value for name, value in filters.items() if value}}
    address = f"{reverse('images', args=[snapshot.project.slug])}?{urlencode(wanted)}"
    return format_html('<a href="{}">{}</a>', address, thousands(number))


@register.simple_tag
def left_out_link(snapshot: Snapshot, code: str, number: int) -> SafeString | str:
    """To the left-out images of a reason, where the grid has them."""
    if code in NO_IMAGES_OF:
        return thousands(number)
    wanted = BY_GRID.get(code, {"snapshot": str(snapshot.uid), "snapshot_part": "left-out"})
    return format_html(
        '<a href="{}?{}">{}</a>', reverse("images", args=[snapshot.project.slug]), urlencode(wanted), thousands(number)
    )


@register.filter
def left_out_words(code: str) -> str:
    return WORDS.get(code, code)


@register.filter
def how_words(how: str) -> str:
    return HOW.get(how, how)


@register.filter
def pairs_of(mapping: Mapping[str, Mapping[str, int]], part: str) -> list[tuple[str, int]]:
    """How many labels of each origin a part has, most first."""
    return sorted(mapping.get(part, {}).items(), key=lambda pair: -pair[1])
