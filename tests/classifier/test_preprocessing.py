"""A network sees the right part of a picture at the right size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifier.card import Card, read_card
from classifier.crops import as_box, to_picture, with_margin
from classifier.preprocessing import cut, decode_side, to_input, window
from classifier.types import Box, Decoded


@pytest.fixture
def card(colour_folder: Path) -> Card:
    return replace(read_card(colour_folder), input_size=(40, 40))


def halves(width: int, height: int) -> np.ndarray:
    """Left half black, right half white."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, width // 2 :] = 255
    return pixels


def test_the_middle_of_a_wide_picture_is_seen(card: Card) -> None:
    seen = window(card, 200, 100)
    assert (seen.left, seen.top, seen.width, seen.height) == (50, 0, 100, 100)


def test_a_smaller_share_is_seen_with_a_crop_percentage(card: Card) -> None:
    seen = window(replace(card, crop_pct=0.5), 100, 100)
    assert (seen.left, seen.top, seen.width, seen.height) == (25, 25, 50, 50)


def test_squashing_sees_all_of_it(card: Card) -> None:
    squashed = to_input(replace(card, crop_mode="squash"), halves(200, 50))
    assert squashed.shape == (40, 40, 3)
    assert squashed[:, :18].max() < 10 < 245 < squashed[:, 22:].min()


def test_a_border_keeps_the_shape_and_fills_with_the_mean(card: Card) -> None:
    bordered = to_input(replace(card, crop_mode="border", mean=(0.5, 0.5, 0.5)), halves(200, 100))
    assert np.unique(bordered[:9]).tolist() == [128]
    assert bordered[20, 5].tolist() == [0, 0, 0] and bordered[20, 35].tolist() == [255, 255, 255]


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (39, 41), (3000, 20)])
def test_any_shape_becomes_the_input(card: Card, size: tuple[int, int]) -> None:
    height, width = size
    for mode in ("center", "squash", "border"):
        made = to_input(replace(card, crop_mode=mode), np.full((height, width, 3), 77, np.uint8))
        assert made.shape == (40, 40, 3) and made.dtype == np.uint8


def test_it_agrees_with_resizing_first_and_cropping_after(card: Card) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((240, 240), Image.Resampling.BICUBIC))
    card = replace(card, crop_pct=0.8, interpolation="bicubic")
    usual = Image.fromarray(pixels).resize((50, 50), Image.Resampling.BICUBIC).crop((5, 5, 45, 45))
    assert np.abs(to_input(card, pixels).astype(int) - np.asarray(usual).astype(int)).max() <= 1


def test_pictures_are_decoded_twice_as_large_as_the_input_and_large_enough_for_a_thumbnail(card: Card) -> None:
    assert decode_side(card) == 256
    assert decode_side(replace(card, input_size=(300, 200))) == 600


def test_a_crop_of_nothing_is_still_a_pixel() -> None:
    decoded = Decoded(halves(10, 10), 10, 10)
    assert cut(decoded, Box(1.0, 1.0, 0.0, 0.0)).shape == (1, 1, 3)
    assert cut(decoded, Box(0.5, 0.0, 0.5, 1.0)).min() == 255


def test_a_margin_stays_inside_the_picture() -> None:
    assert with_margin(Box(0.0, 0.4, 0.2, 0.2), 0.5) == Box(
        0.0, pytest.approx(0.3), pytest.approx(0.3), pytest.approx(0.4)
    )


def test_boxes_come_back_from_a_bordered_input_to_the_picture(card: Card) -> None:
    view = window(replace(card, crop_mode="border"), 200, 100)
    corners = to_picture(np.array([[0.0, 10.0, 20.0, 30.0]]), view, width=200, height=100)
    assert as_box(corners[0]) == Box(0.0, 0.0, 0.5, 1.0)
