"""Files of jobs and clients: how large, how long kept, where stored."""

from typing import Any

from genfeed import env
from genfeed.settings.installation import BASE_DIR, VAR_DIR

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

# --- Storage ---------------------------------------------------------------------------------------------------------
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
