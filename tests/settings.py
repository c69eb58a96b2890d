"""The real settings, with the environment of a test run: data in a temporary folder, no waits between retries."""

import atexit
import os
import shutil
import tempfile

_var = tempfile.mkdtemp(prefix="genfeed-tests-")
atexit.register(shutil.rmtree, _var, ignore_errors=True)
for _name in (
    "FAL_API_KEY", "FAL_ADMIN_KEY", "PUBLIC_URL", "METRICS_TOKEN", "CATALOG_REVIEW_NEW", "GENFEED_MODE", "CLOUD_URL",
    "CLOUD_API_KEY", "CLOUD_PUBLIC_KEY", "CATALOG_SOURCE", "CATALOG_SIGNING_KEY", "PRICES_ARE_LIST_PRICES",
):  # fmt: skip
    os.environ.pop(_name, None)
os.environ.update(
    GENFEED_VAR_DIR=_var,
    SECRET_KEY="a secret that only tests know, long enough",
    FAL_KEY="sandbox-key:sandbox-secret",
    # Nothing listens here: a test that forgets its sandbox fails instead of reaching anybody.
    FAL_PLATFORM_URL="http://127.0.0.1:9/v1",
    FAL_QUEUE_URL="http://127.0.0.1:9/queue",
    FAL_RUN_URL="http://127.0.0.1:9/run",
    FAL_REST_URL="http://127.0.0.1:9/rest",
    FAL_CDN_URL="http://127.0.0.1:9/cdn",
    FAL_WEB_URL="http://127.0.0.1:9",
    FAL_RETRY_DELAY="0",
    LOG_FORMAT="text",
    LOG_LEVEL="WARNING",
)

from genfeed.settings import *  # noqa: E402, F403

if DATABASES["default"]["ENGINE"] == "genfeed.sqlite":  # noqa: F405
    # A file, as in real life: an in-memory database is one connection that all threads share.
    DATABASES["default"]["TEST"] = {"NAME": f"{_var}/test.sqlite3"}  # noqa: F405

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
