"""Near-duplicates: which pictures are some, how their clusters are called, and that names stay."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageEnhance
from pytest_django import Settings

from bench.creatures import creature
from bench.duplicates import EDITS, MIDDLE, SCENES, mirrored, taken
from classifier.fingerprint import hash_of, perceptual_hash
from classifier.images import decode
from classifier.thumbnails import encode, small_copy
from tests.pictures import encoded
from tests.reviews.sets import add_images, around, make_project
from webapp.images import store
from webapp.images.models import Image
from webapp.reviews import greys, vectors
from webapp.reviews.duplicates import find_clusters
from webapp.reviews.models import NearDuplicate
from webapp.reviews.numeric import windows
from webapp.reviews.numeric.hashes import close_pairs
from webapp.reviews.numeric.joining import Clusters

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, settings: Settings) -> None:
    settings.DATA_DIR = tmp_path
    settings.DERIVED_DIR = tmp_path / "derived"


def flipped(value: int, bits: int, *, seed: int = 0) -> int:
    """The hash with so many bits turned over, as a column holds it."""
    unsigned = value & (2**64 - 1)
    for bit in np.random.default_rng(seed).choice(64, bits, replace=False).tolist():
        unsigned ^= 1 << bit
    return unsigned - 2**64 if unsigned >= 2**63 else unsigned


def clusters() -> dict[int, int]:
    return dict(NearDuplicate.objects.values_list("image_id", "cluster"))


def test_every_pair_within_reach_is_found_and_none_beyond_it() -> None:
    random = np.random.default_rng(3)
    hashes = random.integers(-(2**63), 2**63 - 1, 2000)
    for number in range(600):
        hashes[1000 + number] = flipped(int(hashes[number]), number % 12, seed=number)
    apart = np.bitwise_count((hashes[:, None] ^ hashes[None, :]).view(np.uint64))
    left, right = np.nonzero(np.triu(apart <= 7, 1))
    assert set(map(tuple, close_pairs(hashes).tolist())) == set(zip(left.tolist(), right.tolist(), strict=True))


def test_a_thousand_equal_hashes_are_two_pairs_each_and_not_half_a_million() -> None:
    assert len(close_pairs(np.full(1000, 12345))) == 999 + 998


def test_edits_of_a_picture_are_near_duplicates_of_it_and_other_pictures_are_not() -> None:
    project = make_project()
    hashes = []
    for seed in range(8):
        picture = creature(seed % 3, seed)
        for edited in (picture, picture.resize((128, 128)), ImageEnhance.Brightness(picture).enhance(0.8)):
            file = io.BytesIO()
            edited.save(file, "JPEG", quality=60)
            hashes.append(perceptual_hash(decode(file.getvalue(), at_least=0)))
    ids = add_images(project, [""] * len(hashes), hashes=hashes)
    found = find_clusters(project)
    assert (found.clusters, found.images) == (8, 24)
    assert clusters() == {image_id: ids[3 * (place // 3)] for place, image_id in enumerate(ids)}


@pytest.mark.long
def test_crops_and_mirrored_copies_are_found_and_scenes_in_which_the_animal_moved_are_not() -> None:
    project = make_project()
    edits = (lambda one: one, MIDDLE, mirrored, lambda one: MIDDLE(mirrored(one)), EDITS["foot of 12 % cut off"])
    shown = [edit(taken(scene, scene, scene)) for scene in range(6) for edit in edits]
    shown += [draw(scene) for scene in range(6) for draw in SCENES.values()]
    smalls = [small_copy(decode(encoded(picture, "JPEG", quality=85), at_least=0)) for picture in shown]
    ids = add_images(project, [""] * len(shown), hashes=[hash_of(small) for small in smalls])
    digests = dict(Image.objects.filter(pk__in=ids).values_list("pk", "file__sha256"))
    for image_id, small in zip(ids, smalls, strict=True):
        store.write_derived(digests[image_id], "256.jpg", encode(small))
    find_clusters(project)
    assert clusters() == {image_id: ids[5 * (place // 5)] for place, image_id in enumerate(ids[:30])}


def test_grey_copies_are_read_once_and_those_without_a_thumbnail_later(tmp_path: Path) -> None:
    project = make_project()
    ids = add_images(project, [""] * 3)
    digests = dict(Image.objects.values_list("pk", "file__sha256"))
    for image_id in ids[:2]:
        store.write_derived(digests[image_id], "256.jpg", encoded(taken(1, 1, image_id), "JPEG"))
    first = greys.load(project)
    assert first.ids.tolist() == ids[:2]
    store.derived_path(digests[ids[0]], "256.jpg").unlink()
    store.write_derived(digests[ids[2]], "256.jpg", encoded(taken(1, 1, 9), "JPEG"))
    with next(tmp_path.rglob("*.u8")).open("ab") as file:
        file.write(b"half a picture")  # as a process that was killed leaves it
    again = greys.load(project)
    assert again.ids.tolist() == ids
    np.testing.assert_array_equal(again.matrix[:2], first.matrix)


def test_featureless_pictures_are_no_near_duplicates_of_each_other() -> None:
    project = make_project()
    ids = add_images(project, [""] * 4, hashes=[0, 0, 77, 77])
    Image.objects.filter(pk__in=ids[2:]).update(contrast=0.01)
    assert find_clusters(project).clusters == 0


def test_embeddings_can_contradict_a_hash_and_can_join_what_the_hash_only_hints_at() -> None:
    project = make_project()
    base = 0x1234_5678_9ABC_DEF0
    hashes = [base, flipped(base, 5), 2**50 + 1, flipped(2**50 + 1, 16), -(2**60), flipped(-(2**60), 16, seed=2)]
    same = around(3, 1)[0]
    near = np.stack([*around(1, 1), *around(2, 1), same, same + 0.01 * around(9, 1)[0], *around(4, 1), *around(5, 1)])
    ids = add_images(project, [""] * 6, hashes=hashes, vectors=near)
    add_images(project, [""] * 60, vectors=np.concatenate([around(n, 1) for n in range(20, 80)]))
    assert find_clusters(project).clusters == 1
    assert clusters() == {ids[2]: ids[2], ids[3]: ids[2]}


def test_a_network_that_draws_a_label_together_does_not_make_it_one_cluster() -> None:
    project = make_project()
    alike = around(1, 300, spread=0.004)
    add_images(project, ["Cod"] * 300, vectors=alike)
    assert find_clusters(project).clusters == 0


def test_new_pictures_that_join_two_clusters_take_the_smaller_name_and_names_outlive_their_image() -> None:
    project = make_project()
    first, second = 0x0F0F_3333_5555_1111, flipped(0x0F0F_3333_5555_1111, 13, seed=1)
    ids = add_images(project, [""] * 4, hashes=[first, flipped(first, 1), second, flipped(second, 1, seed=9)])
    find_clusters(project)
    assert clusters() == {ids[0]: ids[0], ids[1]: ids[0], ids[2]: ids[2], ids[3]: ids[2]}
    Image.objects.filter(pk=ids[0]).update(withdrawn_at="2026-01-01T00:00Z")
    differing = [bit for bit in range(64) if ((first ^ second) >> bit) & 1]
    middle = (first & (2**64 - 1)) ^ sum(1 << bit for bit in differing[:6])
    add_images(project, [""], hashes=[middle - 2**64 if middle >= 2**63 else middle])
    assert find_clusters(project).clusters == 1
    assert set(clusters().values()) == {ids[0]}
    assert find_clusters(project).changed == 0


def test_with_a_moment_only_what_was_measured_since_is_compared() -> None:
    project = make_project()
    add_images(project, [""] * 2, hashes=[5555, flipped(5555, 2)])
    since = Image.objects.latest("measured_at").measured_at
    Image.objects.update(measured_at="2020-01-01T00:00Z")
    assert find_clusters(project, since=since).clusters == 0
    add_images(project, [""], hashes=[flipped(5555, 4, seed=5)])
    assert find_clusters(project, since=since).images >= 2


def test_the_smallest_name_ever_wins_whatever_the_order() -> None:
    forest = Clusters({7: 5, 9: 5, 20: 11})
    forest.join_all([(9, 20), (3, 30)])
    assert forest.names() == {5: 5, 7: 5, 9: 5, 11: 5, 20: 5, 3: 3, 30: 3}


def test_vectors_are_kept_beside_the_database_and_only_new_ones_are_read(own_cache: None, tmp_path: Path) -> None:
    project = make_project()
    ids = add_images(project, [""] * 5, vectors=around(1, 5))
    loaded = vectors.load(project)
    assert loaded is not None and loaded.ids.tolist() == ids
    more = add_images(project, [""] * 3, vectors=around(2, 3))
    again = vectors.load(project)
    assert again is not None and again.ids.tolist() == [*ids, *more]
    assert again.find(np.array([more[1], 10**9])).tolist() == [6, -1]
    np.testing.assert_array_equal(again.matrix[:5], loaded.matrix[:5])
    before = again.matrix.copy()
    (next(tmp_path.rglob("vectors.f16"))).write_bytes(b"cut off")
    mended = vectors.load(project)
    assert mended is not None and len(mended.ids) == 8
    np.testing.assert_array_equal(mended.matrix, before)


def test_copies_sent_again_and_again_are_looked_at_once_each_and_then_never(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def counting(pixels: NDArray[np.uint8], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        looked.append(len(pairs))
        return agree(pixels, pairs)

    agree = windows.agree
    monkeypatch.setattr(windows, "agree", counting)
    project = make_project()
    small = small_copy(decode(encoded(taken(1, 1, 1), "JPEG"), at_least=0))
    ids = add_images(project, [""] * 90, hashes=[hash_of(small)] * 90, vectors=around(1, 90, spread=0.001))
    for digest in Image.objects.filter(pk__in=ids).values_list("file__sha256", flat=True):
        store.write_derived(digest, "256.jpg", encode(small))
    assert (find_clusters(project).images, sum(looked)) == (90, 89)
    looked.clear()
    assert (find_clusters(project).images, sum(looked)) == (90, 0)
