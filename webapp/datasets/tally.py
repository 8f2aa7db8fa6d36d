"""Counts a manifest while it is written: parts by label, how labels came about, what was left out and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from training.contract import LEFT_OUT, ManifestLine


class Tally:
    """Sees the lines one by one."""

    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()
        self.labels: dict[str, Counter[str]] = defaultdict(Counter)
        self.individuals: dict[str, Counter[str]] = defaultdict(Counter)
        self.how: dict[str, Counter[str]] = defaultdict(Counter)
        self.trusted: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.roles: Counter[str] = Counter()
        self.folds: Counter[int] = Counter()
        self.cannot_tell: Counter[str] = Counter()
        self.negatives: Counter[str] = Counter()
        self._groups: dict[str, set[str]] = defaultdict(set)
        self.images = 0

    def add(self, line: ManifestLine) -> None:
        self.images += 1
        if line.cannot_tell:
            self.cannot_tell["used" if line.is_used else "out"] += 1
        if line.part == LEFT_OUT:
            self.left_out[line.left_out] += 1
            return
        self.parts[line.part] += 1
        self.labels[line.label or ""][line.part] += 1
        self.how[line.part][line.how] += 1
        self.trusted[line.part] += line.trusted
        self._groups[line.part].add(line.group)
        if line.label is None:
            self.negatives[line.part] += 1
        if line.individual:
            self.individuals[line.individual][line.part] += 1
        if line.role:
            self.roles[line.role] += 1
        if line.fold is not None:
            self.folds[line.fold] += 1

    def counts(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "used": sum(self.parts.values()),
            "parts": dict(self.parts),
            "groups": {part: len(names) for part, names in self._groups.items()},
            "labels": {key: dict(by_part) for key, by_part in sorted(self.labels.items())},
            "individuals": len(self.individuals),
            "how": {part: dict(some) for part, some in self.how.items()},
            "trusted": dict(self.trusted),
            "left_out": dict(self.left_out.most_common()),
            "roles": dict(self.roles),
            "folds": [self.folds[number] for number in sorted(self.folds)],
            "cannot_tell": {"used": self.cannot_tell["used"], "out": self.cannot_tell["out"]},
            "negatives": dict(self.negatives),
        }
