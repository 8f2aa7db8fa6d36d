"""One row a picture in a file that grows: where the row of each picture is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stored:
    """`ids` is sorted; row `rows[n]` of `matrix` belongs to `ids[n]`."""

    ids: Ints
    rows: Ints
    matrix: NDArray[Any]

    def find(self, image_ids: Ints) -> Ints:
        """The row of each image, -1 where it has none."""
        if not len(self.ids):
            return np.full(len(image_ids), -1, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.ids, image_ids), len(self.ids) - 1)
        return np.where(self.ids[place] == image_ids, self.rows[place], -1)
