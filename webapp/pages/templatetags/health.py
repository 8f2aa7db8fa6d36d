"""Draws what the Data page shows: the long tail, a label's share of each site, a site's pictures over time.

Plain SVG made on the server: each mark is a link to its images, and no script has to run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from webapp.reviews.coverage import after

register = template.Library()

WIDTH, HEIGHT, LEFT = 900, 190, 40
MOST_BARS = 300
WIDEST_BAR = 56
STEP_WIDTH, STRIP_HEIGHT = 8, 16
LEVELS = 6


@register.simple_tag
def images_link(grid: str, **filters: object) -> str:
    """The address of the grid with these filters; those that are empty are left out."""
    given = {name: value for name, value in filters.items() if value not in ("", None)}
    return f"{grid}?{urlencode(given)}" if given else grid


@register.filter
def at(values: Sequence[Any], place: int) -> Any:
    return values[place]


@register.simple_tag
def long_tail(rows: Sequence[Sequence[Any]], grid: str) -> SafeString:
    """A bar for each label or individual on a log scale; beyond 300 every bar stands for several neighbours."""
    if not rows:
        return SafeString("")
    every = math.ceil(len(rows) / MOST_BARS)
    shown = [(place, rows[place]) for place in range(0, len(rows), every)]
    top = math.ceil(math.log10(max(rows[0][2], 10)))
    room = min(WIDEST_BAR, (WIDTH - LEFT) / len(shown))
    bars = format_html_join(
        "",
        '<a href="{}" aria-label="{}"><title>{}</title><rect class="tail-room" x="{}" y="0" width="{}" height="{}"/>'
        '<rect class="tail-bar" x="{}" y="{}" width="{}" height="{}"/></a>',
        (
            (
                f"{grid}?{row[0]}",
                f"{row[1]}: {row[2]:,}",
                f"{row[1]}: {row[2]:,} images (place {place + 1:,} of {len(rows):,})",
                round(LEFT + number * room, 2),
                round(room, 2),
                HEIGHT,
                round(LEFT + number * room + room * 0.1, 2),
                round(HEIGHT - _tall(row[2], top), 2),
                round(max(0.6, room * 0.8), 2),
                round(_tall(row[2], top), 2),
            )
            for number, (place, row) in enumerate(shown)
        ),
    )
    lines = format_html_join(
        "",
        '<line class="tail-line" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="tail-text" x="{}" y="{}">{}</text>',
        (
            (LEFT, WIDTH, y, y, LEFT - 6, y + 4, f"{10**power:,}")
            for power in range(top + 1)
            for y in [round(HEIGHT - _tall(10**power, top), 2)]
        ),
    )
    return format_html(
        '<svg class="tail" viewBox="0 -8 {} {}" role="group" aria-label="{}">{}{}</svg>',
        WIDTH,
        HEIGHT + 14,
        f"Images of each of {len(rows):,}, the most frequent first, on a log scale",
        lines,
        bars,
    )


def _tall(count: int, top: int) -> float:
    """One image is not nothing on a log scale: it gets the first tenth."""
    return HEIGHT * (0.08 + 0.92 * math.log10(max(count, 1)) / top)


@register.simple_tag
def level(count: int, most: int) -> int:
    """How strongly a count is shaded, 0 to 6, by its logarithm."""
    if count <= 0:
        return 0
    return min(LEVELS, 1 + int((LEVELS - 1) * math.log(count) / math.log(max(most, 2)) + 1e-9))


@register.simple_tag
def strip(row: Mapping[str, Any], coverage: Mapping[str, Any], grid: str) -> SafeString:
    """One site's pictures over time: each step is a link; a step between others that has none is a gap."""
    steps = [date.fromisoformat(step) for step in coverage["steps"]]
    most = max((max(one["counts"]) for one in coverage["strips"]), default=1)
    there = [place for place, count in enumerate(row["counts"]) if count]
    marks = []
    for place, (step, count) in enumerate(zip(steps, row["counts"], strict=True)):
        name = _name(step, coverage["unit"])
        if not count:
            gap = there[0] < place < there[-1] if there else False
            kind = "gap" if gap else "none"
            marks.append(
                format_html(
                    '<rect class="step-{}" x="{}" width="7" height="{}"/>', kind, place * STEP_WIDTH, STRIP_HEIGHT
                )
            )
            continue
        last = after(step, coverage["unit"]) - timedelta(days=1)
        link = images_link(grid, site=row["uid"] or "-", captured_from=step.isoformat(), captured_to=last.isoformat())
        marks.append(
            format_html(
                '<a href="{}"><title>{}: {} images</title><rect class="level-{}" x="{}" width="7" height="{}"/></a>',
                link,
                name,
                f"{count:,}",
                level(count, most),
                place * STEP_WIDTH,
                STRIP_HEIGHT,
            )
        )
    return format_html(
        '<svg class="strip" viewBox="0 0 {} {}" preserveAspectRatio="none" role="group" aria-label="{}">{}</svg>',
        len(steps) * STEP_WIDTH,
        STRIP_HEIGHT,
        f"{row['name']}: {len(there)} of {len(steps)} with images",
        format_html_join("", "{}", ((mark,) for mark in marks)),
    )


def _name(step: date, unit: str) -> str:
    if unit == "year":
        return str(step.year)
    if unit == "quarter":
        return f"{step.year}, quarter {(step.month + 2) // 3}"
    if unit == "month":
        return f"{step:%B %Y}"
    return f"week of {step.isoformat()}" if unit == "week" else step.isoformat()
