"""What straddles the parts of a snapshot: when it is frozen, and later, when the data has grown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, F, Max, Min, Q, QuerySet

from training.contract import LEFT_OUT, ManifestLine
from webapp.datasets.groups import ALWAYS, CHOICES
from webapp.datasets.models import Snapshot, SnapshotEntry
from webapp.images.models import ImageState

SHOWN = 50
FIRST = 4
"""Images that are named of those that hang together."""
CLUSTER, SEQUENCE = "image__near_duplicate__cluster", "image__sequence"
WORDS = {
    "cluster": "near-duplicates",
    "sequence": "burst",
    "site": "site",
    "visit": "visit",
    "individual": "individual",
    "author": "author",
    "camera": "camera",
    "source": "import or upload",
}


@dataclass(slots=True)
class _Here:
    """One value of one kind: how many images of each part have it."""

    name: str
    parts: dict[str, int] = field(default_factory=dict)
    images: list[int] = field(default_factory=list)

    def add(self, part: str, image_id: int) -> None:
        self.parts[part] = self.parts.get(part, 0) + 1
        if len(self.images) < FIRST:
            self.images.append(image_id)


class LeakFinder:
    """Sees the lines of a manifest one by one. `kinds` are what must not straddle besides what never may."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self.kinds = tuple(dict.fromkeys((*ALWAYS, *kinds)))
        self._seen: dict[str, dict[object, _Here]] = {kind: {} for kind in dict.fromkeys((*self.kinds, *CHOICES))}

    def add(self, line: ManifestLine) -> None:
        if line.part == LEFT_OUT:
            return
        for kind, seen in self._seen.items():
            value = getattr(line, kind)
            if value in ("", None):
                continue
            here = seen.get(value)
            if here is None:
                here = seen[value] = _Here(_name(kind, line))
            here.add(line.part, line.image)

    def report(self) -> dict[str, Any]:
        """`leaks` by kind with their number; `straddle` counts what was not asked to stay together, and did not."""
        found = {kind: [one for one in seen.values() if len(one.parts) > 1] for kind, seen in self._seen.items()}
        leaks = [
            {"kind": kind, "what": WORDS[kind], "name": one.name, "parts": dict(one.parts), "images": one.images}
            for kind in self.kinds
            for one in found[kind][:SHOWN]
        ]
        told = set(found) - set(self.kinds) - {"source"}
        return {
            "kinds": list(self.kinds),
            "total": sum(len(found[kind]) for kind in self.kinds),
            "counts": {kind: len(found[kind]) for kind in self.kinds},
            "leaks": leaks,
            "straddle": {kind: len(found[kind]) for kind in found if kind in told and found[kind]},
        }


def _name(kind: str, line: ManifestLine) -> str:
    names = {"site": line.site_name, "visit": line.visit_name, "individual": _individual(line)}
    return names.get(kind) or str(getattr(line, kind))


def _individual(line: ManifestLine) -> str:
    named = (one.individual_name for one in line.annotations if one.individual == line.individual)
    return next(named, "")


def in_words(report: Mapping[str, Any]) -> str:
    """`3 clusters of near-duplicates, 1 burst`."""
    return ", ".join(_counted(kind, count) for kind, count in report.get("counts", {}).items() if count)


def _counted(kind: str, count: int) -> str:
    many = "" if count == 1 else "s"
    return f"{count:,} cluster{many} of near-duplicates" if kind == "cluster" else f"{count:,} {WORDS[kind]}{many}"


# ---- later -----------------------------------------------------------------------------------------------------------


def present_state(snapshot: Snapshot) -> dict[str, Any]:
    """What has become of a snapshot: leaks by what is known now, withdrawn images, labels that changed since."""
    used = SnapshotEntry.objects.filter(snapshot=snapshot).exclude(part=LEFT_OUT)
    clusters = _straddling(used, CLUSTER)
    sequences = _straddling(used, SEQUENCE)
    withdrawn = used.filter(image__withdrawn_at__isnull=False)
    told = snapshot.leak_report.get("counts", {})
    return {
        "leaks": len(clusters) + len(sequences),
        "known": sum(told.get(kind, 0) for kind in ALWAYS),
        "clusters": _shown(used, CLUSTER, clusters[:SHOWN]),
        "sequences": _shown(used, SEQUENCE, sequences[:SHOWN]),
        "withdrawn": sum(n for _, n in _by(withdrawn, "part")),
        "withdrawn_by_part": dict(_by(withdrawn, "part")),
        "withdrawn_by_source": [
            {"source": str(uid), "name": name, "images": n}
            for uid, name, n in withdrawn.values_list("image__upload__uid", "image__upload__name").annotate(Count("pk"))
        ],
        "relabelled": _relabelled(used).count(),
    }


def _straddling(used: QuerySet[SnapshotEntry], key: str) -> list[int]:
    """Values of `key` whose images lie in several parts. Least and greatest need no sorting."""
    rows = used.filter(**{f"{key}__isnull": False}).values_list(key).order_by()
    several = rows.annotate(least=Min("part"), most=Max("part")).filter(least__lt=F("most"))
    return sorted(value for value, *_ in several)


def _shown(used: QuerySet[SnapshotEntry], key: str, values: Sequence[int]) -> list[dict[str, Any]]:
    """For each value how many images of each part have it, and the first few; by one query for them all."""
    found = {value: _Here("") for value in values}
    rows = used.filter(**{f"{key}__in": values}).order_by("image_id").values_list(key, "part", "image_id")
    for value, part, image_id in rows.iterator(chunk_size=5000):
        found[value].add(part, image_id)
    return [
        {"id": value, "parts": dict(sorted(one.parts.items())), "images": one.images} for value, one in found.items()
    ]


def _by(rows: QuerySet[SnapshotEntry], column: str) -> list[tuple[str, int]]:
    return list(rows.values_list(column).annotate(Count("pk")).order_by(column))


def _relabelled(used: QuerySet[SnapshotEntry]) -> QuerySet[SnapshotEntry]:
    """Entries whose image has another label today; a merged label is the one it was merged into."""
    said = Q(image__state__source__in=[ImageState.Source.HUMAN, ImageState.Source.IMPORTED, ImageState.Source.RULE])
    same = Q(image__state__label=F("label")) | Q(image__state__label__merged_into=F("label"))
    merged = Q(image__state__label=F("label__merged_into"))
    return used.filter(said, label__isnull=False).exclude(same).exclude(merged)
