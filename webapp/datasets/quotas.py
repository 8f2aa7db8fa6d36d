"""How many images of each class go to each part, so that classes keep their shares and the totals are exact."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping

from training.contract import TEST, TRAIN, VALIDATION

Table = dict[str, dict[str, float]]
ROUNDS = 30
TINY = 1e-9
RARE_MAY_TAKE = 0.5
"""Of what a part takes, classes too rare for their own share take at most this."""


def largest_remainder(ideal: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers that add up to `total`, as near to `ideal` as can be; ties go to the first name."""
    found = {name: math.floor(value + TINY) for name, value in ideal.items()}
    missing = total - sum(found.values())
    rest = sorted(ideal, key=lambda name: (found[name] - ideal[name], name))
    for place in range(missing):
        found[rest[place % len(rest)]] += 1
    return found


def quotas(
    counts: Mapping[str, int],
    testable: Mapping[str, int],
    room: Mapping[str, int],
    there: Mapping[str, Mapping[str, int]],
    shares: Mapping[str, float],
    groups: Mapping[str, int],
    *,
    each: bool,
) -> dict[str, dict[str, int]]:
    """Class -> part -> how many of its `counts` go there.

    `room` is what each part still takes, `there` what it has of each class, `testable` how many of a class may be
    tested on, `groups` how many groups the class has in all. `each`: rare classes come before exact totals.
    """
    totals = _totals(room, shares, sum(counts.values()), sum(testable.values()))
    ideal = _fitted(_ideal(counts, there, shares), counts, testable, totals)
    seats = _Seats(counts, testable, totals, there, ideal)
    for part in (TRAIN, TEST, VALIDATION):
        if part in totals:
            seats.give_rare(part, groups, each)
    return seats.finished(ideal)


def _totals(room: Mapping[str, int], shares: Mapping[str, float], total: int, testable: int) -> dict[str, int]:
    """What each part takes of `total`: its room, scaled where that does not add up; train takes what test may not."""
    weight = room if sum(room.values()) else shares
    scale = total / sum(weight.values())
    found = largest_remainder({part: value * scale for part, value in weight.items()}, total)
    beyond = max(0, found.get(TEST, 0) - testable)
    if beyond:
        found[TEST] -= beyond
        found[TRAIN] = found.get(TRAIN, 0) + beyond
    return found


def _ideal(counts: Mapping[str, int], there: Mapping[str, Mapping[str, int]], shares: Mapping[str, float]) -> Table:
    """What each class misses of its share in each part."""
    found: Table = {}
    for name, count in counts.items():
        whole = count + sum(there[name].values())
        found[name] = {part: max(share * whole - there[name][part], TINY) for part, share in shares.items()}
    return found


def _fitted(table: Table, counts: Mapping[str, int], testable: Mapping[str, int], totals: Mapping[str, int]) -> Table:
    """Scaled by turns until classes and parts add up to what they should."""
    for _ in range(ROUNDS):
        for part, total in totals.items():
            column = sum(row[part] for row in table.values())
            factor = total / column if column > TINY else 0.0
            for row in table.values():
                row[part] *= factor
        for name, row in table.items():
            if TEST in row:
                row[TEST] = min(row[TEST], float(testable[name]))
            others = sum(value for part, value in row.items() if part != TEST)
            rest = counts[name] - row.get(TEST, 0.0)
            if others > TINY:
                row.update({part: value * rest / others for part, value in row.items() if part != TEST})
            else:
                row[TRAIN] = rest
    return table


class _Seats:
    """Whole numbers below the ideal ones, and what is still to be given out by class and by part."""

    def __init__(
        self,
        counts: Mapping[str, int],
        testable: Mapping[str, int],
        totals: Mapping[str, int],
        there: Mapping[str, Mapping[str, int]],
        ideal: Table,
    ) -> None:
        self.testable, self.totals, self.there = testable, totals, there
        self.found = {
            name: {part: math.floor(value + TINY) for part, value in row.items()} for name, row in ideal.items()
        }
        self.rows = {name: counts[name] - sum(row.values()) for name, row in self.found.items()}
        self.columns = {part: totals[part] - sum(row[part] for row in self.found.values()) for part in totals}

    def has(self, name: str, part: str) -> bool:
        return bool(self.found[name][part] or self.there[name][part])

    def give_rare(self, part: str, groups: Mapping[str, int], each: bool) -> None:
        """One place in `part` for each class that has none there; where there is none left, a frequent class yields."""
        least = 1 if part == TRAIN else 2 if part == TEST and each else 3
        wanting = [name for name in self.found if not self.has(name, part) and groups[name] >= least]
        wanting = [name for name in wanting if part != TEST or self.testable[name]]
        budget = len(wanting) if each or part == TRAIN else int(RARE_MAY_TAKE * self.totals[part])
        for name in sorted(wanting, key=lambda name: (groups[name], name))[:budget]:
            self._seat(name, part)
        self._balance(part)

    def _seat(self, name: str, part: str) -> None:
        row = self.found[name]
        if self.rows[name] > 0:
            self.rows[name] -= 1
        else:
            giver = max(row, key=lambda other: (row[other] if other != part else -1, other))
            if row[giver] < (2 if giver == TRAIN and not self.there[name][TRAIN] else 1):
                return
            row[giver] -= 1
            self.columns[giver] += 1
        row[part] += 1
        self.columns[part] -= 1

    def _balance(self, part: str) -> None:
        """Take back from the most frequent classes what a part has beyond its total."""
        heap = [(-row[part], name) for name, row in self.found.items() if row[part] > 1]
        heapq.heapify(heap)
        while self.columns[part] < 0 and heap:
            count, name = heapq.heappop(heap)
            self.found[name][part] -= 1
            self.rows[name] += 1
            self.columns[part] += 1
            if -count - 1 > 1:
                heapq.heappush(heap, (count + 1, name))

    def finished(self, ideal: Table) -> dict[str, dict[str, int]]:
        """Everything given out: largest missing fractions first, then wherever there is room."""
        wanting = sorted(
            ((self.found[name][part] - row[part], name, part) for name, row in ideal.items() for part in row),
        )
        for strict in (True, False):
            for _, name, part in wanting:
                self._fill(name, part, most=1 if strict else self.rows[name])
        for name, left in self.rows.items():
            self.found[name][TRAIN] = self.found[name].get(TRAIN, 0) + left
        return self.found

    def _fill(self, name: str, part: str, most: int) -> None:
        take = min(most, self.rows[name], self.columns[part])
        if part == TEST:
            take = min(take, self.testable[name] - self.found[name][TEST])
        if take > 0:
            self.found[name][part] += take
            self.rows[name] -= take
            self.columns[part] -= take
