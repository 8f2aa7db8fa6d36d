"""Small pictures: shown when they are there, made by a worker when they are not."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.utils import timezone
from PIL import Image as Picture

from tests import pictures
from tests.images.conftest import Inbox, Reef
from webapp import queue
from webapp.errors import NotFound
from webapp.images import derived
from webapp.images.models import Image
from webapp.images.previews import make_preview
from webapp.images.store import derived_path, open_original, write_derived
from webapp.predictions.accept import accept_image


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What io workers were asked for; no broker takes part."""
    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr(queue, "client", lambda: None)
    monkeypatch.setattr(queue, "send", lambda *what, **_: sent.append(what))
    return sent


@pytest.fixture
def keep(reef: Reef, inbox: Inbox) -> Callable[[bytes], Image]:
    def accept(content: bytes) -> Image:
        accepted = accept_image(
            actor=reef.rosa, project=reef.project, received=inbox.put(content), upload=reef.upload()
        )
        return Image.objects.select_related("file").get(pk=accepted.image_id)

    return accept


def measured(image: Image) -> Image:
    write_derived(image.file.sha256, "256.jpg", b"small")
    image.measured_at = timezone.now()
    image.save()
    return image


def test_before_the_first_decode_there_is_nothing_and_nobody_is_asked(
    keep: Callable[[bytes], Image], asked: list[tuple[object, ...]]
) -> None:
    image = keep(pictures.jpeg(64, 48))
    for side in derived.SIDES:
        assert derived.thumbnail(image=image, side=side) == derived.Derived(None, side, is_final=False)
    assert asked == []


def test_the_large_one_is_made_on_first_view_and_the_small_one_shown_meanwhile(
    keep: Callable[[bytes], Image], asked: list[tuple[object, ...]]
) -> None:
    image = measured(keep(pictures.jpeg(1600, 1200)))
    meanwhile = derived.thumbnail(image=image, side=1024)
    assert (meanwhile.side, meanwhile.is_final) == (256, False)
    assert asked == [(derived.TASK, image.file_id, 1024)]
    assert make_preview(image.file_id, 1024)
    shown = derived.thumbnail(image=image, side=1024)
    assert shown.is_final
    assert shown.path is not None
    assert Picture.open(shown.path).size == (1024, 768)
    assert len(asked) == 1


def test_a_small_one_that_was_lost_is_made_again(
    keep: Callable[[bytes], Image], asked: list[tuple[object, ...]]
) -> None:
    image = measured(keep(pictures.jpeg(400, 300)))
    derived_path(image.file.sha256, "256.jpg").unlink()
    assert derived.thumbnail(image=image, side=256).path is None
    make_preview(*asked[0][1:])  # type: ignore[arg-type]
    assert derived.thumbnail(image=image, side=256).is_final


def test_what_is_shown_carries_nothing_of_the_original_but_its_picture(keep: Callable[[bytes], Image]) -> None:
    exif = pictures.exif_block(make="Secret", gps=pictures.gps_at(1.5, 2.5))
    image = keep(pictures.jpeg(300, 200, exif=exif))
    make_preview(image.file_id, 256)
    content = derived_path(image.file.sha256, "256.jpg").read_bytes()
    assert b"Secret" not in content
    assert not Picture.open(io.BytesIO(content)).getexif()


def test_an_original_that_is_out_of_reach_gives_no_preview_and_no_error(keep: Callable[[bytes], Image]) -> None:
    image = keep(pictures.jpeg(600, 400))
    open_original(image.file).unlink()
    assert not make_preview(image.file_id, 1024)


def test_other_sides_do_not_exist(reef: Reef) -> None:
    with pytest.raises(NotFound, match="256 or 1024"):
        derived.thumbnail(image=reef.image("a"), side=4096)
