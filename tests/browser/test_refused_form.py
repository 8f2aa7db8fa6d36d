"""A form that was refused comes back with what was typed into it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Open, sign_in
from tests.sites import Site

pytestmark = [pytest.mark.browser, pytest.mark.processes]


@pytest.fixture(scope="module")
def rosa(site: Site, chromium: Browser) -> dict[str, Any]:
    """Pages of this module are opened as Pia, who is admin of the project Plans."""
    site.python(
        "from webapp.access.models import User, Membership; from webapp.projects.models import Project\n"
        "pia = User.objects.create(username='pia')\n"
        "pia.set_unusable_password(); pia.save()\n"
        "plans = Project.objects.create(slug='plans', name='Plans')\n"
        "Membership.objects.create(user=pia, project=plans, role='admin')"
    )
    return sign_in(site, chromium, "pia")


def plan_form(page: Page) -> dict[str, str]:
    return {name: page.locator(f".plan-form [name={name}]").input_value() for name in ("name", "trigger", "at", "gate")}


def test_what_was_typed_is_there_again_and_only_then(open_page: Open) -> None:
    page = open_page("/p/plans/runs/")
    page.get_by_text("Add a plan").click()
    page.get_by_label("Name", exact=True).fill("each evening")
    page.locator("#plan-trigger").select_option("daily")
    page.locator("#plan-at").fill("21:15")
    page.locator("#plan-zone").fill("Europe/Pariss")
    page.locator("#plan-gate").select_option("better")
    page.get_by_role("button", name="Add the plan").click()

    expect(page.get_by_role("alert")).to_contain_text("Europe/Pariss")
    assert plan_form(page) == {"name": "each evening", "trigger": "daily", "at": "21:15", "gate": "better"}
    page.locator("#plan-zone").fill("Europe/Paris")
    page.get_by_role("button", name="Add the plan").click()

    expect(page.get_by_text("every day at 21:15, Europe/Paris")).to_be_visible()
    assert page.locator("#plan-name").input_value() == ""
