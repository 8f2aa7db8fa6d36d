"""People, what they may do in a project, their tokens, and the log of what was done."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

TOKEN_MARK = "osp_"
LAST_USED_GRAIN = timedelta(minutes=1)


def digest_of(secret: str) -> str:
    """SHA-256 in hex: enough for secrets of 256 random bits, which cannot be guessed from a fast hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


class User(AbstractUser):
    """A person. A superuser is admin of every project."""

    time_zone = models.CharField(max_length=64, blank=True, help_text="IANA name; empty means the browser's")

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"


class Role(models.TextChoices):
    """Each role may do all that the ones before it may."""

    VIEWER = "viewer", "viewer"
    REVIEWER = "reviewer", "reviewer"
    CURATOR = "curator", "curator"
    TRAINER = "trainer", "trainer"
    ADMIN = "admin", "admin"


class Membership(models.Model):
    """A person's role in one project."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.VIEWER)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "project"], name="one_role_per_project")]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"


class ApiToken(models.Model):
    """A secret for programs: only its digest is stored, and it is shown once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    project = models.ForeignKey(
        "projects.Project",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="tokens",
        help_text="Empty: every project its owner may use",
    )
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def make_secret() -> str:
        return TOKEN_MARK + secrets.token_urlsafe(32)

    def is_valid(self, now: object = None) -> bool:
        moment = now or timezone.now()
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > moment)  # type: ignore[operator]


class SignInLink(models.Model):
    """Signs its person in once, then is spent; made by the command line for the first admin."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_in_links")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return f"sign-in link for {self.user}"


class AuditEvent(models.Model):
    """Who did what to what, through which door; only ever added to."""

    at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    via = models.CharField(max_length=16)
    token_prefix = models.CharField(max_length=12, blank=True)
    action = models.CharField(max_length=64, db_index=True)
    project = models.ForeignKey("projects.Project", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    subject = models.CharField(max_length=100, blank=True, help_text="kind:id of the row it was done to")
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.action} {self.subject}"
