"""Where an installation lives, what it is, and its secrets."""

from pathlib import Path

import environ

from genfeed import env

BASE_DIR = Path(__file__).resolve().parents[2]
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
