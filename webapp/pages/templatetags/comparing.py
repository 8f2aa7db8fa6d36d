"""Draws what the Compare page shows: whiskers on a zero line, calibration, reject curves, accuracy against time.

Plain SVG made on the server. Every number in it stands in a table beside it as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from webapp.sizes import size_words

register = template.Library()

WHISKER_WIDTH, WHISKER_HEIGHT = 240, 20
"""In pixels, as compare.css draws it, so that the axis above fits."""
SIDE, LEFT, BOTTOM, TOP, RIGHT = 260, 40, 30, 8, 10
WIDE = 460
KINDS = {"better": "is-better", "worse": "is-worse"}


@register.simple_tag
def whisker(row: Any) -> SafeString:
    """The difference with its interval; without one a hollow dot, since nothing is known of how far it may reach."""
    middle, half, y = WHISKER_WIDTH / 2, WHISKER_WIDTH / 2 - 6, WHISKER_HEIGHT / 2

    def x(value: float) -> float:
        return round(middle + max(-1.0, min(1.0, value / float(row.scale))) * half, 1)

    span = SafeString("")
    if row.interval:
        low, high = x(row.interval[0]), x(row.interval[1])
        span = format_html(
            '<path class="whisker-span" d="M{} {}H{}M{} {}v8M{} {}v8"/>', low, y, high, low, y - 4, high, y - 4
        )
    return format_html(
        '<svg class="whisker {}" viewBox="0 0 {} {}" aria-hidden="true"><line class="whisker-zero" x1="{}" x2="{}" '
        'y1="0" y2="{}"/>{}<circle class="{}" cx="{}" cy="{}" r="3.5"/></svg>',
        KINDS.get(row.verdict, "is-open"),
        WHISKER_WIDTH,
        WHISKER_HEIGHT,
        middle,
        middle,
        WHISKER_HEIGHT,
        span,
        "whisker-dot" if row.interval else "whisker-dot is-hollow",
        x(row.value),
        y,
    )


@register.simple_tag
def whisker_axis(rows: Sequence[Any]) -> SafeString:
    """What the ends of the whiskers stand for."""
    if not rows:
        return SafeString("")
    first = rows[0]
    end = f"{100 * first.scale if first.is_share else first.scale:g}"
    unit = " points" if first.is_share else ""
    return format_html(
        '<span class="whisker-axis"><span>\u2212{}</span><span>0</span><span>+{}{}</span></span>', end, end, unit
    )


@register.simple_tag
def reliability(side: Mapping[str, Any]) -> SafeString:
    """How often answers of a given score are right: on the diagonal, a score means what it says."""
    before, after = side["bins_before"], side["bins_after"]
    said = ", ".join(f"{one['score']:.0%} sure: {one['right']:.0%} right" for one in after if one["images"])
    lines = [
        _line(before, "score", "right", "chart-line is-before"),
        _line(after, "score", "right", "chart-line is-after"),
        _dots(after),
    ]
    diagonal = format_html('<path class="chart-diagonal" d="M{} {}L{} {}"/>', _x(0), _y(0), _x(1), _y(1))
    whose = f"Version {side['name']}. " if side["name"] else ""
    return _chart(f"{whose}{said}", [diagonal, *lines], "how sure it says it is", "how often right")


@register.simple_tag
def reject_chart(sides: Sequence[Mapping[str, Any]]) -> SafeString:
    """What is left to be wrong if only the surest answers are kept."""
    curves = [side["reject_curve"] for side in sides]
    most = max((point["wrong"] for curve in curves for point in curve), default=0.0)
    top = _round_up(most)
    lines = [
        _line(curve, "kept", "wrong", f"chart-line is-{(side['name'] or 'B').lower()}", top=top, width=WIDE)
        for side, curve in zip(sides, curves, strict=True)
    ]
    both = ", for both versions" if len(sides) > 1 else ""
    words = f"Share of kept answers that are wrong, by the share that is kept{both}"
    return _chart(words, lines, "share of answers kept", "of these wrong", top=top, width=WIDE)


@register.simple_tag
def pareto_chart(versions: Sequence[Mapping[str, Any]]) -> SafeString:
    """Accuracy against time; the area of a dot is the version's size, those on the front are filled."""
    timed = [one for one in versions if one["milliseconds"] > 0]
    if not timed:
        return SafeString("")
    times = [math.log10(one["milliseconds"]) for one in timed]
    low, high = min(times) - 0.15, max(times) + 0.15
    floor = max(0.0, math.floor((min(one["accuracy"] for one in timed) - 0.02) * 20) / 20)
    largest = max(one["size_bytes"] for one in timed) or 1

    def x(milliseconds: float) -> float:
        return float(round(LEFT + (math.log10(milliseconds) - low) / (high - low) * (WIDE - LEFT - RIGHT), 1))

    def y(accuracy: float) -> float:
        return float(round(TOP + (1 - (accuracy - floor) / (1 - floor)) * (SIDE - TOP - BOTTOM), 1))

    front = sorted((one for one in timed if one["on_front"]), key=lambda one: one["milliseconds"])
    path = " ".join(f"{x(one['milliseconds'])},{y(one['accuracy'])}" for one in front)
    marks = format_html_join("", "{}", ((_version_dot(one, x, y, largest),) for one in timed))
    ticks = [round(floor + (1 - floor) * step / 4, 3) for step in range(5)]
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="Accuracy against milliseconds for an image of '
        '{} versions">{}{}<polyline class="chart-front" points="{}"/>{}'
        '<text class="chart-text" x="{}" y="{}" text-anchor="middle">milliseconds an image (log scale)</text></svg>',
        WIDE,
        SIDE,
        len(timed),
        _grid_lines(ticks, y, WIDE),
        _time_ticks(low, high, x),
        path,
        marks,
        (LEFT + WIDE) / 2,
        SIDE - 2,
    )


# ---- parts -----------------------------------------------------------------------------------------------------------


def _x(share: float, width: int = SIDE) -> float:
    return round(LEFT + share * (width - LEFT - RIGHT), 1)


def _y(share: float, top: float = 1.0) -> float:
    return round(TOP + (1 - share / top) * (SIDE - TOP - BOTTOM), 1)


def _line(
    points: Sequence[Mapping[str, Any]], across: str, up: str, name: str, *, top: float = 1.0, width: int = SIDE
) -> SafeString:
    there = [one for one in points if one.get("images", 1)]
    path = " ".join(f"{_x(one[across], width)},{_y(one[up], top)}" for one in there)
    return format_html('<polyline class="{}" points="{}"/>', name, path) if there else SafeString("")


def _dots(bins: Sequence[Mapping[str, Any]]) -> SafeString:
    """Their area is the number of answers."""
    most = max((one["images"] for one in bins), default=0) or 1
    return format_html_join(
        "",
        '<circle class="chart-dot" cx="{}" cy="{}" r="{}"><title>{}</title></circle>',
        (
            (
                _x(one["score"]),
                _y(one["right"]),
                round(2 + 6 * math.sqrt(one["images"] / most), 1),
                f"{one['images']:,} answers, {one['score']:.0%} sure on average, {one['right']:.0%} right",
            )
            for one in bins
            if one["images"]
        ),
    )


def _chart(
    words: str, inside: Sequence[SafeString], across: str, up: str, *, top: float = 1.0, width: int = SIDE
) -> SafeString:
    ticks = [top * step / 4 for step in range(5)]
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}'
        '<text class="chart-text" x="{}" y="{}" text-anchor="middle">{}</text>'
        '<text class="chart-text" x="{}" y="{}">{}</text></svg>',
        width,
        SIDE,
        words,
        _grid_lines(ticks, lambda value: _y(value, top), width),
        format_html_join(
            "",
            '<text class="chart-text" x="{}" y="{}" text-anchor="middle">{}</text>',
            ((_x(step / 4, width), SIDE - BOTTOM + 13, f"{step * 25}") for step in range(5)),
        ),
        format_html_join("", "{}", ((one,) for one in inside)),
        (LEFT + width) / 2,
        SIDE - 2,
        f"{across}, %",
        LEFT + 4,
        TOP + 9,
        up,
    )


def _grid_lines(ticks: Sequence[float], y: Any, width: int) -> SafeString:
    return format_html_join(
        "",
        '<line class="chart-grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text class="chart-text" x="{}" y="{}" text-anchor="end">{}</text>',
        ((LEFT, width - RIGHT, y(tick), y(tick), LEFT - 5, y(tick) + 4, f"{100 * tick:.3g}") for tick in ticks),
    )


def _time_ticks(low: float, high: float, x: Any) -> SafeString:
    steps = [size * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for size in (1, 2, 5)]
    return format_html_join(
        "",
        '<text class="chart-text" x="{}" y="{}" text-anchor="middle">{}</text>',
        ((x(step), SIDE - BOTTOM + 13, f"{step:g}") for step in steps if low <= math.log10(step) <= high),
    )


def _version_dot(one: Mapping[str, Any], x: Any, y: Any, largest: int) -> SafeString:
    words = f"{one['version']}: {one['accuracy_words']}, {one['milliseconds']:.1f} ms, {size_words(one['size_bytes'])}"
    at_x, at_y = x(one["milliseconds"]), y(one["accuracy"])
    mark = format_html(
        '<text class="chart-mark" x="{}" y="{}" text-anchor="middle">{}</text>',
        at_x,
        at_y - 12 if at_y > 24 else at_y + 22,  # never out of the chart
        one["mark"],
    )
    return format_html(
        '<circle class="chart-version{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>{}',
        " is-front" if one["on_front"] else "",
        at_x,
        at_y,
        round(3 + 6 * math.sqrt(one["size_bytes"] / largest), 1),
        words,
        mark if one["mark"] else "",
    )


def _round_up(most: float) -> float:
    return next(step for step in (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if step >= most or step == 1.0)
