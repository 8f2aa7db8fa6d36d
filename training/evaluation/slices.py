"""Images that share something that might matter: the site, the camera, the hour, light and sharpness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from training.contract import ManifestLine, Sliced

NOTHING = ""


def _hour(line: ManifestLine) -> str:
    """Six hours of the camera's clock."""
    try:
        hour = datetime.fromisoformat(line.captured_at).hour
    except ValueError:
        return NOTHING
    return ("night 0-6", "morning 6-12", "afternoon 12-18", "evening 18-24")[hour // 6]


def _band(value: float | None, low: float, high: float, names: tuple[str, str, str]) -> str:
    if value is None:
        return NOTHING
    return names[0] if value < low else names[1] if value < high else names[2]


def _size(line: ManifestLine) -> str:
    side = min(line.width, line.height)
    return _band(side or None, 500, 2000, ("under 500 px", "500 to 2000 px", "over 2000 px"))


SLICES: Mapping[str, Callable[[ManifestLine], str]] = {
    "site": lambda line: line.site_name or line.site,
    "camera": lambda line: line.camera,
    "hour": _hour,
    "light": lambda line: _band(line.brightness, 0.25, 0.75, ("dark", "medium", "bright")),
    "contrast": lambda line: _band(line.contrast, 0.2, 0.5, ("flat", "medium", "strong")),
    "sharpness": lambda line: _band(line.sharpness, 0.02, 0.3, ("blurred", "soft", "sharp")),
    "size": _size,
    "how": lambda line: line.how,
}
"""What to divide by -> in which slice an image is; '' is none."""


def divisions(lines: Sequence[ManifestLine]) -> Iterator[tuple[str, list[str]]]:
    """What divides these images into two slices or more, and in which of them each is."""
    for by, value_of in SLICES.items():
        found = [value_of(line) for line in lines]
        if len(set(found) - {NOTHING}) > 1:
            yield by, found


def sliced(lines: Iterable[ManifestLine], images: Sequence[int]) -> tuple[Sliced, ...]:
    """All divisions of these images, in their order, for galleries."""
    wanted = set(images)
    by_image = {line.image: line for line in lines if line.image in wanted}
    made = []
    for by, found in divisions([by_image[image] for image in images]):
        values = sorted(set(found) - {NOTHING})
        at = {value: place for place, value in enumerate(values)}
        made.append(Sliced(by, tuple(values), tuple(at.get(value, -1) for value in found)))
    return tuple(made)
