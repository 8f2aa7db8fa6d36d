"""Rows read by prepared statements are the rows that the ORM reads."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import models, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.predictions.rows import make_pipeline, make_waiting
from webapp.access.actors import OPERATOR
from webapp.access.models import ApiToken, User
from webapp.access.tokens import issue_token
from webapp.images.models import ImageState, Upload
from webapp.rows import read_joined, read_rows

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


def columns(row: models.Model) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_they_hold_the_same_values_of_the_same_types() -> None:
    ana = User.objects.create_user("ana", last_login=timezone.now())
    soon = timezone.now() + timedelta(hours=1)
    for name, until in (("boat", soon), ("buoy", None)):
        issue_token(actor=OPERATOR, user=ana, name=name, scopes=["upload", "read"], expires_at=until)
    make_waiting(make_pipeline(), 3)
    for model in (User, ApiToken, ImageState, Upload):
        expected = list(model._default_manager.order_by("pk"))
        key = str(model._meta.pk.column)
        with transaction.atomic():
            found = read_rows(model, key, [row.pk for row in reversed(expected)], lock=True)
        assert [columns(row) for row in found] == [columns(row) for row in expected]
        assert not any(row._state.adding for row in found)


def test_what_a_row_points_to_comes_along(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for name in ("ana", "bo"):
        user = User.objects.create_user(name, last_login=timezone.now())
        issue_token(actor=OPERATOR, user=user, name=name, scopes=["upload"])
    expected = ApiToken.objects.select_related("user").get(name="bo")
    with django_assert_num_queries(1):
        (found,) = read_joined(ApiToken, "digest", expected.digest, "user")
        assert columns(found.user) == columns(expected.user)
    assert columns(found) == columns(expected)
    assert read_joined(ApiToken, "digest", "0" * 64, "user") == []


def test_nothing_asked_for_is_nothing_read() -> None:
    assert read_rows(User, "id", []) == []
    assert read_rows(User, "username", ["nobody"]) == []
