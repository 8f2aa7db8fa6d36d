"""Steps of augmentation: boxes move with the pixels, the same seed gives the same pixels, unknown words say so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from bench.creatures import creature
from classifier.types import Box
from tests.docs import reading
from training.augmentation.augment import planned, settled, steps_of
from training.augmentation.geometry import Banner, Crop, Erase, Flip, FlipVertical
from training.augmentation.picture import AugmentationError, Boxed, Picture, Step, vary
from training.augmentation.presets import PRESETS, Plan, plan_of, plan_text, preset
from training.augmentation.steps import STEPS, OneOf, Together, changed, explained, settings_of, step_of
from training.contract import ConfigError, RunConfig, parse_config

RED = (250, 20, 20)
MIDDLE = Box(0.35, 0.4, 0.2, 0.3)
GEOMETRY = ["crop", "flip", "flip-vertical", "quarter-turns", "rotate", "affine", "perspective"]
PLAIN = [name for name, step in STEPS.items() if not issubclass(step, OneOf | Together)]


def always(name: str, **settings: object) -> Step:
    """A step that acts every time."""
    return step_of({name: {"share": 1, **settings}}, "test")


def marked(box: Box = MIDDLE) -> Picture:
    """A dark picture with a red rectangle, and the box around it."""
    width, height = 320, 240
    pixels = np.full((height, width, 3), 30, np.uint8)
    left, top = round(box.x * width), round(box.y * height)
    pixels[top : top + round(box.height * height), left : left + round(box.width * width)] = RED
    return Picture(pixels, (Boxed(box, 7),))


def red_box(pixels: np.ndarray) -> tuple[float, float, float, float]:
    """Where the red is, as shares."""
    red = (pixels[:, :, 0] > 140) & (pixels[:, :, 1] < 90)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    height, width = red.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height


def corners(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.x + box.width, box.y + box.height


@pytest.mark.parametrize("name", GEOMETRY)
def test_a_box_lies_where_its_pixels_went(name: str) -> None:
    made = [always(name)(marked(), np.random.default_rng(seed)) for seed in range(12)]
    whole = [picture for picture in made if picture.boxes and picture.boxes[0].left > 0.999]
    assert len(whole) >= 4
    for picture in whole:
        assert corners(picture.boxes[0].box) == pytest.approx(red_box(picture.pixels), abs=0.012)
        assert picture.boxes[0].number == 7


@pytest.mark.parametrize("name", ["rotate", "affine", "perspective"])
def test_corners_that_open_are_filled_as_asked(name: str) -> None:
    strong = {"rotate": {"degrees": 90}, "affine": {"zoom": [0.5, 0.6]}, "perspective": {"strength": 0.8}}[name]
    grey = Picture(np.full((90, 120, 3), 77, np.uint8))
    inside = {77}
    for fill, expected in (("black", {0}), ("grey", {128}), ("mean", set())):
        found = set(always(name, fill=fill, **strong)(grey, np.random.default_rng(5)).pixels.ravel().tolist())
        assert {0, 128} & found == expected
        assert inside <= found
    assert len(np.unique(always(name, fill="noise", **strong)(grey, np.random.default_rng(5)).pixels)) > 200


@pytest.mark.parametrize("size", [None, (96, 128)])
def test_a_crop_cuts_boxes_and_knows_what_is_left(size: tuple[int, int] | None) -> None:
    crop = replace(Crop(least=0.2, most=0.4), size=size)
    shares = []
    for seed in range(60):
        picture = crop(marked(), np.random.default_rng(seed))
        assert size is None or picture.pixels.shape[:2] == size
        for boxed in picture.boxes:
            if boxed.left > 0.1:  # of less, the edge of a small picture shows hardly any red
                assert corners(boxed.box) == pytest.approx(red_box(picture.pixels), abs=0.03)
            assert min(boxed.box.x, boxed.box.y) >= 0
            assert max(corners(boxed.box)) <= 1 + 1e-9
            shares.append(boxed.left)
    assert 0 < min(shares) < 0.5 < max(shares) == pytest.approx(1)


def test_a_box_of_which_too_little_is_left_is_dropped() -> None:
    half_out = Picture(np.zeros((100, 100, 3), np.uint8), (Boxed(Box(0.0, 0.0, 0.5, 1.0)),))

    class RightPart(Crop):
        def _window(self, width: int, height: int, random: np.random.Generator) -> tuple[float, float, float, float]:
            return 40, 0, 60, 100

    kept = vary(half_out, [RightPart()], np.random.default_rng(0), least_box=0.19).picture.boxes
    assert kept[0].left == pytest.approx(0.2)
    assert kept[0].box == Box(0, 0, pytest.approx(1 / 6), 1)
    assert vary(half_out, [RightPart()], np.random.default_rng(0), least_box=0.21).picture.boxes == ()


def test_what_is_covered_is_not_left() -> None:
    picture = Picture(np.full((100, 100, 3), 9, np.uint8), (Boxed(Box(0, 0.9, 1, 0.1)), Boxed(Box(0, 0, 1, 0.5), 1)))
    below, above = Banner(share=1, height=(0.05, 0.05), top=0)(picture, np.random.default_rng(0)).boxes
    assert (below.left, above.left) == (pytest.approx(0.5), 1)
    erased = Erase(share=1, area=(0.25, 0.25), shape=(1, 1))(marked(Box(0, 0, 1, 1)), np.random.default_rng(0))
    assert erased.boxes[0].left == pytest.approx(0.75, abs=0.01)
    assert erased.boxes[0].box == Box(0, 0, 1, 1)


def test_flipping_twice_gives_the_picture_back() -> None:
    for flip in (Flip(share=1), FlipVertical(share=1)):
        random = np.random.default_rng(0)
        back = flip(flip(marked(), random), random)
        assert np.array_equal(back.pixels, marked().pixels)
        assert corners(back.boxes[0].box) == pytest.approx(corners(marked().boxes[0].box))


@pytest.mark.parametrize("name", PLAIN)
def test_a_step_changes_pixels_and_not_the_picture_it_was_handed(name: str) -> None:
    pixels = np.asarray(creature(1, 5, side=96))
    before = pixels.copy()
    made = always(name)(Picture(pixels, (Boxed(Box(0.2, 0.2, 0.5, 0.5)),)), np.random.default_rng(3))
    assert np.array_equal(pixels, before)
    assert made.pixels.dtype == np.uint8
    assert made.pixels.ndim == 3 and made.pixels.shape[2] == 3
    assert made.pixels.shape != before.shape or not np.array_equal(made.pixels, before)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (37, 3)])
@pytest.mark.parametrize("name", PLAIN)
def test_a_step_takes_pictures_of_hardly_any_size(name: str, shape: tuple[int, int]) -> None:
    made = always(name)(Picture(np.full((*shape, 3), 200, np.uint8)), np.random.default_rng(1))
    assert min(made.pixels.shape[:2]) >= 1


@pytest.mark.parametrize("name", PLAIN)
def test_a_share_of_nought_never_acts_and_draws_no_more(name: str) -> None:
    picture, random = marked(), np.random.default_rng(0)
    assert always(name, share=0)(picture, random) is picture
    assert random.random() == np.random.default_rng(0).random(2)[1]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_gives_the_same_pixels_for_the_same_seed_in_any_thread(name: str) -> None:
    picture = Picture(np.asarray(creature(2, 1, side=120)), (Boxed(Box(0.3, 0.3, 0.4, 0.4)),))
    steps = preset(name).sized((64, 64))

    def made(seed: int) -> bytes:
        varied = vary(picture, steps, np.random.default_rng(seed), least_box=0.3)
        return varied.picture.pixels.tobytes() + repr((varied.picture.boxes, varied.acted)).encode()

    alone = [made(seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(made, range(16))) == alone
    assert len(set(alone)) == 16


def test_flips_that_are_wrong_for_the_subject_are_off() -> None:
    assert {name for name in PRESETS if "flip-vertical" in preset(name).names} == {"deck"}
    assert {name for name in PRESETS if "flip" not in preset(name).names} == {"fluke"}
    assert "quarter-turns" not in {one for name in PRESETS if name != "deck" for one in preset(name).names}


def test_night_pictures_are_grey_together_with_dark_and_grain() -> None:
    night = next(step for step in preset("camera-trap").steps if step.name == "infrared")
    made = replace(night, share=1.0)(Picture(np.asarray(creature(1, 1, side=80))), np.random.default_rng(4)).pixels
    assert np.array_equal(made[:, :, 0], made[:, :, 2])


def test_water_takes_red_first() -> None:
    white = Picture(np.full((20, 20, 3), 255, np.uint8))
    red, _, blue = always("water", kind="blue", depth=[1, 1])(white, np.random.default_rng(0)).pixels[0, 0]
    assert red < 80 < 150 < blue


@pytest.mark.parametrize("name", PRESETS)
def test_a_plan_written_out_and_read_again_is_the_same(name: str) -> None:
    assert plan_of(plan_text(preset(name))) == preset(name)


def test_a_file_changes_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(
        "preset: standard\nwithout: [flip, erase]\nchange: {colour: {hue: 0}}\nadd:\n  - water: {share: 0.2}\n"
        "least_box: 0.5\nweight: 0.25\n"
    )
    plan = plan_of(str(file))
    assert plan.names == ("crop", "rotate", "colour", "grey", "blur", "water")
    assert (plan.least_box, plan.weight) == (0.5, 0.25)
    colour = plan.steps[2]
    assert (colour.hue, colour.contrast) == (0.0, 0.25)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("standrad", "Did you mean standard? Presets: light, standard, strong"),
        ("- flup", "there is no step 'flup'. Did you mean flip? Steps: crop, flip"),
        ("- flip: {shar: 1}", "flip has no setting 'shar'. Did you mean share? It has: share"),
        ("- flip: {share: 2}", "flip.share is 2; it lies from 0 to 1"),
        ("- flip: {share: often}", "flip.share is 'often'; a number is expected"),
        ("- posterise: {bits: 2.5}", "posterise.bits is 2.5; a whole number is expected"),
        ("- blur: {radius: 0.1}", "two numbers are expected"),
        ("- blur: {radius: [0.1, 0.01]}", "the smaller one comes first"),
        ("- rotate: {fill: white}", "it is one of mean, black, grey, noise"),
        ("- noise: {grey: 1}", "true or false is expected"),
        ("- crop: {size: [1, 1]}", "crop has no setting 'size'"),
        ("- crop: {least: 0.9, most: 0.5}", "at least 0.9 and at most 0.5"),
        ("- one-of: {many: 2}", "one-of needs `steps`"),
        ("- one-of: {steps: [flup]}", "in one-of: there is no step 'flup'"),
        ("- {flip: 3}", "followed by its settings"),
        ("preset: light\nsteps: [flip]", "one of the two"),
        ("preset: lite", "there is no preset 'lite'. Presets: light"),
        ("preset: light\nwithout: [blur]", "there is no step 'blur' to leave out; there are: crop, flip"),
        ("preset: light\nchange: {blur: {share: 1}}", "there is no step 'blur' to change; there are: crop, flip"),
        ("pre: light", "there is no key 'pre'. Known: preset (the preset to begin with); steps"),
        ("preset: light\nleast_box: 3", "least_box is a share"),
        ("preset: light\nweight: half", "weight is shared, full, or a number"),
        ("a: [", "cannot be read as YAML"),
        ("nowhere.yaml", "nowhere.yaml cannot be read"),
    ],
)
def test_what_cannot_be_used_says_what_there_is(text: str, words: str) -> None:
    with pytest.raises(AugmentationError) as error:
        plan_of(text)
    assert words in str(error.value)


def test_every_step_and_setting_is_explained() -> None:
    words = explained()
    for name, step in STEPS.items():
        assert f"{name}: " in words
        assert len((step.__doc__ or "").split()) > 2
        assert all(len(one.metadata["meaning"]) > 10 for one in fields(step) if one.metadata)
        assert set(settings_of(step)) == {one.name for one in fields(step)} - {"size"}


def test_the_page_tells_every_preset_step_and_setting() -> None:
    page = reading.DOCS / "augmentation.md"
    told = {name.strip("`"): (about, more) for name, about, more in reading.rows(reading.sections(page)["Steps"])}
    assert list(told) == list(STEPS)
    for name, step in STEPS.items():
        assert told[name][0] == " ".join((step.__doc__ or "").split())
        assert all(f"`{setting}` " in told[name][1] for setting in settings_of(step))
    presets = {name.strip("`"): steps for name, _, steps in reading.rows(reading.sections(page)["Presets"])}
    assert presets == {name: ", ".join(preset(name).names) for name in PRESETS}
    examples = reading.blocks(reading.text(page), "yaml")
    assert [len(plan_of(example).steps) for example in examples] == [10, 3]


def test_changing_checks_only_what_is_said() -> None:
    assert changed(Crop(), {"least": 0.5}, "test") == Crop(least=0.5)


# ---- what a run's config asks for ------------------------------------------------------------------------------------


def config(**settings: object) -> RunConfig:
    return parse_config({"start": "nothing", "architecture": "resnet18", **settings})


def test_a_config_without_steps_crops_and_mirrors_as_it_says() -> None:
    crop, flip = steps_of(config(crop_least=0.6, flip=0.1), (32, 48))
    assert crop == Crop(least=0.6, size=(32, 48))
    assert flip == Flip(share=0.1)
    assert steps_of(config(augment=False, augmentation="strong"), (32, 48)) == ()


def test_training_pictures_come_out_of_a_crop_at_the_size_the_network_reads() -> None:
    for name in set(PRESETS) - {"fluke"}:
        varied = vary(marked(), steps_of(config(augmentation=name), (64, 64)), np.random.default_rng(0), least_box=0.3)
        assert varied.picture.pixels.shape == (64, 64, 3)


def test_a_settled_config_no_longer_needs_its_file(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text("preset: light\nwithout: [flip]\n")
    found = settled(config(augmentation=str(file)))
    file.unlink()
    assert yaml.safe_load(yaml.safe_dump({"augmentation": found.augmentation}))["augmentation"] == found.augmentation
    assert planned(found) == Plan((Crop(least=0.35),))
    assert settled(config(augmentation="strong")).augmentation == "strong"


def test_a_run_with_an_unknown_preset_is_a_fault_of_its_config() -> None:
    with pytest.raises(ConfigError, match="there is no augmentation 'srong'"):
        steps_of(config(augmentation="srong"), (32, 32))
