"""Providers with their addresses and keys, the sandbox in their place, and where the catalog comes from."""

from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from genfeed import env
from genfeed.settings.installation import VAR_DIR

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

# --- The catalog from and for other installations --------------------------------------------------------------------
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

# `host:port` pairs that may be fetched although they are not on the public internet.
SSRF_ALLOW = [*env.words("SSRF_ALLOW"), *([urlsplit(SANDBOX_URL).netloc] if SANDBOX_ACTIVE else [])]
