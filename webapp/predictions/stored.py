"""Embeddings that are stored already, for pipelines that differ from the one that made them in their last layer alone.

Imports numpy: for workers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from webapp.predictions.claim import Work
from webapp.predictions.models import Embedding

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Stored:
    """What a network saw in a whole picture, of length 1."""

    vector: NDArray[np.float16]


def stored_vectors(works: Sequence[Work], spaces: Mapping[int, str]) -> dict[int, Stored]:
    """By prediction, the vector it can be answered from; `spaces` by pipeline, empty where it needs the picture.

    An image that was not measured yet has to be decoded anyway; one that was cut into regions has no vector of its own.
    """
    wanted: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        if spaces[work.pipeline_id] and work.is_measured:
            wanted[spaces[work.pipeline_id]].append(work)
    found: dict[int, Stored] = {}
    for space, some in wanted.items():
        rows = Embedding.objects.filter(space=space, region=None, image_id__in=[work.image_id for work in some])
        vectors = {image: bytes(vector) for image, vector in rows.values_list("image_id", "vector")}
        for work in some:
            if work.image_id in vectors:
                found[work.prediction_id] = Stored(np.frombuffer(vectors[work.image_id], dtype="<f2"))
    return found
