"""What gunicorn serves: the classify calls and Django, behind the intake."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

django.setup(set_prefix=False)

from webapp.api.direct import around  # noqa: E402  (needs Django set up)
from webapp.handler import Handler  # noqa: E402
from webapp.intake import Intake  # noqa: E402

application = Intake(around(Handler()))
