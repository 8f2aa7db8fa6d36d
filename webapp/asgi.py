"""What gunicorn serves: the classify calls and Django, behind the intake."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

_django = get_asgi_application()

from webapp.api.direct import around  # noqa: E402  (needs Django set up)
from webapp.intake import Intake  # noqa: E402

application = Intake(around(_django))
