"""Projects, their labels, places and people, and tokens."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.access.models import ApiToken, Membership, Role
from webapp.access.table import Scope
from webapp.api.shapes.answers import Number
from webapp.projects.models import Label, Project, Site, Visit


class ProjectShape(s.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = (
            "slug",
            "name",
            "pictures",
            "description",
            "notice",
            "time_zone",
            "open_to_guests",
            "coordinates_decimals",
            "sequence_gap_seconds",
            "created_at",
        )
        read_only_fields = fields


class NewProject(s.Serializer[Any]):
    name = s.CharField(max_length=120)
    slug = s.CharField(max_length=60, required=False, default="", allow_blank=True)
    pictures = s.ChoiceField(choices=Project.Pictures.choices, required=False, default=Project.Pictures.OTHER)
    labels = s.ListField(child=s.CharField(max_length=200), required=False, default=list, max_length=20_000)
    description = s.CharField(required=False, default="", allow_blank=True, max_length=10_000)


class ProjectChange(s.Serializer[Any]):
    """Whatever is left out stays."""

    name = s.CharField(max_length=120, required=False)
    description = s.CharField(required=False, allow_blank=True, max_length=10_000)
    notice = s.CharField(required=False, allow_blank=True, max_length=10_000)
    time_zone = s.CharField(required=False, max_length=64)
    coordinates_decimals = s.IntegerField(required=False, allow_null=True, min_value=-1, max_value=6)
    sequence_gap_seconds = s.IntegerField(required=False, min_value=0, max_value=86_400)


class LabelShape(s.Serializer[Label]):
    key = s.CharField()
    name = s.CharField()
    scientific_name = s.CharField()
    kind = s.ChoiceField(choices=Label.Kind.choices)
    parent = s.CharField(source="parent.key", default=None, allow_null=True, help_text="Key of the parent")  # type: ignore[assignment]
    pinned = s.BooleanField()
    names = s.SerializerMethodField(help_text="All its names in lower case without accents, as a search finds them")

    def get_names(self, label: Label) -> list[str]:
        return label.search_text.split("\n")[1:-1]


class LabelQuery(s.Serializer[Any]):
    search = s.CharField(required=False, default="", allow_blank=True, max_length=200)
    limit = s.IntegerField(required=False, default=100, min_value=1, max_value=5000)


class NewLabel(s.Serializer[Any]):
    name = s.CharField(max_length=200)
    kind = s.ChoiceField(choices=Label.Kind.choices, required=False, default=Label.Kind.NORMAL)
    synonyms = s.ListField(child=s.CharField(max_length=200), required=False, default=list, max_length=100)
    scientific_name = s.CharField(required=False, default="", allow_blank=True, max_length=200)
    parent = s.CharField(required=False, allow_null=True, default=None, max_length=200, help_text="Key or name")  # type: ignore[assignment]


class LabelChange(s.Serializer[Any]):
    name = s.CharField(max_length=200)
    scientific_name = s.CharField(required=False, allow_null=True, default=None, allow_blank=True, max_length=200)


class LabelMerge(s.Serializer[Any]):
    into = s.CharField(max_length=200, help_text="Key or name of the label that it means from now on")


class SiteShape(s.Serializer[Site]):
    """`latitude` and `longitude` are coarsened or null for people who may not see them exactly."""

    id = s.UUIDField(source="uid")
    name = s.CharField()
    latitude = s.FloatField(allow_null=True)
    longitude = s.FloatField(allow_null=True)
    coordinates = s.ChoiceField(choices=["exact", "coarse", "withheld", "unknown"])
    time_zone = s.CharField()
    notes = s.CharField()


class NewSite(s.Serializer[Any]):
    name = s.CharField(max_length=200)
    latitude = Number(required=False, allow_null=True, default=None, min_value=-90, max_value=90)
    longitude = Number(required=False, allow_null=True, default=None, min_value=-180, max_value=180)
    time_zone = s.CharField(required=False, default="", allow_blank=True, max_length=64)
    sensitive = s.BooleanField(required=False, default=False)
    notes = s.CharField(required=False, default="", allow_blank=True, max_length=10_000)


class VisitShape(s.Serializer[Visit]):
    id = s.UUIDField(source="uid")
    name = s.CharField()
    site = s.UUIDField(source="site.uid", default=None, allow_null=True)
    start = s.DateTimeField(allow_null=True)
    end = s.DateTimeField(allow_null=True)
    device = s.CharField()
    clock_offset_seconds = s.IntegerField()
    time_zone = s.CharField()
    notes = s.CharField()


class NewVisit(s.Serializer[Any]):
    name = s.CharField(max_length=200)
    site = s.UUIDField(required=False, allow_null=True, default=None)
    start = s.DateTimeField(required=False, allow_null=True, default=None)
    end = s.DateTimeField(required=False, allow_null=True, default=None)
    device = s.CharField(required=False, default="", allow_blank=True, max_length=200)
    clock_offset_seconds = s.IntegerField(required=False, default=0, min_value=-(2**31), max_value=2**31 - 1)
    time_zone = s.CharField(required=False, default="", allow_blank=True, max_length=64)
    notes = s.CharField(required=False, default="", allow_blank=True, max_length=10_000)


class MemberShape(s.Serializer[Membership]):
    username = s.CharField(source="user.username")
    name = s.CharField(source="user.get_full_name", allow_blank=True)
    role = s.ChoiceField(choices=Role.choices)
    since = s.DateTimeField(source="created_at")


class RoleChange(s.Serializer[Any]):
    role = s.ChoiceField(choices=Role.choices)


class TokenShape(s.Serializer[ApiToken]):
    id = s.IntegerField()
    name = s.CharField()
    prefix = s.CharField()
    scopes = s.ListField(child=s.CharField())
    project = s.CharField(source="project.slug", default=None, allow_null=True)
    created_at = s.DateTimeField()
    expires_at = s.DateTimeField(allow_null=True)
    last_used_at = s.DateTimeField(allow_null=True)
    revoked_at = s.DateTimeField(allow_null=True)


class TokenMade(TokenShape):
    secret = s.CharField(help_text="Shown this once and not stored")


class NewToken(s.Serializer[Any]):
    name = s.CharField(max_length=100)
    scopes = s.ListField(child=s.ChoiceField(choices=[scope.value for scope in Scope]), min_length=1, max_length=6)
    project = s.CharField(required=False, allow_null=True, default=None, max_length=64, help_text="Only this project")
    expires_at = s.DateTimeField(required=False, allow_null=True, default=None)


class Me(s.Serializer[Any]):
    """Whom the site takes the caller for."""

    username = s.CharField(allow_null=True)
    via = s.CharField()
    scopes = s.ListField(child=s.CharField())
    roles = s.DictField(child=s.CharField(), help_text="Project -> role")
