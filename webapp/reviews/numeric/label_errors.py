"""Which labels are probably wrong: probabilities from models that did not see the image, then cleanlab's judgement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

FOLDS = 5
FEWEST_GROUPS = 3
"""A label in fewer groups than this has too little elsewhere to be compared with."""
LONGEST_SHARE = 0.05
"""Where the models are often wrong themselves, no more than this share (or what cleanlab estimates) is worth a look."""
SMALL = 20_000
STEPS = 300


@dataclass(frozen=True)
class Judged:
    """`issue` are positions, the most suspect first; `quality` of every judged position (others NaN), 0: surely wrong.

    `proposed` is the label that the rest of the data would give, `sure` its probability.
    """

    issues: Ints
    quality: Floats
    proposed: Ints
    sure: Floats


def judge(vectors: Floats, labels: Ints, groups: Ints, *, seed: int = 0) -> Judged:
    """Judge the label of each vector by models trained on other groups. Labels are any whole numbers."""
    quality = np.full(len(labels), np.nan, dtype=np.float32)
    proposed, sure = labels.astype(np.int64).copy(), np.zeros(len(labels), dtype=np.float32)
    names, codes = np.unique(labels, return_inverse=True)
    enough = _groups_per_label(codes, groups, len(names)) >= FEWEST_GROUPS
    kept = np.flatnonzero(enough[codes])
    if int(enough.sum()) < 2:
        return Judged(np.empty(0, dtype=np.int64), quality, proposed, sure)
    classes, dense = np.unique(codes[kept], return_inverse=True)
    probabilities = out_of_fold(vectors[kept], dense, groups[kept], len(classes), seed=seed)

    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    scores = get_label_quality_scores(dense, probabilities, method="normalized_margin")
    noise = find_label_issues(dense, probabilities, filter_by="prune_by_noise_rate", n_jobs=1, min_examples_per_class=1)
    quality[kept] = scores
    best = probabilities.argmax(axis=1)
    proposed[kept], sure[kept] = names[classes[best]], probabilities.max(axis=1)
    wrong = np.flatnonzero(best != dense)
    wrong = wrong[np.argsort(scores[wrong], kind="stable")]
    most = max(int(noise.sum()), round(LONGEST_SHARE * len(kept)))
    return Judged(kept[wrong[:most]], quality, proposed, sure)


def _groups_per_label(codes: Ints, groups: Ints, labels: int) -> Ints:
    pairs = np.unique(np.stack([codes, groups], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=labels)


def out_of_fold(vectors: Floats, labels: Ints, groups: Ints, classes: int, *, seed: int = 0) -> NDArray[np.float64]:
    """For each row the probabilities of a model that saw no row of its group."""
    fold = folds_of(labels, groups, seed=seed)
    made = np.zeros((len(labels), classes))
    for number in range(FOLDS):
        inside, outside = fold == number, fold != number
        if inside.any():
            made[inside] = _predict(vectors[outside], labels[outside], vectors[inside], classes)
    return made


def folds_of(labels: Ints, groups: Ints, *, seed: int = 0) -> Ints:
    """Groups dealt out so that each label is spread: by their first label, the large first, one fold after another."""
    names, first, which, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    random = np.random.default_rng(seed).random(len(names))
    order = np.lexsort((random, -sizes, labels[first]))
    sorted_labels = labels[first][order]
    begins = np.flatnonzero(np.r_[True, sorted_labels[1:] != sorted_labels[:-1]])
    rank = np.arange(len(order)) - np.repeat(begins, np.diff(np.r_[begins, len(order)]))
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = (rank + sorted_labels) % FOLDS
    return fold[which]


def _predict(vectors: Floats, labels: Ints, asked: Floats, classes: int) -> NDArray[np.float64]:
    """Logistic regression on at most 20,000 rows, chosen evenly over the labels; labels it never saw get nothing."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    chosen = _evenly(labels, SMALL)
    centre = vectors[chosen].mean(axis=0)
    spread = vectors[chosen].std() or 1.0
    model = LogisticRegression(C=1.0, max_iter=STEPS, tol=1e-3)
    with threadpool_limits(1):  # small products: threads would wait for each other longer than they work
        model.fit((vectors[chosen] - centre) / spread, labels[chosen])
    made = np.zeros((len(asked), classes))
    for start in range(0, len(asked), 20_000):
        part = slice(start, start + 20_000)
        made[part, model.classes_] = model.predict_proba((asked[part] - centre) / spread)
    return made


def _evenly(labels: Ints, most: int) -> Ints:
    """Positions of at most `most` rows; rare labels keep all of theirs."""
    if len(labels) <= most:
        return np.arange(len(labels))
    order = np.lexsort((np.random.default_rng(0).random(len(labels)), labels))
    starts = np.flatnonzero(np.r_[True, labels[order][1:] != labels[order][:-1]])
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return np.sort(order[np.argsort(rank, kind="stable")[:most]])
