"""Django, its database, security, processes and logs."""

import os
from typing import Any
from urllib.parse import urlsplit

from django.utils.csp import CSP

from genfeed import env, logs
from genfeed.settings.installation import BASE_DIR, PUBLIC_URL, VAR_DIR
from genfeed.settings.providers import SANDBOX_ACTIVE, SANDBOX_URL

# --- Django ----------------------------------------------------------------------------------------------------------
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS: list[str] = []
if PUBLIC_URL:
    _public = urlsplit(PUBLIC_URL)
    ALLOWED_HOSTS.append(_public.hostname or "")
    CSRF_TRUSTED_ORIGINS.append(f"{_public.scheme}://{_public.netloc}")

INSTALLED_APPS = [
    "genfeed.apps.GenFeedAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "genfeed.apps.GenFeedConfig",  # before the queue, whose command it extends
    "django_q",
    "ninja",
    "genfeed.journal",
    "genfeed.clients",
    "catalog",
    "pricing",
    "jobs",
]

MIDDLEWARE = [
    "genfeed.middleware.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "genfeed.middleware.ApiErrorMiddleware",
    "genfeed.middleware.FormSizeMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
]

ROOT_URLCONF = "genfeed.urls"
WSGI_APPLICATION = "genfeed.wsgi.application"
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'db.sqlite3'}"),
}
# A connection that lives on saves more than half of a request's time on PostgreSQL.
DATABASES["default"].update(CONN_MAX_AGE=600, CONN_HEALTH_CHECKS=True)
# Longer than any transaction computes between two statements.
TRANSACTION_IDLE_SECONDS = env.integer("TRANSACTION_IDLE_SECONDS", 30, minimum=1, maximum=3_600)
# On PostgreSQL: statements that run for every job are parsed and planned once a connection.
DATABASE_KEEPS_STATEMENTS = env.boolean("DATABASE_KEEPS_STATEMENTS", True)
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    DATABASES["default"]["ENGINE"] = "genfeed.postgresql"
    # A server that is gone without a word is no reason to wait for two minutes.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["ENGINE"] = "genfeed.sqlite"
    if DATABASES["default"]["NAME"] != ":memory:":
        # Beside manage.py wherever it is called from, or every folder would have a database of its own.
        DATABASES["default"]["NAME"] = str(BASE_DIR / DATABASES["default"]["NAME"])
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE takes the write lock at BEGIN: two transactions that read, then write, wait for each other
        # instead of failing with "database is locked".
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # Each connection of each thread keeps so many KiB of pages, beside what the system keeps of the file for all.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-4000;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "genfeed.formats"
USE_TZ = True

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- Security --------------------------------------------------------------------------------------------------------
BEHIND_TLS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SESSION_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Thumbnails are the providers' own, on hosts that nobody promises to keep: images may come from any https host
# (and from the sandbox); scripts and styles only from here.
_IMAGES = [CSP.SELF, "data:", "https:", *([SANDBOX_URL] if SANDBOX_ACTIVE else [])]
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": _IMAGES,
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
    "form-action": [CSP.SELF],
}

# --- Web processes ---------------------------------------------------------------------------------------------------
# asgi: streams and short requests on one port; wsgi: short requests alone, a little faster.
WEB_INTERFACE = env.choice("WEB_INTERFACE", "asgi", ("asgi", "wsgi"))
WEB_WORKERS = env.integer("WEB_WORKERS", 1, minimum=1, maximum=256)
WEB_THREADS = env.integer("WEB_THREADS", 4, minimum=1, maximum=256)
# Event streams that one web process holds at once: of all clients, and of one.
MAX_STREAMS = env.integer("MAX_STREAMS", 2_000, minimum=0, maximum=100_000)
MAX_CLIENT_STREAMS = env.integer("MAX_CLIENT_STREAMS", 100, minimum=0, maximum=100_000)
# Asked to stop, a web process tells /readyz for so long that it will, and then lets requests under way end for so long.
WEB_DRAIN_SECONDS = env.number("WEB_DRAIN_SECONDS", 0.0, minimum=0.0, maximum=300.0)
WEB_STOP_SECONDS = env.integer("WEB_STOP_SECONDS", 5, minimum=1, maximum=600)
# How long a request may wait for its job (OpenAI's images, agents' tools); the job goes on after that.
SYNC_WAIT_SECONDS = env.integer("SYNC_WAIT_SECONDS", 300, minimum=1, maximum=3_600)

# --- Background work -------------------------------------------------------------------------------------------------
Q_CLUSTER = {
    "name": "genfeed",
    "label": "Background tasks",
    "orm": "default",
    "broker_class": "genfeed.postgresql.broker.Broker",
    "workers": env.integer("WORKER_PROCESSES", 2, minimum=1, maximum=64),
    # `retry` must exceed `timeout` plus waiting, or a long task is handed out twice.
    "timeout": 900,
    "retry": 1200,
    "max_attempts": 2,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": 1000,
    "poll": 0.5,
}

# --- Logs ------------------------------------------------------------------------------------------------------------
LOG_FORMAT = env.choice("LOG_FORMAT", "json", ("json", "text"))
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = logs.logging_of(LOG_FORMAT, LOG_LEVEL)

METRICS_TOKEN = env.secret("METRICS_TOKEN")
# The per-process files of the metrics library, joined at each scrape of /metrics. It decides at its import, which any
# package may cause, whether it works for several processes: so the folder is named here, before all of them.
METRICS_DIR = VAR_DIR / "metrics"
METRICS_DIR.mkdir(exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)

from genfeed import metric_files  # noqa: E402 - what it imports asks for that folder

metric_files.install()
