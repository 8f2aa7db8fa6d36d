"""The one settings module: the embedded default and production differ only in the environment.

Every variable is read here and listed in docs/operations.md; a test compares the two.
"""

from __future__ import annotations

import logging
import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
import django_stubs_ext
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from webapp import broker, env

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

# -- the data folder: all that is the user's --------------------------------------------------------------------------
DATA_DIR = Path(env.text("OSPREY_DATA", str(BASE_DIR / "data"))).resolve()
RUN_DIR = DATA_DIR / "run"
STORE_DIR = Path(env.text("OSPREY_STORE", str(DATA_DIR / "store"))).resolve()
VERSIONS_DIR = Path(env.text("OSPREY_VERSIONS", str(DATA_DIR / "versions"))).resolve()
INCOMING_DIR = STORE_DIR / "incoming"
DERIVED_DIR = Path(env.text("OSPREY_DERIVED", str(DATA_DIR / "derived"))).resolve()


def _folder(path: Path, mode: int = 0o777) -> Path:
    """Made where it is missing; one that cannot be made stops the start with its name."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
    except OSError as error:
        reason = error.strerror or error
        raise ImproperlyConfigured(f"the folder {path} cannot be made ({reason}): name another one") from error
    return path


def _secret_key() -> str:
    """SECRET_KEY from the environment, else from a 0600 file made once in the data folder."""
    given = env.secret("SECRET_KEY")
    if given:
        return given
    path = DATA_DIR / "secret_key"
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    _folder(DATA_DIR)
    made = secrets.token_urlsafe(50)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{path} cannot be written ({error.strerror}): look at its owner") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(made)
    return made


SECRET_KEY = _secret_key()
DEBUG = env.flag("OSPREY_DEBUG", False)

# -- who may come in --------------------------------------------------------------------------------------------------
PORT = env.integer("OSPREY_PORT", 8000)
OPEN_MODE = env.flag("OSPREY_OPEN", False)
ALLOWED_HOSTS = env.names("OSPREY_HOSTS") or ["127.0.0.1", "localhost", "[::1]"]
CSRF_TRUSTED_ORIGINS = env.names("OSPREY_ORIGINS")
BEHIND_TLS = env.flag("OSPREY_TLS", False)
if BEHIND_TLS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    SECURE_HSTS_SECONDS = 31_536_000
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SESSION_COOKIE_NAME = f"osprey_{PORT}_session"
CSRF_COOKIE_NAME = f"osprey_{PORT}_csrf"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# -- applications, in the order of their layers -----------------------------------------------------------------------
INSTALLED_APPS = [
    "webapp.access",
    "webapp.projects",
    "webapp.images",
    "webapp.versions",
    "webapp.predictions",
    "webapp.reviews",
    "webapp.datasets",
    "webapp.runs",
    "webapp.pages",
    "webapp.api",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "axes",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "webapp.urls"
ASGI_APPLICATION = "webapp.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "webapp.pages.context.shell",
            ],
        },
    },
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "worker-src": [SELF, "blob:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# -- database ---------------------------------------------------------------------------------------------------------
DATABASE_URL = env.secret("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'osprey.sqlite3'}"
DATABASES: dict[str, Any] = {"default": dj_database_url.parse(DATABASE_URL)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # One writer at a time: IMMEDIATE takes the write lock when a transaction begins, so none fails half-way.
    # What only a machine says can be said again: its worker does not wait for the disk at each commit.
    synchronous = "FULL" if env.flag("OSPREY_SYNC_COMMITS", default=True) else "NORMAL"
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": f"PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; PRAGMA cache_size=-16000;",
    }
elif DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # Rows lie on flash, or in memory: left at 4, a page of a filter is now and then read by walking all newer images.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("options", "-c random_page_cost=1.1")
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": env.integer("OSPREY_DATABASE_CONNECTIONS", 16),
        "timeout": 20,
    }
else:
    raise ImproperlyConfigured("DATABASE_URL names neither SQLite nor PostgreSQL; Osprey is tested on these two")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- broker, cache, events: one URL -----------------------------------------------------------------------------------
BROKER_URL = broker.broker_url(DATA_DIR)
REDIS_URL = broker.redis_url(DATA_DIR) or ""
HAS_REDIS = bool(REDIS_URL)
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "osprey",
    }
    if HAS_REDIS
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
CELERY = {
    "broker_url": BROKER_URL,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        "visibility_timeout": 60,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
    }
    if HAS_REDIS
    else broker.transport_options(DATA_DIR),
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_default_queue": "io",
    "worker_prefetch_multiplier": 1,
    "worker_hijack_root_logger": False,
    "worker_send_task_events": False,
    "task_routes": {
        "webapp.predictions.tasks.*": {"queue": "gpu"},
        "webapp.predictions.tasks_io.*": {"queue": "io"},
        "webapp.images.tasks.*": {"queue": "io"},
        "webapp.datasets.tasks_export.*": {"queue": "io"},
        "webapp.datasets.tasks_import.*": {"queue": "io"},
        "webapp.reviews.tasks_analysis.*": {"queue": "io"},
        "webapp.reviews.tasks_labels.*": {"queue": "io"},
        "webapp.runs.tasks.*": {"queue": "train"},
        "webapp.runs.tasks_io.*": {"queue": "io"},
    },
    "beat_schedule": {
        "sweep": {"task": "webapp.images.tasks.sweep", "schedule": timedelta(seconds=30)},
        "freezings": {"task": "webapp.datasets.tasks_freeze.wake", "schedule": timedelta(seconds=30)},
        "sweep imports": {"task": "webapp.datasets.tasks_import.sweep", "schedule": timedelta(seconds=15)},
        "sweep runs": {"task": "webapp.runs.tasks_io.sweep", "schedule": timedelta(seconds=15)},
        "look at plans": {"task": "webapp.runs.tasks_io.look_at_plans", "schedule": timedelta(seconds=20)},
        "look at backfills": {"task": "webapp.runs.tasks_io.look_at_backfills", "schedule": timedelta(seconds=15)},
        "look at working heads": {
            "task": "webapp.runs.tasks_io.look_at_working_heads",
            "schedule": timedelta(minutes=1),
        },
        "sweep exports": {"task": "webapp.datasets.tasks_export.sweep", "schedule": timedelta(seconds=30)},
        "look at data": {"task": "webapp.reviews.tasks_analysis.look", "schedule": timedelta(minutes=1)},
        "follow merged labels": {
            "task": "webapp.reviews.tasks_labels.follow_all",
            "schedule": timedelta(minutes=10),
        },
        "count rows": {"task": "webapp.images.tasks.refresh_planner_statistics", "schedule": timedelta(minutes=10)},
        "catch up": {"task": "webapp.predictions.tasks_io.catch_up_all", "schedule": timedelta(minutes=2)},
    },
    "timezone": "UTC",
}

# -- limits -----------------------------------------------------------------------------------------------------------
MAX_IMAGE_BYTES = env.integer("OSPREY_MAX_IMAGE_MB", 100) * 2**20
MAX_ZIP_BYTES = env.integer("OSPREY_MAX_ZIP_MB", 20_480) * 2**20
FREE_DISK_FLOOR_BYTES = env.integer("OSPREY_FREE_DISK_MB", 500) * 2**20
USER_QUOTA_BYTES = env.integer("OSPREY_USER_QUOTA_MB", 0) * 2**20
SITE_QUOTA_BYTES = env.integer("OSPREY_SITE_QUOTA_MB", 0) * 2**20
MAX_PENDING_CALLS = env.integer("OSPREY_MAX_PENDING_CALLS", 2000)
CALLS_PER_MINUTE = env.integer("OSPREY_CALLS_PER_MINUTE", 6000)
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 2**20
FILE_UPLOAD_TEMP_DIR = str(_folder(INCOMING_DIR, 0o700))

# -- data that comes in -----------------------------------------------------------------------------------------------
IMPORT_ROOTS = env.folders("OSPREY_IMPORT_ROOTS")

# -- recognition ------------------------------------------------------------------------------------------------------
DEVICE = env.text("OSPREY_DEVICE", "auto")
BATCH_SIZE = env.integer("OSPREY_BATCH", 16)
DECODE_THREADS = env.integer("OSPREY_DECODE_THREADS", 0)
LEASE_SECONDS = env.integer("OSPREY_LEASE_SECONDS", 30)

# -- people -----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "access.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "webapp.pages.signing_in.locked_out"
CSRF_FAILURE_VIEW = "webapp.pages.answering.csrf_failed"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"

# -- words, files, log ------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = _folder(Path(env.text("OSPREY_STATIC_ROOT", str(DATA_DIR / "cache" / "static"))))
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """The supervisor asks /healthz from the first moment on: that a site is not up yet is no error."""
    return getattr(record, "status_code", None) != 503 or "/healthz" not in (record.args or ())


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname:7} {name}: {message}", "style": "{"}},
    "filters": {"worth a line": {"()": "django.utils.log.CallbackFilter", "callback": _is_worth_a_line}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("OSPREY_LOG", "INFO")},
    "loggers": {
        "celery.app.trace": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        "django.request": {"filters": ["worth a line"]},
    },
}

# -- REST -------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["webapp.api.authentication.ActorAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_THROTTLE_CLASSES": ["webapp.api.throttles.CallerThrottle"],
    "EXCEPTION_HANDLER": "webapp.api.problems.answer",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "SCHEMA_COERCE_PATH_PK": False,
    # `?format=csv` of the results is ours; DRF would look for a renderer of that name and answer 404.
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Osprey",
    "VERSION": "1.0.0",
    "DESCRIPTION": "Recognise animals in images. Every call works with a token: `Authorization: Bearer osp_…`.",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "OAS_VERSION": "3.1.0",
    "ENUM_NAME_OVERRIDES": {
        "UploadState": "webapp.images.models.Upload.State",
        "UploadKind": "webapp.images.models.Upload.Kind",
        "ItemState": "webapp.images.models.Item.State",
        "PredictionState": "webapp.predictions.models.Prediction.State",
        "LabelKind": "webapp.projects.models.Label.Kind",
        "MemberRole": "webapp.access.models.Role",
        "VersionRole": "webapp.versions.models.Version.Role",
    },
    "PREPROCESSING_HOOKS": ["webapp.api.schema.add_plain_views"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "webapp.api.schema.add_examples",
    ],
}
