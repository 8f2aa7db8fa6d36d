"""Is the data any good? Counts of a project in one pass each, as plain values; the analysis keeps them for the page."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q, QuerySet

from webapp.images.models import Image, ImageState
from webapp.projects.models import Individual, Label, Project, Site
from webapp.reviews import coverage, quality
from webapp.reviews.minimums import Minimums, minimums_of
from webapp.reviews.models import Finding, NearDuplicate

ReviewState = ImageState.ReviewState
SHOWN_CLUSTERS = 24
SHOWN_LEAKS = 50
MOST_COMMON = 10
SHOWN_WANTED = 200


@dataclass(frozen=True)
class Counts:
    """How many images a label, or an individual, has by site (0: no site). `query` is the grid's filter for them."""

    key: str
    name: str
    query: str
    by_site: Counter[int]

    @property
    def images(self) -> int:
        return self.by_site.total()

    @property
    def sites(self) -> int:
        return len([site for site in self.by_site if site])

    @property
    def effective_sites(self) -> float:
        """Inverse Simpson index over known sites: how many sites that gave equally many would be as varied."""
        return effective(count for site, count in self.by_site.items() if site)


def report(project: Project) -> dict[str, Any]:
    """All of it. `labels` counts what people and imports said; machine answers are not counted.

    Where most animals are known by name, the classes of the long tail are individuals, as a network would learn them.
    """
    states = ImageState.objects.filter(project=project).order_by()
    labels, individuals = count_labels(project), count_individuals(project)
    by_individual = 2 * sum(one.images for one in individuals if one.key) > sum(one.images for one in labels)
    limits = quality.fit_limits(_images(project))
    minimums = minimums_of(project)
    too_few = wanted(project, labels, minimums)
    return {
        "images": states.count(),
        "labelled": sum(one.images for one in labels),
        **count_verdicts(project),
        "labels": names_of(labels),
        "individuals": names_of(individuals),
        "class_by": "individual" if by_individual else "label",
        **long_tail(individuals if by_individual else labels),
        "matrix": _matrix(project, labels),
        "coverage": coverage.by_site(project),
        "sequences": states.exclude(sequence=None).aggregate(n=Count("sequence", distinct=True))["n"],
        **_duplicates(project),
        **_findings(project),
        "quality": quality.count_all(_images(project), limits),
        "quality_limits": limits,
        "minimum": {"images": minimums.images, "sites": minimums.sites},
        "under_minimum": len(too_few),
        "wanted": too_few[:SHOWN_WANTED],
        "leaks": part_leaks(project),
    }


def count_verdicts(project: Project) -> dict[str, int]:
    """Where the images stand that are not labelled: with `labelled` these are all of the project."""
    rows = ImageState.objects.filter(project=project).order_by()
    counts = dict(rows.values_list("review_state").annotate(n=Count("pk")))
    bare = rows.filter(review_state=ReviewState.REVIEWED, label=None).count()
    return {
        "unreviewed": counts.get(ReviewState.UNREVIEWED, 0),
        "conflicts": counts.get(ReviewState.CONFLICT, 0),
        "cannot_tell": counts.get(ReviewState.CANNOT_TELL, 0),
        "bad_images": counts.get(ReviewState.BAD, 0),
        "nothing_named": bare,
    }


def _images(project: Project) -> QuerySet[Image]:
    return Image.objects.filter(project=project, withdrawn_at=None)


def count_labels(project: Project) -> list[Counts]:
    """Labels that have images, the most frequent first."""
    counts = _by_site(_reviewed(project), "label_id")
    words = Label.objects.filter(project=project).values_list("pk", "key", "name")
    made = [
        Counts(key, name, urlencode({"label": key, "review_state": "reviewed"}), counts[pk])
        for pk, key, name in words
        if pk in counts
    ]
    return sorted(made, key=lambda one: (-one.images, one.name))


def count_individuals(project: Project) -> list[Counts]:
    """Individuals that have images; those that nobody identified are one more for each label. None: an empty list."""
    named = _by_site(_reviewed(project).filter(individual__isnull=False), "individual_id")
    if not named:
        return []
    made = [
        Counts(str(uid), name, urlencode({"individual": str(uid), "review_state": "reviewed"}), named[pk])
        for pk, uid, name in Individual.objects.filter(project=project).values_list("pk", "uid", "name")
        if pk in named
    ]
    unnamed = _by_site(_reviewed(project).filter(individual=None, label__kind=Label.Kind.NORMAL), "label_id")
    for pk, key, name in Label.objects.filter(pk__in=list(unnamed)).values_list("pk", "key", "name"):
        query = urlencode({"label": key, "individual": "-", "review_state": "reviewed"})
        made.append(Counts("", f"{name}, nobody known", query, unnamed[pk]))
    return sorted(made, key=lambda one: (-one.images, one.name))


def _reviewed(project: Project) -> QuerySet[ImageState]:
    states = ImageState.objects.filter(project=project, review_state=ReviewState.REVIEWED, label__isnull=False)
    return states.order_by()


def _by_site(states: QuerySet[ImageState], column: str) -> dict[int, Counter[int]]:
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    rows = states.values_list(column, "site_id").annotate(n=Count("pk"))
    for value, site_id, count in rows.iterator(chunk_size=10_000):
        counts[value][site_id or 0] += count
    return counts


def names_of(rows: Sequence[Counts]) -> dict[str, int]:
    """Images by name. Two of one name are told apart by their keys."""
    names = Counter(one.name for one in rows)
    return {one.name if names[one.name] == 1 else f"{one.name} ({one.key})": one.images for one in rows}


def long_tail(rows: Sequence[Counts]) -> dict[str, Any]:
    """How uneven the classes are. A row: filter, name, images, sites, effective sites, images without a site."""
    return {
        "classes": len(rows),
        "singletons": sum(one.images == 1 for one in rows),
        "most_common": [{"key": one.key, "name": one.name, "images": one.images} for one in rows[:MOST_COMMON]],
        "effective_classes": effective(one.images for one in rows),
        "class_rows": [
            [one.query, one.name, one.images, one.sites, one.effective_sites, one.by_site[0]] for one in rows
        ],
    }


def effective(counts: Iterable[int]) -> float:
    """The inverse Simpson index: so many equally frequent ones would be as varied."""
    found = [count for count in counts if count]
    return round(sum(found) ** 2 / sum(count**2 for count in found), 2) if found else 0.0


MATRIX_LABELS, MATRIX_SITES = 40, 24


def _matrix(project: Project, labels: Sequence[Counts]) -> dict[str, Any]:
    """The most frequent labels by the most frequent sites; `more` says how many are not shown."""
    totals: Counter[int] = Counter()
    for label in labels:
        totals.update({site: count for site, count in label.by_site.items() if site})
    shown = [site for site, _ in totals.most_common(MATRIX_SITES)]
    named = {site.pk: site for site in Site.objects.filter(pk__in=shown)}
    rows = [
        {"key": one.key, "name": one.name, "counts": [one.by_site[site] for site in shown]}
        for one in labels[:MATRIX_LABELS]
    ]
    return {
        "sites": [{"uid": str(named[site].uid), "name": named[site].name} for site in shown],
        "rows": rows,
        "more_labels": max(0, len(labels) - MATRIX_LABELS),
        "more_sites": max(0, len(totals) - MATRIX_SITES),
    }


def _duplicates(project: Project) -> dict[str, Any]:
    """Clusters of two and more images, and the largest of them with some of their images."""
    rows = NearDuplicate.objects.filter(project=project, image__withdrawn_at=None).order_by()
    sizes = Counter(dict(rows.values_list("cluster").annotate(n=Count("pk")).filter(n__gte=2)))
    shown = [cluster for cluster, _ in sizes.most_common(SHOWN_CLUSTERS)]
    return {
        "duplicate_clusters": len(sizes),
        "duplicate_images": sizes.total(),
        "largest_clusters": [
            {
                "cluster": cluster,
                "images": sizes[cluster],
                "some": list(rows.filter(cluster=cluster).order_by("pk").values_list("image_id", flat=True)[:6]),
            }
            for cluster in shown
        ],
    }


def _findings(project: Project) -> dict[str, int]:
    counts = count_findings(project)
    kinds = Finding.Kind
    return {
        "suspects": counts.get(kinds.SUSPECT, 0),
        "duplicates_disagree": counts.get(kinds.DUPLICATES_DISAGREE, 0),
        "looks_new": counts.get(kinds.LOOKS_NEW, 0),
        "rare": counts.get(kinds.RARE, 0),
        "alike_unlabelled": counts.get(kinds.CLUSTER, 0),
    }


def count_findings(project: Project) -> dict[str, int]:
    """Open findings by kind, as they are now."""
    rows = Finding.objects.filter(project=project, settled_at=None, image__withdrawn_at=None).order_by()
    return dict(rows.values_list("kind").annotate(n=Count("pk")))


def wanted(project: Project, labels: Sequence[Counts], minimums: Minimums) -> list[dict[str, Any]]:
    """What to collect next: normal labels with too few images or from too few sites, the neediest first."""
    there = {one.key: one for one in labels}
    normal = Label.objects.filter(project=project, kind=Label.Kind.NORMAL, merged_into=None)
    has_sites = Site.objects.filter(project=project).exists()
    rows: list[dict[str, Any]] = []
    for key, name in normal.values_list("key", "name"):
        images = there[key].images if key in there else 0
        sites = there[key].sites if key in there else 0
        few_images = max(0, minimums.images - images)
        few_sites = max(0, minimums.sites - sites) if has_sites else 0
        if few_images or few_sites:
            rows.append(
                {
                    "key": key,
                    "name": name,
                    "images": images,
                    "sites": sites,
                    "more_images": few_images,
                    "more_sites": few_sites,
                }
            )
    rows.sort(key=lambda row: (row["images"] == 0, row["images"], -row["more_sites"], row["name"]))
    return rows


def part_leaks(project: Project) -> list[dict[str, Any]]:
    """Near-duplicates and sequences that lie in several parts of an imported split."""
    if not ImageState.objects.filter(Q(project=project), ~Q(image__part="")).exists():
        return []
    found = []
    for kind, path, rows in (
        ("cluster", "near_duplicate__cluster", _images(project).filter(near_duplicate__isnull=False)),
        ("sequence", "sequence_id", _images(project).filter(sequence__isnull=False)),
    ):
        split = rows.exclude(part="").order_by().values(path).annotate(parts=Count("part", distinct=True))
        for value in split.filter(parts__gt=1).order_by(path).values_list(path, flat=True)[:SHOWN_LEAKS]:
            here = rows.exclude(part="").filter(**{path: value}).order_by()
            parts = dict(here.values_list("part").annotate(n=Count("pk")))
            some = list(here.order_by("pk").values_list("pk", flat=True)[:4])
            found.append({"kind": kind, "id": value, "between": "imported parts", "parts": parts, "some": some})
    return found
