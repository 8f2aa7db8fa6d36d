"""The Compare page: what a person reads there, where each number leads, activating and going back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser
from django.urls import reverse

from tests.runs.reef import NO_RED, Reef, a_pair
from training.contract import TEST
from webapp.access.actors import SYSTEM
from webapp.access.models import User
from webapp.pages.comparison_parts import EACH_SLICE, difference_row, scale_of, slice_groups
from webapp.pages.matrices import matrices
from webapp.pages.templatetags.comparing import whisker_axis
from webapp.runs.comparing.compare import carry_out_comparison, start_comparison
from webapp.runs.models import Comparison, Run
from webapp.versions.activate import activate, active_pipeline
from webapp.versions.models import Activation
from webapp.versions.pipelines import with_version


def browser(reef: Reef, who: str) -> Browser:
    client = Browser()
    user = reef.people[who].user
    assert user is not None
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def read(client: Browser, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content.decode()[:2000]
    return answer.content.decode()


def made(reef: Reef, groups: int = 12) -> Comparison:
    old, new = a_pair(reef, groups)
    activate(actor=SYSTEM, project=reef.project, pipeline=with_version(reef.project, None, old))
    row = start_comparison(actor=reef.people["tess"], project=reef.project, a=old, b=new)
    done = carry_out_comparison(row.pk)
    assert done is not None and done.state == "done", done
    return done


def page_of(row: Comparison) -> str:
    return reverse("comparison", args=["reef", row.uid])


def test_the_page_says_the_verdict_and_shows_what_it_rests_on(reef: Reef) -> None:
    row = made(reef)
    text = read(browser(reef, "vic"), page_of(row))
    assert row.result["sentence"] in text
    assert "balanced accuracy" in text and 'class="whisker is-better"' in text
    assert "assumes independent images" in text and "never decides" in text
    for heading in ("Labels, the largest change first", "Which label is answered as which", "Does a score mean"):
        assert heading in text
    assert "By site" in text and "Site 0" in text
    assert "learning_rate" in text, "the configuration differs"
    assert text.count('class="chart-version') == 2 and "front</span>" in text
    assert text.count("<td>CPU</td>") == 2, "times are of one device comparable"
    assert "Activate B" not in text, "a viewer does not"


def test_every_cell_leads_to_its_images(reef: Reef) -> None:
    row = made(reef)
    client = browser(reef, "vic")
    text = read(client, page_of(row))
    links = set(re.findall(r'data-gallery href="([^"]*truth=[^"]*)" title="([^"]*)"', text))
    assert links
    for link, words in links:
        count = int(re.search(r": [+\u2212]?([\d,]+)$", words)[1].replace(",", ""))  # type: ignore[index]
        images = read(client, link.replace("&amp;", "&"))
        shown_there = int(re.search(r"([\d,]+) images?, the surest", images)[1])  # type: ignore[index]
        # A difference is what came less what went, and its images are both.
        more = shown_there - count
        assert more % 2 == 0 and more >= 0 if "side=changed" in link else more == 0, (link, words)


def test_every_slice_leads_to_its_images_and_each_kind_among_them(reef: Reef) -> None:
    row = made(reef)
    client = browser(reef, "vic")
    text = read(client, page_of(row))
    found = re.findall(r'href="([^"]*by=site[^"]*)" data-gallery>([^<]*)<', text)
    links = {words: link.replace("&amp;", "&") for link, words in found}
    assert set(links) == {"Site 0", "Site 1"}
    images = {one["value"]: one["images"] for one in row.result["slices"] if one["by"] == "site"}
    for site, link in links.items():
        there = read(client, link)
        assert f"<b>site {site}</b>" in there
        chips = re.findall(r'<a class="chip"[^>]*>([A-Za-z ]+) (\d+)</a>', there)
        tabs = {words: int(number) for words, number in chips}
        assert tabs["All"] == images[site] == sum(tabs.values()) - tabs["All"], "a tab counts what it would show"
        every = re.search(r'href="([^"]*kind=all[^"]*)"', there)
        assert every is not None
        shown_there = re.findall(r'data-image="(\d+)"', read(client, every[1].replace("&amp;", "&")))
        assert shown_there and all(int(image) % 2 == int(site[-1]) for image in shown_there)


def test_too_few_groups_is_said_in_words(reef: Reef) -> None:
    text = read(browser(reef, "vic"), page_of(made(reef, groups=5)))
    assert "There are too few groups for an interval: 5" in text
    assert "whisker-span" not in text and "is-hollow" in text


def test_no_evidence_is_said_in_words(reef: Reef) -> None:
    images = reef.add(12)
    snapshot = reef.freeze("June", {TEST: images})
    old, new = reef.version("Old", mean=NO_RED), reef.version("New")
    reef.evaluated(old, snapshot, reef.said(snapshot, images, wrong=images[:2]))
    reef.evaluated(new, snapshot, reef.said(snapshot, images, wrong=images[-2:]))
    row = start_comparison(actor=SYSTEM, project=reef.project, a=old, b=new)
    carry_out_comparison(row.pk)
    text = read(browser(reef, "vic"), page_of(row))
    assert "holds zero: there is no evidence of a difference" in text


def test_activating_and_rolling_back_from_the_page(reef: Reef) -> None:
    row = made(reef)
    Run.objects.create(
        project=reef.project,
        snapshot=row.snapshot,
        recipe="head",
        version=row.version_b,
        gate={"passed": False, "why": ["It may be worse on Red."]},
    )
    ada = browser(reef, "ada")
    text = read(ada, page_of(row))
    assert "Its gate rejected it." in text and "It may be worse on Red." in text
    ada.post(reverse("comparison-activate", args=["reef", row.uid]), {"note": "better by far"})
    event = Activation.objects.order_by("-pk")[0]
    assert (event.note, event.gate["passed"]) == ("better by far", False)
    assert "B answers now." in read(ada, page_of(row))
    ada.post(reverse("comparison-back", args=["reef", row.uid]), {"note": "no"})
    now = active_pipeline(reef.project)
    assert now is not None and now.classifier == row.version_a
    assert browser(reef, "tess").post(reverse("comparison-activate", args=["reef", row.uid])).status_code == 403


def test_a_refusal_offers_one_button_that_compares_where_it_can(reef: Reef) -> None:
    images = reef.add(10)
    may, june = reef.freeze("May", {TEST: images}), reef.freeze("June", {"train": images, TEST: reef.add(10)})
    old, new = reef.version("Old", mean=NO_RED), reef.version("New", snapshot=june.digest)
    tess = browser(reef, "tess")
    form = {"a": old.pk, "b": new.pk, "snapshot": str(may.uid), "part": "test"}
    refused = tess.post(reverse("comparison-start", args=["reef"]), form)
    text = read(tess, refused["Location"])
    assert "Refused" in text and "New saw 30 of the test images of May" in text
    assert "Compare on the test part of June" in text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text))
    taken = tess.post(reverse("comparison-start", args=["reef"]), {name: hidden[name] for name in form})
    waiting = read(tess, taken["Location"])
    assert "It waits until both versions are evaluated" in waiting and "Stop" in waiting


def test_the_list_begins_with_what_is_in_use_and_the_newest_candidate(reef: Reef) -> None:
    row = made(reef)
    text = read(browser(reef, "tess"), reverse("comparisons", args=["reef"]))
    chosen = re.findall(r'<option value="(\d+)" selected>', text)
    assert chosen == [str(row.version_b_id), str(row.version_a_id)]
    assert '<span class="tag good">better</span>' in text
    # It takes the device's time, so it is a trainer's to ask for; a viewer reads what was found.
    seen = read(browser(reef, "vic"), reverse("comparisons", args=["reef"]))
    assert "Is the candidate better?" not in seen and '<span class="tag good">better</span>' in seen
    missing = browser(reef, "tess").post(reverse("comparison-start", args=["reef"]), {"a": "", "b": "x"}, follow=True)
    assert "Choose two versions" in missing.content.decode()


def test_where_nothing_is_in_use_two_versions_are_chosen_and_not_one_twice(reef: Reef) -> None:
    old, new = a_pair(reef)
    address = reverse("comparisons", args=["reef"])
    for query, expected in (("", [new, old]), (f"?b={old.pk}", [old, new])):
        chosen = re.findall(r'<option value="(\d+)" selected>', read(browser(reef, "tess"), address + query))
        assert chosen == [str(one.pk) for one in expected]


def test_other_pages_and_the_django_admin_lead_there(reef: Reef) -> None:
    row = made(reef)
    client = browser(reef, "vic")
    assert reverse("comparisons", args=["reef"]) in read(client, reverse("runs", args=["reef"]))
    root = Browser()
    root.force_login(User.objects.create_superuser("gus"), backend="django.contrib.auth.backends.ModelBackend")
    rows = read(root, "/admin/runs/comparison/")
    assert page_of(row) in rows and reverse("comparisons", args=["reef"]) in rows
    assert root.get(f"/admin/runs/comparison/{row.pk}/change/").status_code == 200


def test_strangers_see_no_page(reef: Reef) -> None:
    row = made(reef)
    stranger = Browser()
    user = User.objects.create_user("stranger")
    stranger.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    for name in ("comparison", "comparison-gallery"):
        assert stranger.get(reverse(name, args=["reef", row.uid])).status_code == 404
    assert stranger.get(reverse("comparisons", args=["reef"])).status_code == 404


DARKNET = (
    "Region 82 Avg IOU: {iou}, Class: 0.9, count: 3\n{step}: {loss}, {loss} avg, 0.001 rate, 3.2 seconds, 64 images\n"
)


def test_a_log_of_another_trainer_is_charted_and_not_kept(reef: Reef) -> None:
    client, address = browser(reef, "vic"), reverse("trainer-logs", args=["reef"])
    assert "Chart a log" in read(client, address)
    log = "".join(DARKNET.format(step=n, loss=10 / n, iou="-nan" if n == 2 else 0.5) for n in (1, 2, 3))
    sent = client.post(address, {"log": SimpleUploadedFile("train_log.txt", log.encode())})
    text = sent.content.decode()
    assert "darknet, " in text and "1 value skipped" in text
    script: Any = re.search(r'<script id="trainer-log" type="application/json">(.*?)</script>', text)
    assert '"name": "loss", "points": [[1.0, 10.0], [2.0, 5.0]' in script[1]
    wrong = client.post(address, {"log": SimpleUploadedFile("x.txt", b"hello\nworld\n")}).content.decode()
    assert "it is neither darknet" in wrong


# ---- what is drawn ---------------------------------------------------------------------------------------------------


def test_many_slices_are_folded_and_none_is_left_out() -> None:
    change = {"a": 0.5, "b": 0.5, "difference": 0.0, "interval": None, "p": None, "verdict": "too few groups"}
    sites = [{"by": "site", "value": f"Site {n}", "images": 9, "groups": 3, "change": change} for n in range(20)]
    (group,) = slice_groups([one | {"p_corrected": None} for one in sites], "accuracy")
    assert [row.words for row in (*group.rows, *group.others)] == [f"Site {n}" for n in range(20)]
    assert len(group.rows) == EACH_SLICE


def test_whiskers_have_a_round_scale_that_holds_them_all() -> None:
    assert scale_of([{"difference": 0.03, "interval": (-0.01, 0.07)}]) == pytest.approx(0.075)
    assert scale_of([{"difference": 0.0, "interval": None}]) == pytest.approx(0.01)
    one = {"a": 0.5, "b": 0.488, "difference": -0.012, "interval": (-0.03, 0.006), "p": 0.2, "verdict": "no evidence"}
    row, loss = (difference_row("accuracy", one, 0.1, is_share=share) for share in (True, False))
    assert (row.a, row.b, row.difference) == ("50.0 %", "48.8 %", "\u22121.2 points")
    assert row.interval_words == "\u22123.0 to +0.6 points" and "+10 points" in whisker_axis([row])
    assert (loss.a, loss.difference) == ("0.500", "\u22120.012") and "points" not in whisker_axis([loss])


def test_a_matrix_of_many_labels_shows_those_where_most_happens() -> None:
    quiet = [{"truth": f"l{n}", "answer": f"l{n}", "a": 5, "b": 5} for n in range(40)]
    loud = [{"truth": "l7", "answer": "l9", "a": 30, "b": 2}, {"truth": "l7", "answer": "", "a": 0, "b": 3}]
    names = {f"l{n}": f"L{n}" for n in range(40)} | {"": "no answer"}
    drawn = matrices([*quiet, *loud], names)
    assert {"L7", "L9", "no answer"} <= set(drawn["heads"]) and drawn["left_out"] == 27
    around = matrices([*quiet, *loud, {"truth": "l30", "answer": "l31", "a": 1, "b": 1}], names, "l30")
    assert around["heads"] == ["L30", "L31"] and around["around_name"] == "L30", "a label of which little was said"
    assert ("-", "no answer") in around["choices"] and len(around["choices"]) == 41
    assert set(matrices(loud, names, "-")["heads"]) == {"L7", "no answer"}
    kind, rows = drawn["drawn"][0]
    cells = {(cell.truth, cell.answer): cell for _, line in rows for cell in line}
    assert kind == "changed" and cells["l7", "l9"].images == -28 and cells["l7", "l9"].is_good
    assert cells["l7", "-"].images == 3 and not cells["l7", "-"].is_good
