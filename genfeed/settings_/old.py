"""All settings, read from the environment and from `.env` beside manage.py; `.env.example` explains each."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from genfeed import env, logs
from genfeed.net.signing import new_secret

BASE_DIR = Path(__file__).resolve().parent.parent
# The process's own environment wins over the file.
environ.Env.read_env(BASE_DIR / ".env")

# Everything that the embedded default writes lies here: database, media, generated secrets.
VAR_DIR = BASE_DIR / Path(env.text("GENFEED_VAR_DIR") or "var").expanduser()
VAR_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)

GENFEED_MODE = env.choice("GENFEED_MODE", "cloud", ("cloud", "core"))
DEBUG = env.boolean("DEBUG", False)
SECRET_KEY = env.secret("SECRET_KEY", generated_into=VAR_DIR / "secret_key")
# Secrets that must be read again are sealed with the first and read with any of them (genfeed.clients.sealing).
ENCRYPTION_KEYS = env.fernet_keys("ENCRYPTION_KEYS", generated_into=VAR_DIR / "encryption_keys")
PUBLIC_URL = env.base_url("PUBLIC_URL", "")

# --- Providers -------------------------------------------------------------------------------------------------------
# Without a key, `manage.py up` runs the sandbox and leaves its address here, so that every other command finds it too.
SANDBOX_FILE = VAR_DIR / "sandbox_url"
# Published: they open nothing but a sandbox.
SANDBOX_KEY, SANDBOX_ADMIN_KEY = "sandbox-key:sandbox-secret", "sandbox-admin:sandbox-secret"
SANDBOX_REPLICATE_KEY = "r8_sandbox"
SANDBOX_ACCEPTS = [SANDBOX_KEY, SANDBOX_ADMIN_KEY, SANDBOX_REPLICATE_KEY]
# Both names are accepted; where both are set, FAL_API_KEY wins.
FAL_KEY = env.secret("FAL_API_KEY") or env.secret("FAL_KEY")
FAL_ADMIN_KEY = env.secret("FAL_ADMIN_KEY")
SANDBOX_URL = SANDBOX_FILE.read_text().strip() if SANDBOX_FILE.exists() else ""
FAL_ITSELF = "https://api.fal.ai/v1"
FAL_PLATFORM_URL = env.base_url("FAL_PLATFORM_URL", FAL_ITSELF)
FAL_QUEUE_URL = env.base_url("FAL_QUEUE_URL", "https://queue.fal.run")
FAL_RUN_URL = env.base_url("FAL_RUN_URL", "https://fal.run")
FAL_REST_URL = env.base_url("FAL_REST_URL", "https://rest.fal.ai")
FAL_CDN_URL = env.base_url("FAL_CDN_URL", "https://v3.fal.media")
FAL_WEB_URL = env.base_url("FAL_WEB_URL", "https://fal.ai")
# Another address for fal is a decision; fal's own is not, as it also comes with a copied .env.example.
SANDBOX_ACTIVE = bool(SANDBOX_URL and not FAL_KEY and FAL_PLATFORM_URL == FAL_ITSELF)
SANDBOX_STANDS_FOR = ["fal"] if SANDBOX_ACTIVE else []
if SANDBOX_ACTIVE:
    FAL_KEY, FAL_ADMIN_KEY, FAL_PLATFORM_URL = SANDBOX_KEY, SANDBOX_ADMIN_KEY, f"{SANDBOX_URL}/v1"
    # All together: what a sandbox is asked must never reach fal itself by a second address.
    FAL_QUEUE_URL, FAL_RUN_URL = f"{SANDBOX_URL}/queue", f"{SANDBOX_URL}/run"
    FAL_REST_URL, FAL_CDN_URL = f"{SANDBOX_URL}/rest", f"{SANDBOX_URL}/cdn"
    FAL_WEB_URL = SANDBOX_URL if FAL_WEB_URL == "https://fal.ai" else FAL_WEB_URL

# Where test jobs run (jobs.testmode): the sandbox that `manage.py up` starts for them, or one that runs elsewhere.
TEST_SANDBOX_FILE = VAR_DIR / "test_sandbox_url"
_test_sandbox = TEST_SANDBOX_FILE.read_text().strip() if TEST_SANDBOX_FILE.exists() else ""
TEST_SANDBOX_URL = env.base_url("TEST_SANDBOX_URL", SANDBOX_URL if SANDBOX_ACTIVE else _test_sandbox)
# Days that test jobs and their files are kept.
TEST_DATA_DAYS = env.integer("TEST_DATA_DAYS", 7, minimum=1, maximum=3650)

# Replicate tells nothing without a key: without one it is left alone, but for the sandbox's.
REPLICATE_API_TOKEN = env.secret("REPLICATE_API_TOKEN")
REPLICATE_ITSELF = "https://api.replicate.com/v1"
REPLICATE_URL = env.base_url("REPLICATE_URL", REPLICATE_ITSELF)
REPLICATE_WEB_URL = env.base_url("REPLICATE_WEB_URL", "https://replicate.com")
if SANDBOX_ACTIVE and not REPLICATE_API_TOKEN and REPLICATE_URL == REPLICATE_ITSELF:
    # The same sandbox, at the same address.
    SANDBOX_STANDS_FOR.append("replicate")
    REPLICATE_API_TOKEN, REPLICATE_URL = SANDBOX_REPLICATE_KEY, f"{SANDBOX_URL}/replicate/v1"
    REPLICATE_WEB_URL = f"{SANDBOX_URL}/replicate/web"
REPLICATE_PRICES = env.text("REPLICATE_PRICES")
REPLICATE_PAGES = env.integer("REPLICATE_PAGES", 200, minimum=0, maximum=100_000)
REPLICATE_MAX_RETRIES = env.integer("REPLICATE_MAX_RETRIES", 3, minimum=0, maximum=10)
REPLICATE_RETRY_DELAY = env.number("REPLICATE_RETRY_DELAY", 1.0, minimum=0.0, maximum=60.0)

# USD of credit at a provider below which staff are told.
PROVIDER_CREDIT_LOW = env.amount("PROVIDER_CREDIT_LOW", "20")
CATALOG_REVIEW_NEW = env.boolean("CATALOG_REVIEW_NEW", False)
PRICE_ALERT_PERCENT = env.number("PRICE_ALERT_PERCENT", 5.0, minimum=0.0, maximum=1000.0)
PRICE_HOLD_PERCENT = env.number("PRICE_HOLD_PERCENT", 50.0, minimum=0.0, maximum=10_000.0)
CATALOG_SYNC_CONCURRENCY = env.integer("CATALOG_SYNC_CONCURRENCY", 8, minimum=1, maximum=64)
FAL_MAX_RETRIES = env.integer("FAL_MAX_RETRIES", 3, minimum=0, maximum=10)
FAL_RETRY_DELAY = env.number("FAL_RETRY_DELAY", 1.0, minimum=0.0, maximum=60.0)
CATALOG_TIMEOUT_SECONDS = env.integer("CATALOG_TIMEOUT_SECONDS", 10, minimum=1, maximum=300)

# --- The catalog from and for other installations ---------------------------------------------------------------------
# The cloud installation whose catalog is taken over, and a key of it with scope models:read.
CLOUD_URL = env.base_url("CLOUD_URL", "")
CLOUD_API_KEY = env.secret("CLOUD_API_KEY")
# The key that its exports are signed with; unset: the one that it tells at first use.
CLOUD_PUBLIC_KEY = env.text("CLOUD_PUBLIC_KEY")
CATALOG_SOURCE = env.choice("CATALOG_SOURCE", "cloud" if CLOUD_URL else "provider", ("cloud", "provider"))
if CATALOG_SOURCE == "cloud" and not CLOUD_URL:
    raise ImproperlyConfigured("CATALOG_SOURCE is cloud, so CLOUD_URL must be the address of a GenFeed installation.")
# Whether the prices that providers show our account are those that everybody pays. Unset, bills have to show it before
# any goes out; the sandbox's prices are nobody's own.
PRICES_ARE_LIST_PRICES = env.boolean("PRICES_ARE_LIST_PRICES", SANDBOX_ACTIVE)
# What signs the exports of this installation: 32 bytes in base64.
CATALOG_SIGNING_KEY = env.ed25519_key("CATALOG_SIGNING_KEY", generated_into=VAR_DIR / "catalog_signing_key")
# The task of a queued sync; the catalog asks for it by this name, because it must not know what else a sync does.
SYNC_TASK = "genfeed.cloud.tasks.run_queued_sync" if CATALOG_SOURCE == "cloud" else "genfeed.sync.run_queued_sync"

# --- Estimates and choosing a model ----------------------------------------------------------------------------------
# `host:port` pairs that may be fetched although they are not on the public internet.
SSRF_ALLOW = [*env.words("SSRF_ALLOW"), *([urlsplit(SANDBOX_URL).netloc] if SANDBOX_ACTIVE else [])]
PROBE_SECONDS = env.number("PROBE_SECONDS", 4.0, minimum=0.5, maximum=30.0)
# USD per output that the words low, medium and high of a budget stand for.
BUDGET_LOW = env.amount("BUDGET_LOW", "0.01")
BUDGET_MEDIUM = env.amount("BUDGET_MEDIUM", "0.05")
BUDGET_HIGH = env.amount("BUDGET_HIGH", "0.20")
# Deadlines in seconds, of the whole job from its submission, time in the provider's queue apart. Videos: under 5 s, up
# to 10 s, longer.
FAL_TIMEOUT_IMAGE = env.integer("FAL_TIMEOUT_IMAGE", 60, minimum=1, maximum=86_400)
FAL_TIMEOUT_UPSCALE = env.integer("FAL_TIMEOUT_UPSCALE", 90, minimum=1, maximum=86_400)
FAL_TIMEOUT_VIDEO_SHORT = env.integer("FAL_TIMEOUT_VIDEO_SHORT", 180, minimum=1, maximum=86_400)
FAL_TIMEOUT_VIDEO = env.integer("FAL_TIMEOUT_VIDEO", 300, minimum=1, maximum=86_400)
FAL_TIMEOUT_VIDEO_LONG = env.integer("FAL_TIMEOUT_VIDEO_LONG", 600, minimum=1, maximum=86_400)
# Deadlines of kinds of work that have none of their own, in seconds.
DEADLINE_TRAINING_SECONDS = env.integer("DEADLINE_TRAINING_SECONDS", 7200, minimum=60, maximum=86_400)
DEADLINE_OTHER_SECONDS = env.integer("DEADLINE_OTHER_SECONDS", 600, minimum=10, maximum=86_400)

# --- Recommendations -------------------------------------------------------------------------------------------------
# Figures of fewer jobs in 30 days recommend nothing.
RECOMMEND_MIN_JOBS = env.integer("RECOMMEND_MIN_JOBS", 20, minimum=1, maximum=1_000_000)
RECOMMEND_FAILURE_PERCENT = env.number("RECOMMEND_FAILURE_PERCENT", 25.0, minimum=1.0, maximum=100.0)
RECOMMEND_MARGIN_PERCENT = env.number("RECOMMEND_MARGIN_PERCENT", 50.0, minimum=0.0, maximum=99.0)
RECOMMEND_MIN_REFUSED = env.integer("RECOMMEND_MIN_REFUSED", 10, minimum=1, maximum=1_000_000)
RECOMMEND_MIN_THROTTLED = env.integer("RECOMMEND_MIN_THROTTLED", 50, minimum=1, maximum=1_000_000)
RECOMMEND_CHEAPER_PERCENT = env.number("RECOMMEND_CHEAPER_PERCENT", 10.0, minimum=1.0, maximum=99.0)
RECOMMEND_UNUSED_DAYS = env.integer("RECOMMEND_UNUSED_DAYS", 90, minimum=7, maximum=1000)
# What was dismissed or undone is not recommended again for so long.
RECOMMEND_QUIET_DAYS = env.integer("RECOMMEND_QUIET_DAYS", 30, minimum=1, maximum=1000)

# --- API keys --------------------------------------------------------------------------------------------------------
KEY_ROTATION_DAYS = env.integer("KEY_ROTATION_DAYS", 90, minimum=0, maximum=3650)
MAX_KEYS = env.integer("MAX_KEYS", 50, minimum=1, maximum=10_000)

# --- Limits of clients that have none of their own -------------------------------------------------------------------
JOBS_PER_MINUTE = env.integer("JOBS_PER_MINUTE", 60, minimum=0, maximum=1_000_000)
READS_PER_MINUTE = env.integer("READS_PER_MINUTE", 6000, minimum=0, maximum=10_000_000)
MAX_IN_FLIGHT = env.integer("MAX_IN_FLIGHT", 10, minimum=0, maximum=100_000)
MAX_QUEUED = env.integer("MAX_QUEUED", 100, minimum=0, maximum=1_000_000)
# Jobs of batches, waiting and in flight together: they have a queue of their own, and share the places in flight.
MAX_OPEN_IN_BATCHES = env.integer("MAX_OPEN_IN_BATCHES", 1000, minimum=0, maximum=1_000_000)
MAX_OPEN_WORKFLOWS = env.integer("MAX_OPEN_WORKFLOWS", 100, minimum=0, maximum=100_000)

# --- Jobs ------------------------------------------------------------------------------------------------------------
# Our own requests at a provider at once, by one key; what is beyond waits in our queue.
REPLICATE_MAX_CONCURRENT = env.integer("REPLICATE_MAX_CONCURRENT", 40, minimum=1, maximum=100_000)
FAL_MAX_CONCURRENT = env.integer("FAL_MAX_CONCURRENT", 40, minimum=1, maximum=100_000)
DISPATCH_THREADS = env.integer("DISPATCH_THREADS", 32, minimum=1, maximum=512)
# For how long a dispatcher has a job to itself, in seconds; a dead one's jobs are taken up by others after that.
CLAIM_LEASE_SECONDS = env.number("CLAIM_LEASE_SECONDS", 90.0, minimum=0.5, maximum=3_600.0)
# How long a job may wait in our own queue, one of a batch, and how long an unclear submit is looked for, in seconds.
QUEUE_TIMEOUT_SECONDS = env.integer("QUEUE_TIMEOUT_SECONDS", 900, minimum=5, maximum=86_400)
BATCH_QUEUE_TIMEOUT_SECONDS = env.integer("BATCH_QUEUE_TIMEOUT_SECONDS", 86_400, minimum=5, maximum=604_800)
SUBMIT_GRACE_SECONDS = env.integer("SUBMIT_GRACE_SECONDS", 120, minimum=1, maximum=3_600)
# How long a step of a workflow waits for money, a place or a provider before it fails, in seconds.
WORKFLOW_PATIENCE_SECONDS = env.integer("WORKFLOW_PATIENCE_SECONDS", 3_600, minimum=0, maximum=604_800)
# One call to the provider's queue, in seconds: a submit, and a look at the status.
SUBMIT_TIMEOUT_SECONDS = env.number("SUBMIT_TIMEOUT_SECONDS", 30.0, minimum=0.1, maximum=300.0)
STATUS_TIMEOUT_SECONDS = env.number("STATUS_TIMEOUT_SECONDS", 5.0, minimum=0.1, maximum=60.0)
# Results that clients let be used again: for how many seconds (0: never), and what that costs, in percent of the price.
CACHE_RESULT_SECONDS = env.integer("CACHE_RESULT_SECONDS", 604_800, minimum=0, maximum=315_360_000)
CACHE_PRICE_PERCENT = env.integer("CACHE_PRICE_PERCENT", 0, minimum=0, maximum=100)
# How long the provider keeps its own copy of outputs, in seconds: ours is the one that lasts.
FAL_OBJECT_SECONDS = env.integer("FAL_OBJECT_SECONDS", 604_800, minimum=3_600, maximum=31_536_000)
# What providers answered is kept beside each job for so many days, for staff.
PROVIDER_ANSWER_DAYS = env.integer("PROVIDER_ANSWER_DAYS", 30, minimum=1, maximum=3650)
# What a request may ask for at most, where the model would take more; 0 means no cap.
MAX_PROMPT_CHARACTERS = env.integer("MAX_PROMPT_CHARACTERS", 2000, minimum=0, maximum=1_000_000)
MAX_IMAGES = env.integer("MAX_IMAGES", 16, minimum=0, maximum=1000)
MAX_MEGAPIXELS = env.integer("MAX_MEGAPIXELS", 64, minimum=0, maximum=10_000)
MAX_SECONDS = env.integer("MAX_SECONDS", 600, minimum=0, maximum=86_400)
MAX_FRAMES = env.integer("MAX_FRAMES", 10_000, minimum=0, maximum=1_000_000)

# --- Notices ---------------------------------------------------------------------------------------------------------
MAILERS = env.mailers("EMAIL_URL")
# Sending no mail is a choice, not a mistake.
SILENCED_SYSTEM_CHECKS = ["mail.E001"]
SENDS_MAIL = not MAILERS["default"]["BACKEND"].endswith("dummy.EmailBackend")
EMAIL_FROM = env.text("EMAIL_FROM") or "genfeed@localhost"
DEFAULT_FROM_EMAIL = EMAIL_FROM
ALERT_EMAILS = env.words("ALERT_EMAILS")
ALERT_WEBHOOK_URL = env.base_url("ALERT_WEBHOOK_URL", "")
ALERT_WEBHOOK_SECRET = (
    env.secret("ALERT_WEBHOOK_SECRET", VAR_DIR / "alert_webhook_secret", new_secret) if ALERT_WEBHOOK_URL else ""
)
ALERT_LEVEL = env.choice("ALERT_LEVEL", "warning", ("info", "warning", "critical"))

# --- Files -----------------------------------------------------------------------------------------------------------
# Downloads at once in one dispatcher; how many seconds one may take, how many bytes it may have, how often it is tried.
ASSET_THREADS = env.integer("ASSET_THREADS", 8, minimum=1, maximum=256)
ASSET_DOWNLOAD_SECONDS = env.number("ASSET_DOWNLOAD_SECONDS", 600.0, minimum=0.1, maximum=86_400.0)
ASSET_MAX_BYTES = env.integer("ASSET_MAX_BYTES", 2_147_483_648, minimum=1_000, maximum=10**13)
ASSET_ATTEMPTS = env.integer("ASSET_ATTEMPTS", 12, minimum=1, maximum=100)
# The body of any request but an upload; data URIs of an input count.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.integer("REQUEST_MAX_BYTES", 10_485_760, minimum=100_000, maximum=10**9)
UPLOAD_MAX_BYTES = env.integer("UPLOAD_MAX_BYTES", 209_715_200, minimum=1_000, maximum=10**12)
# Resumable uploads: the largest file, hours without a byte until one is given up, and how many a client may have open.
RESUMABLE_MAX_BYTES = env.integer("RESUMABLE_MAX_BYTES", 10_737_418_240, minimum=1_000, maximum=10**13)
RESUMABLE_HOURS = env.integer("RESUMABLE_HOURS", 24, minimum=1, maximum=720)
MAX_PARTIAL_UPLOADS = env.integer("MAX_PARTIAL_UPLOADS", 20, minimum=0, maximum=10_000)
# How long a signed address is good, in seconds.
ASSET_URL_SECONDS = env.integer("ASSET_URL_SECONDS", 86_400, minimum=60, maximum=31_536_000)
# A function (dotted path) that sees every file before it is served; jobs.assets.clamav.scan asks clamd.
ASSET_SCANNER = env.text("ASSET_SCANNER")
CLAMAV_ADDRESS = env.text("CLAMAV_ADDRESS", "127.0.0.1:3310")
CLAMAV_SECONDS = env.number("CLAMAV_SECONDS", 120.0, minimum=0.1, maximum=3_600.0)
# How long a job's events_url is good, in seconds.
EVENTS_URL_SECONDS = env.integer("EVENTS_URL_SECONDS", 3_600, minimum=60, maximum=31_536_000)
# Days that files are kept; 0: for ever.
OUTPUT_DAYS = env.integer("OUTPUT_DAYS", 90, minimum=0, maximum=36_500)
INPUT_DAYS = env.integer("INPUT_DAYS", 30, minimum=0, maximum=36_500)

# --- Webhooks to clients ---------------------------------------------------------------------------------------------
WEBHOOK_THREADS = env.integer("WEBHOOK_THREADS", 16, minimum=1, maximum=256)
MAX_WEBHOOK_ENDPOINTS = env.integer("MAX_WEBHOOK_ENDPOINTS", 20, minimum=0, maximum=10_000)

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
    "django_q",
    "ninja",
    "genfeed.apps.GenFeedConfig",
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
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;",
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

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "genfeed.formats"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MEDIA_ROOT = VAR_DIR / "media"
# Files of jobs and clients. Never below STATIC_ROOT, and served by signed addresses alone.
ASSET_STORAGE = env.text("ASSET_STORAGE")
ASSET_STORAGE_OPTIONS = env.json_object("ASSET_STORAGE_OPTIONS")
STORAGES["assets"] = {
    "BACKEND": ASSET_STORAGE or STORAGES["default"]["BACKEND"],
    "OPTIONS": ASSET_STORAGE_OPTIONS if ASSET_STORAGE else {"location": MEDIA_ROOT / "assets"},
}
# Downloads on their way; on the disk of the media they need not be copied once they are here.
ASSET_TEMP_DIR = MEDIA_ROOT / "incoming"
ASSET_TEMP_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
FILE_UPLOAD_TEMP_DIR = ASSET_TEMP_DIR
# Uploads are private: the application alone reads them.
FILE_UPLOAD_PERMISSIONS = 0o640
# Served straight from the packages' folders: no collectstatic step between clone and first page.
WHITENOISE_USE_FINDERS = True

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
# How long a request may wait for its job (OpenAI's images, agents' tools); the job goes on after that.
SYNC_WAIT_SECONDS = env.integer("SYNC_WAIT_SECONDS", 300, minimum=1, maximum=3_600)

# --- Background work -------------------------------------------------------------------------------------------------
Q_CLUSTER = {
    "name": "genfeed",
    "label": "Background tasks",
    "orm": "default",
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
