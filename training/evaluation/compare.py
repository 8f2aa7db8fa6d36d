"""Whether b is better than a, on the same frozen images that neither has seen.

The statistics are those of `training.evaluation.statistics`: groups are what is independent, not images. The command is
`training.evaluation.compare_command`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.contract import (
    FEWEST_GROUPS,
    TEST,
    Comparison,
    ManifestLine,
    Outcome,
    Paired,
    ParetoPoint,
    Report,
    ReportError,
    Scope,
    SettingChange,
    SideSummary,
    difference_words,
    digest_of,
    interval_words,
    is_share,
    pareto,
    read_manifest,
    read_outcomes,
    read_report,
    value_words,
)
from training.evaluation.changes import class_changes, galleries, matrix_change, scope_of, slice_changes
from training.evaluation.evaluate import outcomes_name, report_name
from training.evaluation.metrics import FIGURES, confusion
from training.evaluation.samples import trained_counts
from training.evaluation.seen import Seen, refuse_seen, seen_in
from training.evaluation.tables import Table, aligned, canonical, translated
from training.run_folder import RunFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray


class OtherImages(ReportError):
    """The two versions were not evaluated on the same images; the text offers what to do."""


@dataclass(frozen=True, slots=True)
class Side:
    """One version with what it said of a part. `seen` None: nobody knows what it was trained on.

    `trained_on` is the manifest of its own training, `model` its folder: what offers name. Seen images include those of
    the versions it began from.
    """

    report: Report
    outcomes: Sequence[Outcome]
    seen: Seen | None = None
    trained_on: Path | None = None
    model: str = "MODEL"

    @property
    def name(self) -> str:
        return self.report.name or self.report.version[:12]


def side_of(folder: Path, *, part: str = TEST, also_trained_on: Sequence[Path] = ()) -> Side:
    """From a run folder or a folder of `evaluate`; the manifest in it, if any, is what the version was trained on."""
    own = RunFolder(folder).manifest
    manifests = [*([own] if own.exists() else []), *also_trained_on]
    seen = Seen()
    for manifest in manifests:
        seen |= seen_in(manifest)
    return Side(
        report=read_report(folder / report_name(part)),
        outcomes=read_outcomes(folder / outcomes_name(part)),
        seen=seen if manifests else None,
        trained_on=manifests[0] if manifests else None,
        model=str(folder / "model"),
    )


def compare(
    *,
    a: Side,
    b: Side,
    manifest: Path,
    part: str = TEST,
    merges: Mapping[str, str] | None = None,
    decided_by: str = "accuracy",
    correction: str = "holm",
) -> Comparison:
    """b against a on a part of this manifest; SeenImages, OtherImages or ReportError when that would mean nothing."""
    if decided_by not in FIGURES:
        raise ReportError(f"{decided_by!r} cannot decide: it is one of {', '.join(FIGURES)}.")
    merges = merges or {}
    head, rows = read_manifest(manifest)
    lines, digest = list(rows), digest_of(manifest)
    for side, other in ((a, b), (b, a)):
        _refuse_other_part(side, digest, part, manifest)
        if side.seen is not None:
            offer, which = _offer(side, other, digest), "a" if side is a else "b"
            refuse_seen(side.name, side.seen, side.outcomes, lines, offer=offer, side=which)
    outcomes_a, outcomes_b, left = _common(a.outcomes, b.outcomes, merges)
    tables = aligned(outcomes_a, outcomes_b)
    by_image = {line.image: line for line in lines}
    notes = [_left_note(left)] if left else []
    notes += [_unknown_note(side) for side in (a, b) if side.seen is None]
    bare = _compared(
        _Pair(a, b, tables[0], tables[1], merges),
        [by_image[one.image] for one in outcomes_a],
        names={label.key: label.name for label in head.labels},
        trained_on=trained_counts(head, lines, merges),
        decided_by=decided_by,
        correction=correction,
    )
    return replace(bare, snapshot=digest, part=part, notes=tuple(notes))


def pairs(a: Side, b: Side, merges: Mapping[str, str] | None = None) -> tuple[tuple[str, ...], tuple[Paired, ...]]:
    """The labels, and what both said of each image they share, as places in them: for galleries."""
    outcomes_a, outcomes_b, _ = _common(a.outcomes, b.outcomes, merges or {})
    keys = sorted({key for side in (outcomes_a, outcomes_b) for one in side for key in (one.truth, one.answer)})
    at = {key: place for place, key in enumerate(keys)}
    return tuple(keys), tuple(
        (one.image, at[one.truth], at[one.answer], at[other.answer], round(one.score, 4), round(other.score, 4))
        for one, other in zip(outcomes_a, outcomes_b, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    a: Side
    b: Side
    table_a: Table
    table_b: Table
    merges: Mapping[str, str]

    def labels(self, side: Side) -> frozenset[str]:
        return frozenset(canonical(key, self.merges) for key in side.report.labels)


def _compared(
    pair: _Pair,
    lines: Sequence[ManifestLine],
    *,
    names: Mapping[str, str],
    trained_on: Mapping[str, int],
    decided_by: str,
    correction: str,
) -> Comparison:
    """All the arithmetic. `lines` are in the order of the tables."""
    a, b = pair.table_a, pair.table_b
    of_a, of_b = pair.labels(pair.a), pair.labels(pair.b)
    whole = scope_of(a, b, decided_by, trained_on)
    both = _known_to_both(a, of_a & of_b)
    fixed, broken, both_wrong = galleries(a, b)
    merged = {key: canonical(key, pair.merges) for side in (pair.a, pair.b) for key in side.report.labels}
    return Comparison(
        a=_summary(pair.a, a),
        b=_summary(pair.b, b),
        snapshot="",
        part="",
        sentence=sentence(whole, decided_by, pair.a.name, pair.b.name),
        decided_by=decided_by,
        metrics=whole.metrics,
        p=whole.metrics[decided_by].p,
        groups=whole.groups,
        images=whole.images,
        mcnemar_p=whole.mcnemar_p,
        verdict=whole.verdict,
        fixed=whole.fixed,
        broken=whole.broken,
        both_wrong=whole.both_wrong,
        both_right=whole.both_right,
        intersection=whole if both is None else scope_of(a.only(both), b.only(both), decided_by, trained_on),
        only_a_knows=tuple(sorted(of_a - of_b)),
        only_b_knows=tuple(sorted(of_b - of_a)),
        merged={key: now for key, now in merged.items() if key != now},
        classes=class_changes(a, b, names, of_a, of_b, correction),
        correction=correction,
        matrix=matrix_change(a, b),
        slices=slice_changes(a, b, lines, decided_by, correction),
        fixed_images=fixed,
        broken_images=broken,
        both_wrong_images=both_wrong,
        pareto=pareto([_point(pair.a.report), _point(pair.b.report)]),
        settings=_settings(pair.a.report, pair.b.report),
    )


# ---- refusals --------------------------------------------------------------------------------------------------------


def _refuse_other_part(side: Side, digest: str, part: str, manifest: Path) -> None:
    if side.report.snapshot == digest and side.report.part == part:
        return
    raise OtherImages(
        f"{side.name} was evaluated on the {side.report.part} part of the snapshot {side.report.snapshot[:12]}, not on "
        f"the {part} part of {digest[:12]}: figures on different images cannot be compared. Evaluate it there: "
        f"{_command(side.model, manifest, part)}"
    )


def _offer(seer: Side, other: Side, digest: str) -> str:
    """What to do when `seer` saw test images: test on the part that was set aside when it was trained."""
    if seer.trained_on is None or digest_of(seer.trained_on) == digest:
        return (
            "Freeze a new snapshot whose parent is the one it was trained on: what was trained on is never tested on. "
            "Then evaluate both versions there."
        )
    return (
        f"Evaluate {other.name}, the older version, on the newer test part, that of the snapshot {seer.name} was "
        f"trained on, and compare there: {_command(other.model, seer.trained_on, TEST)}"
    )


def _command(model: str, manifest: Path, part: str) -> str:
    return (
        f"python -m training evaluate {model} --manifest {manifest} --pictures PICTURES_JSON --part {part} --out FOLDER"
    )


def _common(
    a: Sequence[Outcome], b: Sequence[Outcome], merges: Mapping[str, str]
) -> tuple[list[Outcome], list[Outcome], int]:
    """Both sides' outcomes of the images they share, in one order, in today's labels; and how many are left out."""
    by_image = {one.image: one for one in b}
    if len(by_image) < len(b) or len({one.image for one in a}) < len(a):
        raise ReportError("An image has two outcomes: evaluate the versions again.")
    shared = [one for one in a if one.image in by_image]
    if not shared:
        raise OtherImages("The two versions share no image that both were evaluated on: evaluate them again.")
    pairs = [(translated(one, merges), translated(by_image[one.image], merges)) for one in shared]
    differ = next((first for first, second in pairs if first.truth != second.truth), None)
    if differ is not None:
        raise ReportError(f"The truth of image {differ.image} is not the same for both versions: evaluate them again.")
    return [one for one, _ in pairs], [one for _, one in pairs], len(a) + len(b) - 2 * len(shared)


def _known_to_both(table: Table, keys: frozenset[str]) -> NDArray[np.bool_] | None:
    """Rows whose label both versions know; None when these are all."""
    rows = np.array([key in keys for key in table.keys])[table.truth]
    return None if rows.all() else rows


# ---- words and small parts -------------------------------------------------------------------------------------------


def sentence(scope: Scope, name: str, a: str, b: str) -> str:
    """The headline."""
    found = scope.metrics[name]
    where = f"on {scope.images:,} images in {scope.groups:,} groups"
    figure = name.replace("_", " ")
    share = is_share(name)
    values = f"{figure} {value_words(found.b, share=share)} against {value_words(found.a, share=share)}"
    if found.interval is None:
        return (
            f"Too few groups: {values} {where}. Under {FEWEST_GROUPS} groups no interval can be given, "
            "so nothing is said of which is better."
        )
    difference, ends = difference_words(found.difference, share=share), interval_words(found.interval, share=share)
    spread = f"{difference}, 95 % interval {ends}"
    if found.verdict == "no evidence":
        if found.p is not None and (found.interval[0] > 0 or found.interval[1] < 0):
            spread += f", but p is {found.p:.2g}"
        return f"No evidence of a difference between {b} and {a}: {values} ({spread}) {where}."
    return f"{b} is {found.verdict} than {a}: {values} ({spread}) {where}."


def _left_note(left: int) -> str:
    return f"{left} outcomes of one version only were left out: their originals were missing for the other."


def _unknown_note(side: Side) -> str:
    return (
        f"What {side.name} was trained on is not recorded, so nobody can say whether it has seen these images: "
        "it may look better than it is."
    )


def _summary(side: Side, table: Table) -> SideSummary:
    report = side.report
    return SideSummary(
        version=report.version,
        name=side.name,
        architecture=report.architecture,
        labels=len(report.labels),
        ece=report.after.ece if report.after else None,
        bins=report.after.bins if report.after else (),
        reject_curve=report.reject_curve,
        confusion=confusion(table),
        milliseconds=report.speed.milliseconds_network if report.speed else 0.0,
        device=report.speed.device if report.speed else "",
        size_bytes=report.size_bytes,
        trained_on_known=side.seen is not None,
    )


def _point(report: Report) -> ParetoPoint:
    milliseconds = report.speed.milliseconds_network if report.speed else 0.0
    accuracy = report.metrics["accuracy"].value
    return ParetoPoint(report.version, report.name, accuracy, milliseconds, report.size_bytes, True)


def _settings(a: Report, b: Report) -> tuple[SettingChange, ...]:
    keys = sorted(a.configuration.keys() | b.configuration.keys())
    pairs = ((key, a.configuration.get(key), b.configuration.get(key)) for key in keys)
    return tuple(SettingChange(key, first, second) for key, first, second in pairs if first != second)
