"""Review as a ranger does it: by keys alone, through an outage, beside others, and back again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import cycle

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from tests.browser.conftest import Open, keep, sign_in
from tests.browser.savanna import Savanna, savanna
from tests.sites import Site

pytestmark = [pytest.mark.browser, pytest.mark.processes]
__all__ = ["savanna"]

# What is pressed, and the label that then stands; None: what the model suggested.
PLAN = (("Enter", None), ("2 Enter", "slot"), ("e", "empty"), ("/ pumba Enter", "warthog"), ("Enter", None))


@pytest.fixture
def sam(site: Site, chromium: Browser, savanna: Callable[..., Savanna]) -> Iterator[Callable[[], BrowserContext]]:
    """A second reviewer's browser."""
    opened: list[BrowserContext] = []

    def signed_in() -> BrowserContext:
        state = sign_in(site, chromium, "sam")
        context = chromium.new_context(base_url=site.url, viewport={"width": 1200, "height": 800}, storage_state=state)
        opened.append(context)
        return context

    yield signed_in
    for context in opened:
        context.close()


def unit_of(page: Page, besides: str = "") -> str:
    """The unit on the screen, once it is another than `besides`."""
    body = page.locator(f"#review-body:not([hidden])[data-unit]:not([data-unit='{besides}'])")
    expect(body).to_be_visible()
    return body.get_attribute("data-unit") or ""


def press(page: Page, keys: str) -> None:
    """Keys with blanks between; a word is typed."""
    for key in keys.split():
        if key.islower() and len(key) > 1:
            page.keyboard.type(key)
        else:
            page.keyboard.press(key)


def suggested(page: Page) -> str:
    return page.locator("#slots .slot").first.get_attribute("data-key") or ""


def all_saved(page: Page) -> None:
    expect(page.locator("#save-state .save-words")).to_have_text("saved", timeout=60_000)


def review_all(page: Page, sequences: int, events: dict[int, Callable[[], object]]) -> dict[str, str]:
    """Decide every sequence by keys; `events` happen before the one of that number. Unit -> the label meant."""
    meant: dict[str, str] = {}
    unit = ""
    for number, (keys, label) in zip(range(sequences), cycle(PLAN), strict=False):
        unit = unit_of(page, unit)
        events.get(number, lambda: None)()
        slots = page.locator("#slots .slot")
        second = slots.nth(1).get_attribute("data-key") or ""
        meant[unit] = {None: suggested(page), "slot": second}.get(label, label or "")
        press(page, keys)
        if "pumba" in keys:
            expect(page.locator("#find-label")).to_be_hidden()
            press(page, "Enter")
    return meant


def through_an_outage(page: Page, project: Savanna, sequences: int) -> None:
    """All sequences by keys alone, the network away for a stretch and the web process killed later."""
    away = sequences // 4
    events: dict[int, Callable[[], object]] = {
        away: lambda: page.context.set_offline(True),
        away + 8: lambda: expect(page.locator("#save-state")).to_contain_text("waiting (offline, retrying in"),
        away + 9: lambda: page.context.set_offline(False),
        sequences // 2: lambda: project.site.kill("web"),
    }
    page.goto(f"{project.review}?queue=unreviewed")
    began = time.monotonic()
    meant = review_all(page, sequences, events)
    expect(page.locator("#nothing-title")).to_have_text("Nothing left here")
    all_saved(page)
    took = time.monotonic() - began
    print(f"\n{sequences} sequences by keyboard, with an outage: {took:.1f} s")  # noqa: T201
    rows = project.rows()
    assert len(meant) == sequences
    assert rows["states"] == {unit: [["reviewed", label]] * project.frames for unit, label in meant.items()}
    assert rows["reviews"] == sequences * project.frames
    assert rows["changes"] == sequences


def test_sixty_sequences_by_keyboard_through_an_outage_and_every_decision_is_there(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    through_an_outage(open_page("/projects/"), savanna(60), 60)


@pytest.mark.long
def test_three_hundred_sequences_by_keyboard_through_an_outage(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    through_an_outage(open_page("/projects/"), savanna(300, 3), 300)


@pytest.mark.long
def test_two_reviewers_never_see_the_same_sequence(
    open_page: Open, savanna: Callable[..., Savanna], sam: Callable[[], BrowserContext]
) -> None:
    project = savanna(24, 1)
    pages = [open_page(f"{project.review}?queue=unreviewed")]
    seen: list[list[str]] = [[], []]
    unit_of(pages[0])
    other = sam().new_page()
    # Rosa's page holds most of so short a queue: she gives back what she has not come to.
    other.goto(f"{project.review}?queue=unreviewed")
    pages.append(other)
    for turn in range(5):
        for who, page in enumerate(pages):
            if page.locator("#review-body").is_hidden():
                continue
            unit = unit_of(page, seen[who][-1] if seen[who] else "")
            seen[who].append(unit)
            press(page, "Enter")
        assert not set(seen[0]) & set(seen[1]), f"both had one in turn {turn}"
    for page in pages:
        all_saved(page)
    rows = project.rows()
    decided = [unit for unit, states in rows["states"].items() if states[0][0] == "reviewed"]
    assert sorted(decided) == sorted(seen[0] + seen[1])
    assert not any(states[0][0] == "conflict" for states in rows["states"].values())


def test_a_reload_in_an_outage_asks_first_loses_nothing_and_doubles_nothing(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    project = savanna(20, 1)
    page = open_page(f"{project.review}?queue=unreviewed", bypass_csp=True)
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    # The first answer is lost on its way back: the site has saved, the page does not know.
    page.route("**/decisions", lambda route: (route.fetch(), route.abort()))
    decided, unit = [], ""
    for _ in range(5):
        unit = unit_of(page, unit)
        decided.append(unit)
        press(page, "Enter")
    expect(page.locator("#save-state")).to_contain_text("5 waiting (offline")
    keep(page, "review-offline")
    page.reload()
    assert asked == ["beforeunload"]
    expect(page.locator("#save-state")).to_contain_text("5 waiting")
    assert unit_of(page) not in decided
    page.unroute_all(behavior="ignoreErrors")
    page.locator("#retry-now").dispatch_event("click")  # by then it may have tried by itself
    all_saved(page)
    rows = project.rows()
    assert rows["reviews"] == rows["changes"] == 5
    assert [rows["states"][unit][0][0] for unit in decided] == ["reviewed"] * 5


def test_undo_goes_back_across_sequences_and_one_undo_takes_a_sequence_back(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    project = savanna(8)
    page = open_page(f"{project.review}?queue=unreviewed")
    first = unit_of(page)
    press(page, "2 Enter")
    second = unit_of(page, first)
    press(page, "e")
    unit_of(page, second)
    all_saved(page)
    press(page, "u")
    assert unit_of(page, "") == second
    expect(page.locator("#chosen-words")).to_have_text("nothing there")
    press(page, "u")
    expect(page.locator("#review-body")).to_have_attribute("data-unit", first)
    all_saved(page)
    rows = project.rows()
    assert [rows["states"][unit][0][0] for unit in (first, second)] == ["unreviewed"] * 2
    press(page, "3 Enter")
    assert unit_of(page, first) == second
    all_saved(page)
    assert project.rows()["states"][first][0][0] == "reviewed"


def test_counts_fields_single_frames_and_what_is_sure_all_have_their_keys(
    open_page: Open, savanna: Callable[..., Savanna]
) -> None:
    project = savanna(3, 3)
    page = open_page(f"{project.review}?queue=unreviewed")
    first = unit_of(page)
    press(page, "1 + + - g ArrowRight Shift+2 ArrowRight Shift+b")
    expect(page.locator("#chosen-words")).to_have_text("Zebra × 2, 2 frames apart")
    expect(page.locator(".film.is-apart")).to_have_count(2)
    keep(page, "review-sequence")
    press(page, "Enter")
    second = unit_of(page, first)
    press(page, "r 1 a 3 Enter")
    unit_of(page, second)
    press(page, "x")
    expect(page.get_by_role("heading", name="Cannot tell. What is it surely?")).to_be_visible()
    keep(page, "review-cannot-tell")
    press(page, "Enter")
    expect(page.locator("#nothing-title")).to_have_text("Nothing left here")
    all_saved(page)
    said = project.verdicts()
    assert said[0]["said"] == [["zebra", 2, {"sex": "female"}, False]] and said[0]["seen"]
    assert said[1]["said"][0][:2] == ["donkey", 1]
    assert (said[2]["verdict"], said[2]["said"]) == ("bad-image", [])
    assert [one[0] for one in said[3]["said"]] == ["donkey", "lion"]
    assert said[3]["said"][0][2] == {"sex": "female"}
    assert (said[6]["verdict"], said[6]["said"][0][0]) == ("cannot-tell", "mammal")
    assert {one["how"] for one in said} == {"suggested"} and {one["queue"] for one in said} == {"unreviewed"}


def test_a_lone_label_takes_the_lone_box_of_its_frame(open_page: Open, savanna: Callable[..., Savanna]) -> None:
    project = savanna(1, 2)
    page = open_page(f"{project.review}?queue=unreviewed")
    unit_of(page)
    press(page, "Enter")
    expect(page.locator("#nothing-title")).to_have_text("Nothing left here")
    all_saved(page)
    assert [one["said"] for one in project.verdicts()] == [[["zebra", 1, {}, True]]] * 2


def test_a_refused_decision_comes_back_with_its_reason(open_page: Open, savanna: Callable[..., Savanna]) -> None:
    project = savanna(4, 1)
    page = open_page(f"{project.review}?queue=unreviewed")
    first = unit_of(page)
    project.site.python(
        "from django.utils import timezone\nfrom webapp.images import states\nfrom webapp.images.models import Image\n"
        f"gone = Image.objects.filter(sequence_id={first[1:]})\n"
        "states.remove_states(list(gone.values_list('pk', flat=True)))\n"
        "gone.update(withdrawn_at=timezone.now())"
    )
    press(page, "Enter")
    expect(page.locator("#refused")).to_contain_text("was not taken")
    expect(page.locator("#refused")).to_contain_text("withdrawn")
    keep(page, "review-refused")
    press(page, "Enter")
    expect(page.locator("#review-body")).to_have_attribute("data-unit", first)
    expect(page.locator("#refusal")).to_contain_text("withdrawn")
    page.get_by_role("button", name="Leave it").click()
    expect(page.locator("#refused")).to_be_hidden()


def test_a_blind_queue_shows_no_suggestion(open_page: Open, savanna: Callable[..., Savanna]) -> None:
    project = savanna(6, 2)
    project.run(
        "from webapp.access.actors import OPERATOR\nfrom webapp.reviews.audits import draw_audit\n"
        "from webapp.images.models import ImageState\n"
        "draw_audit(actor=OPERATOR, project=project, rows=ImageState.objects.filter(project=project),"
        " selection={}, size=3)\n"
        "print('null')"
    )
    page = open_page(project.review)
    expect(page.locator("#queue-list")).to_contain_text("Random audit")
    keep(page, "review-queues")
    page.locator("[data-queue=audit]").click()
    unit_of(page)
    expect(page.locator("#sentence")).to_contain_text("No suggestion is shown")
    expect(page.locator("#slots .slot-score")).to_have_count(0)
    expect(page.locator(".stage .box")).to_have_count(0)
    expect(page.locator("#accept")).to_be_disabled()
    press(page, "Enter")
    expect(page.locator("#toasts")).to_contain_text("Say what it is first")
    press(page, "1 Enter")
    all_saved(page)
    assert {one["how"] for one in project.verdicts()} == {"blind"}


def test_keys_typed_into_a_field_mean_only_what_they_say(open_page: Open, savanna: Callable[..., Savanna]) -> None:
    project = savanna(3, 1)
    page = open_page(f"{project.review}?queue=unreviewed")
    first = unit_of(page)
    press(page, "m")
    page.keyboard.type("seen best at 11")
    page.keyboard.press("Escape")
    expect(page.locator("#review-body")).to_have_attribute("data-unit", first)
    page.keyboard.press("?")
    overlay = page.get_by_role("dialog", name="Keys")
    expect(overlay).to_contain_text("that label for the whole sequence")
    expect(overlay).to_contain_text("Sex: the next choice")
    keep(page, "review-keys")
    press(page, "e")
    expect(page.locator("#review-body")).to_have_attribute("data-unit", first)
    page.keyboard.press("Escape")
    press(page, "Enter")
    unit_of(page, first)
    all_saved(page)
    assert project.verdicts()[0]["said"][0][2] == {"notes": "seen best at 11"}


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_review_fits_a_desk_and_a_phone(open_page: Open, savanna: Callable[..., Savanna], colours: str) -> None:
    project = savanna(6, 5)
    for size, viewport in (("desk", {"width": 1360, "height": 850}), ("phone", {"width": 390, "height": 844})):
        touch = {"has_touch": True, "is_mobile": True} if size == "phone" else {}
        page = open_page(f"{project.review}?queue=unreviewed", color_scheme=colours, viewport=viewport, **touch)
        unit_of(page)
        expect(page.locator("#stage-frame img")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        keep(page, f"review-{size}-{colours}")
        page.context.close()
