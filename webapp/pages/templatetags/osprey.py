"""What templates say and draw: times, sizes, confidence, bars and boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from webapp.images.times import clock_zone, zone_of
from webapp.pages.confidence import confidence_words
from webapp.pages.navigation import entries
from webapp.projects.models import Visit
from webapp.sizes import size_words
from webapp.versions.models import Pipeline

register = template.Library()
register.filter("size", size_words)


@register.filter
def moment(at: datetime | None, style: str = "") -> SafeString | str:
    """A time of the system: UTC here, put in the reader's zone by the page's script."""
    if at is None:
        return "never"
    utc = at.astimezone(UTC)
    markup = '<time datetime="{}" data-ago>{} UTC</time>' if style == "ago" else '<time datetime="{}">{} UTC</time>'
    return format_html(markup, utc.isoformat(), f"{utc:%Y-%m-%d %H:%M}")


@register.filter
def there(at: datetime | None, zone: str) -> SafeString | str:
    """A time where pictures were taken, by the clocks there and not by the reader's. Say the zone beside it."""
    if at is None:
        return "not known"
    local = at.astimezone(zone_of(zone))
    return format_html('<time datetime="{}" data-as-is>{}</time>', at.isoformat(), f"{local.day} {local:%b %Y, %H:%M}")


@register.filter
def zone_there(visit: Visit) -> str:
    """The zone in which a visit's dates are told: its site's, else the project's."""
    return clock_zone(None, visit.site, visit.project) or "UTC"


@register.filter
def confidence(score: float | None) -> str:
    return confidence_words(score)


@register.filter
def percent(score: float | None) -> str:
    if score is None:
        return ""
    if 0 < score < 0.01:
        return "<1 %"
    return f"{min(round(score * 100), 99 if score < 1 else 100)} %"


@register.filter
def thousands(value: int | None) -> str:
    return f"{value or 0:,}"


@register.filter
def speaker(pipeline: Pipeline | None) -> str:
    """Who answers in a pipeline, by name; of an emptied slot, nothing."""
    if pipeline is None:
        return "nothing"
    version = pipeline.classifier or pipeline.detector or pipeline.identifier or pipeline.external
    return version.name if version is not None else str(pipeline)


@register.filter
def minus(value: int, other: int) -> int:
    return value - other


@register.filter
def item(mapping: Mapping[Any, Any], key: object) -> object:
    return mapping.get(key, "")


@register.inclusion_tag("pages/part_nav.html", takes_context=True)
def navigation(context: template.RequestContext) -> dict[str, Any]:
    """The menu of the frame; `project` is in the context of every page of a project."""
    request, project = context["request"], context.get("project")
    here = request.resolver_match.url_name if request.resolver_match else ""
    main, more = entries(context["actor"], project, here) if project else ([], [])
    return {"main": main, "more": more, "here": here, "person": context["person"]}


@register.simple_tag
def bar(value: float, most: float = 1.0, kind: str = "") -> SafeString:
    """A bar by attributes: styles in markup are not allowed by the site's own policy."""
    share = max(0.0, min(1.0, value / most)) if most else 0.0
    return format_html(
        '<svg class="bar {}" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="bar-ground" width="100" height="8" rx="2"/><rect class="bar-fill" width="{}" height="8" rx="2"/>'
        "</svg>",
        kind,
        round(share * 100, 2),
    )


@register.simple_tag
def boxes(regions: Sequence[Mapping[str, Any]], width: int, height: int) -> SafeString:
    """Boxes over a picture of that size, where no script runs."""
    rects = format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" vector-effect="non-scaling-stroke"/>',
        (
            (name, x * width, y * height, w * width, h * height)
            for region in regions
            if region.get("box")
            for name in ("box-halo", "box")
            for x, y, w, h in [region["box"]]
        ),
    )
    return format_html(
        '<svg class="box-layer" viewBox="0 0 {} {}" aria-hidden="true">{}</svg>',
        width,
        height,
        rects,
    )


@register.inclusion_tag("pages/part_field.html")
def field(bound: Any, hint: str = "") -> dict[str, Any]:
    """A form's field with its label, help and faults."""
    return {"field": bound, "hint": hint or bound.help_text}
