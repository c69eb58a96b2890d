"""The settings: typed, explained, and refused with a sentence where they make no sense."""

import importlib
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from genfeed import env

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = sorted((ROOT / "genfeed" / "settings").glob("*.py"))
READ = re.findall(r'env\.\w+\(\s*"(\w+)"', "\n".join(path.read_text() for path in SETTINGS))
EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Reads the settings anew, as a process with just these variables would."""

    def run(**environment: str) -> dict[str, Any]:
        for name in [*READ, *(f"{name}_FILE" for name in READ)]:
            monkeypatch.delenv(name, raising=False)
        # Set here to be put back: the settings write it.
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""))
        monkeypatch.setattr("environ.Env.read_env", lambda *_: None)
        for name, value in {"GENFEED_VAR_DIR": str(tmp_path), **environment}.items():
            monkeypatch.setenv(name, value)
        for name in [name for name in sys.modules if name.split(".")[:2] == ["genfeed", "settings"]]:
            monkeypatch.delitem(sys.modules, name)
        return vars(importlib.import_module("genfeed.settings"))

    return run


def manage(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in READ}
    kept |= {"GENFEED_VAR_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "genfeed.settings", **environment}
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=60, check=False)


BAD = [
    ("GENFEED_MODE", "clowd", "GENFEED_MODE is 'clowd'; it must be one of: cloud, core."),
    ("DEBUG", "maybe", "DEBUG is 'maybe'; it must be true or false."),
    ("CATALOG_REVIEW_NEW", "2", "CATALOG_REVIEW_NEW is '2'; it must be true or false."),
    ("EMAIL_URL", "foo://user:hunter2@x", "EMAIL_URL can't be read; it must be like smtp+tls://"),
    ("PUBLIC_URL", "example.com", "PUBLIC_URL is 'example.com'; it must be a URL such as https://example.com/path."),
    ("PUBLIC_URL", "ftp://example.com", "PUBLIC_URL is 'ftp://example.com'; it must be a URL"),
    ("PUBLIC_URL", "https://", "PUBLIC_URL is 'https:'; it must be a URL"),
    ("PUBLIC_URL", "http://[::1", "PUBLIC_URL is 'http://[::1'; it must be a URL"),
    ("FAL_PLATFORM_URL", "http://host:notaport", "FAL_PLATFORM_URL is 'http://host:notaport'; it must be a URL"),
    ("FAL_WEB_URL", "//fal.ai", "FAL_WEB_URL is '//fal.ai'; it must be a URL"),
    ("CATALOG_SYNC_CONCURRENCY", "many", "CATALOG_SYNC_CONCURRENCY is 'many'; it must be a whole number."),
    ("CATALOG_SYNC_CONCURRENCY", "0", "CATALOG_SYNC_CONCURRENCY is 0; it must lie between 1 and 64."),
    ("CATALOG_TIMEOUT_SECONDS", "1.5", "CATALOG_TIMEOUT_SECONDS is '1.5'; it must be a whole number."),
    ("FAL_MAX_RETRIES", "-1", "FAL_MAX_RETRIES is -1; it must lie between 0 and 10."),
    ("FAL_RETRY_DELAY", "nan", "FAL_RETRY_DELAY is nan; it must lie between 0.0 and 60.0."),
    ("FAL_RETRY_DELAY", "soon", "FAL_RETRY_DELAY is 'soon'; it must be a number."),
    ("WEB_WORKERS", "0", "WEB_WORKERS is 0; it must lie between 1 and 256."),
    ("WEB_THREADS", "257", "WEB_THREADS is 257; it must lie between 1 and 256."),
    ("WORKER_PROCESSES", "", "WORKER_PROCESSES is ''; it must be a whole number."),
    ("LOG_FORMAT", "xml", "LOG_FORMAT is 'xml'; it must be one of: json, text."),
    ("LOG_LEVEL", "debug", "LOG_LEVEL is 'debug'; it must be one of: DEBUG, INFO, WARNING, ERROR."),
    ("SECRET_KEY_FILE", "/no/such/file", "SECRET_KEY_FILE names /no/such/file, which can't be read:"),
    ("FAL_KEY", "CHANGE-ME", "FAL_KEY is still CHANGE-ME, which everybody knows; set it, or remove the line."),
    ("METRICS_TOKEN", "CHANGE-ME", "METRICS_TOKEN is still CHANGE-ME, which everybody knows;"),
    ("SECRET_KEY", "CHANGE-ME", "SECRET_KEY is still CHANGE-ME, which everybody knows;"),
    ("ENCRYPTION_KEYS", "CHANGE-ME", "ENCRYPTION_KEYS is still CHANGE-ME, which everybody knows;"),
    ("DATABASE_URL", "mysql://root:hush@db/genfeed", "DATABASE_URL must begin with sqlite:// or postgres://."),
    ("DATABASE_URL", "db.sqlite3", "DATABASE_URL must begin with sqlite:// or postgres://."),
    ("DATABASE_URL", "postgres://me:hush@db:port/x", "DATABASE_URL can't be read as a URL;"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), BAD)
def test_a_bad_value_is_refused_with_a_sentence_that_names_the_setting(
    load: Any, name: str, value: str, sentence: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        load(**{name: value})

    assert str(caught.value).startswith(sentence)
    assert "hush" not in str(caught.value)


def test_manage_py_check_shows_the_sentence_and_fails(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", GENFEED_MODE="clowd")

    assert done.returncode != 0
    assert done.stderr.strip() == "GENFEED_MODE is 'clowd'; it must be one of: cloud, core."


def test_manage_py_check_is_content_without_any_setting(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", "--fail-level", "WARNING")

    assert (done.returncode, done.stdout) == (0, "System check identified no issues (0 silenced).\n")


def test_settings_that_make_no_sense_stop_any_command(tmp_path: Path) -> None:
    done = manage(tmp_path, "create_client", "Acme", SECRET_KEY="too short")

    assert (done.returncode, done.stdout) == (1, "")
    assert "genfeed.E001" in done.stderr


def test_a_command_loads_pages_and_addresses_only_where_it_checks_them(tmp_path: Path) -> None:
    code = """
import sys
from django.contrib import admin
from django.core import checks
print("genfeed.urls" in sys.modules, len(admin.site._registry))
checks.run_checks(tags=["admin"])
print("genfeed.urls" in sys.modules, len(admin.site._registry) > 20)
"""
    done = manage(tmp_path, "shell", "--no-imports", "-c", code)

    assert done.stdout.splitlines() == ["False 0", "True True"], done.stderr


def test_every_setting_has_its_default(load: Any, tmp_path: Path) -> None:
    settings = load()

    expected = {
        "GENFEED_MODE": "cloud", "DEBUG": False, "PUBLIC_URL": "", "FAL_KEY": "", "SANDBOX_ACTIVE": False,
        "FAL_PLATFORM_URL": "https://api.fal.ai/v1", "FAL_WEB_URL": "https://fal.ai", "CATALOG_REVIEW_NEW": False,
        "FAL_QUEUE_URL": "https://queue.fal.run", "FAL_RUN_URL": "https://fal.run", "FAL_ADMIN_KEY": "",
        "FAL_REST_URL": "https://rest.fal.ai", "FAL_CDN_URL": "https://v3.fal.media",
        "FAL_MAX_RETRIES": 3, "FAL_RETRY_DELAY": 1.0, "METRICS_TOKEN": "", "LOG_FORMAT": "json", "LOG_LEVEL": "INFO",
        "ALLOWED_HOSTS": ["localhost", "127.0.0.1", "[::1]"],
        "MAX_IN_FLIGHT": 10, "JOBS_PER_MINUTE": 60, "FAL_MAX_CONCURRENT": 40, "MAX_PROMPT_CHARACTERS": 2000,
        "CATALOG_TIMEOUT_SECONDS": 10, "STATUS_TIMEOUT_SECONDS": 5.0, "CATALOG_SYNC_CONCURRENCY": 8,
        "KEY_ROTATION_DAYS": 90,
    }  # fmt: skip
    assert {name: settings[name] for name in expected} == expected
    assert settings["DATABASES"]["default"]["NAME"] == str(tmp_path / "db.sqlite3")


def test_the_example_lists_exactly_the_settings_that_are_read() -> None:
    assert len(READ) >= 22
    assert set(EXAMPLE) == set(READ)


def test_the_example_explains_every_setting() -> None:
    explained = False
    for line in (ROOT / ".env.example").read_text().splitlines():
        if line.startswith("#") and not line.startswith("# ---"):
            explained = True
        elif not line or line.startswith("# ---"):
            explained = False
        else:
            # Settings that belong together share the comment above them.
            assert explained, f"{line} has no comment above it"


def test_the_example_shows_the_defaults(load: Any, tmp_path: Path) -> None:
    ours = {"GENFEED_VAR_DIR", "DATABASE_URL", "SECRET_KEY"}
    secret = {"SECRET_KEY": "x" * 40}
    shown = load(**{name: value for name, value in EXAMPLE.items() if name not in ours}, **secret)
    default = load(**secret)

    compared = [name for name in default if name.isupper() and name not in ("CSP",)]
    assert {name: shown[name] for name in compared} == {name: default[name] for name in compared}


def test_the_example_copied_as_it_is_works(load: Any, tmp_path: Path) -> None:
    settings = load(**EXAMPLE | {"GENFEED_VAR_DIR": str(tmp_path)})

    assert len(settings["SECRET_KEY"]) >= 50


def test_mail_goes_out_by_the_url_that_is_set(load: Any) -> None:
    off, on = load(), load(EMAIL_URL="smtp+tls://user:p%40ss@mail.example.com:587")

    assert (off["SENDS_MAIL"], on["SENDS_MAIL"]) == (False, True)
    options = on["MAILERS"]["default"]["OPTIONS"]
    assert (options["host"], options["port"], options["password"], options["use_tls"]) == (
        "mail.example.com", 587, "p@ss", True,
    )  # fmt: skip


def test_fal_api_key_wins_over_fal_key(load: Any) -> None:
    assert load(FAL_API_KEY="first:a", FAL_KEY="second:b")["FAL_KEY"] == "first:a"
    assert load(FAL_KEY="second:b")["FAL_KEY"] == "second:b"
    assert load(FAL_API_KEY="", FAL_KEY="second:b")["FAL_KEY"] == "second:b"


@pytest.mark.parametrize("name", ["SECRET_KEY", "FAL_KEY", "FAL_API_KEY", "METRICS_TOKEN"])
def test_a_secret_can_be_read_from_a_file(load: Any, tmp_path: Path, name: str) -> None:
    file = tmp_path / "the secret"
    file.write_text("from the file, and long enough for all uses\n")

    settings = load(**{f"{name}_FILE": str(file)})

    found = settings["FAL_KEY" if name == "FAL_API_KEY" else name]
    assert found == "from the file, and long enough for all uses"


def test_a_secret_itself_wins_over_its_file(load: Any, tmp_path: Path) -> None:
    file = tmp_path / "the secret"
    file.write_text("from the file")

    assert load(FAL_KEY="given:itself", FAL_KEY_FILE=str(file))["FAL_KEY"] == "given:itself"


def test_files_lie_in_the_storage_that_is_set(load: Any, tmp_path: Path) -> None:
    assert load()["STORAGES"]["assets"]["OPTIONS"] == {"location": tmp_path / "media" / "assets"}

    set_so = load(ASSET_STORAGE="jobs.assets.s3.S3Storage", ASSET_STORAGE_OPTIONS='{"bucket_name": "media"}')

    assert set_so["STORAGES"]["assets"] == {
        "BACKEND": "jobs.assets.s3.S3Storage", "OPTIONS": {"bucket_name": "media"},
    }  # fmt: skip


def test_the_secret_key_is_generated_once_for_its_owner_alone(load: Any, tmp_path: Path) -> None:
    first = load()["SECRET_KEY"]
    second = load()["SECRET_KEY"]

    file = tmp_path / "secret_key"
    assert first == second == file.read_text()
    assert len(first) >= 50
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_secret_key_that_is_given_is_written_nowhere(load: Any, tmp_path: Path) -> None:
    load(SECRET_KEY="given " * 10)

    assert not (tmp_path / "secret_key").exists()


def test_two_processes_that_start_together_have_the_same_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    file = tmp_path / "secret_key"
    file.touch(0o600)  # made by the other process, which has not written yet
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(env.secret("SECRET_KEY", generated_into=file)))
    reader.start()
    reader.join(0.05)

    file.write_text("what the other wrote")
    reader.join(10)

    assert found == ["what the other wrote"]


def test_the_data_folder_is_closed_to_others(load: Any, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"

    load(GENFEED_VAR_DIR=str(folder))

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_relative_paths_start_beside_manage_py(load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = os.path.relpath(tmp_path / "data", ROOT)

    settings = load(GENFEED_VAR_DIR=relative, DATABASE_URL=f"sqlite:///{relative}/db.sqlite3")

    assert settings["VAR_DIR"].resolve() == (tmp_path / "data").resolve()
    assert Path(settings["DATABASES"]["default"]["NAME"]).resolve() == (tmp_path / "data" / "db.sqlite3").resolve()


def test_an_empty_data_folder_setting_means_the_default(load: Any) -> None:
    assert load(GENFEED_VAR_DIR="", SECRET_KEY="x" * 40)["VAR_DIR"] == ROOT / "var"


def test_with_a_public_url_its_host_is_answered_and_trusted(load: Any) -> None:
    settings = load(PUBLIC_URL="https://media.example.com:8443/")

    assert settings["PUBLIC_URL"] == "https://media.example.com:8443"
    assert "media.example.com" in settings["ALLOWED_HOSTS"]
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://media.example.com:8443"]


def test_behind_tls_cookies_are_secure_and_hsts_is_sent(load: Any) -> None:
    behind, plain = load(PUBLIC_URL="https://media.example.com"), load()

    for name, secure, insecure in (
        ("SESSION_COOKIE_SECURE", True, False),
        ("CSRF_COOKIE_SECURE", True, False),
        ("SECURE_HSTS_SECONDS", 31_536_000, 0),
        ("SECURE_PROXY_SSL_HEADER", ("HTTP_X_FORWARDED_PROTO", "https"), None),
    ):
        assert (behind[name], plain[name]) == (secure, insecure), name


def test_the_sandbox_stands_in_only_while_there_is_no_key(load: Any, tmp_path: Path) -> None:
    (tmp_path / "sandbox_url").write_text("http://127.0.0.1:8484\n")

    alone, with_key, elsewhere = load(), load(FAL_KEY="a:b"), load(FAL_PLATFORM_URL="http://127.0.0.1:9/v1")

    assert (alone["SANDBOX_ACTIVE"], alone["FAL_PLATFORM_URL"]) == (True, "http://127.0.0.1:8484/v1")
    assert alone["FAL_KEY"] == alone["SANDBOX_KEY"]
    assert (with_key["SANDBOX_ACTIVE"], with_key["FAL_PLATFORM_URL"]) == (False, "https://api.fal.ai/v1")
    assert with_key["FAL_KEY"] == "a:b"
    assert (elsewhere["SANDBOX_ACTIVE"], elsewhere["FAL_KEY"]) == (False, "")


def test_the_sandbox_stands_in_at_every_address_and_may_be_fetched_from(load: Any, tmp_path: Path) -> None:
    (tmp_path / "sandbox_url").write_text("http://127.0.0.1:8484\n")

    alone, with_key = load(FAL_ADMIN_KEY="real:admin", SSRF_ALLOW="files:80"), load(FAL_KEY="a:b")

    assert {name: alone[f"FAL_{name}_URL"] for name in ("QUEUE", "RUN", "REST", "CDN")} == {
        "QUEUE": "http://127.0.0.1:8484/queue", "RUN": "http://127.0.0.1:8484/run",
        "REST": "http://127.0.0.1:8484/rest", "CDN": "http://127.0.0.1:8484/cdn",
    }  # fmt: skip
    assert alone["FAL_ADMIN_KEY"] == alone["SANDBOX_ADMIN_KEY"]
    assert (alone["REPLICATE_URL"], alone["REPLICATE_WEB_URL"], alone["REPLICATE_API_TOKEN"]) == (
        "http://127.0.0.1:8484/replicate/v1", "http://127.0.0.1:8484/replicate/web", "r8_sandbox",
    )  # fmt: skip
    assert alone["SSRF_ALLOW"] == ["files:80", "127.0.0.1:8484"]
    assert (with_key["FAL_QUEUE_URL"], with_key["SSRF_ALLOW"]) == ("https://queue.fal.run", [])
    assert (with_key["REPLICATE_API_TOKEN"], with_key["REPLICATE_URL"]) == ("", "https://api.replicate.com/v1")


def test_a_token_for_replicate_itself_is_used_there_beside_the_sandbox(load: Any, tmp_path: Path) -> None:
    (tmp_path / "sandbox_url").write_text("http://127.0.0.1:8484\n")

    found = load(REPLICATE_API_TOKEN="r8_real")

    assert (found["REPLICATE_API_TOKEN"], found["REPLICATE_URL"]) == ("r8_real", "https://api.replicate.com/v1")
    assert found["SANDBOX_ACTIVE"]


def test_the_content_security_policy_allows_nothing_inline(load: Any) -> None:
    policy = str(load()["SECURE_CSP"])

    assert "unsafe" not in policy
    assert load()["SECURE_CSP"]["script-src"] == ["'self'", load()["CSP"].NONCE]


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("1", True),
        ("TRUE", True),
        (" yes ", True),
        ("on", True),
        ("", False),
        ("0", False),
        ("No", False),
        ("off", False),
    ],
)
def test_a_boolean_is_written_in_the_usual_ways(monkeypatch: pytest.MonkeyPatch, raw: str, value: bool) -> None:
    monkeypatch.setenv("A_SWITCH", raw)

    assert env.boolean("A_SWITCH", not value) is value


def test_a_list_has_no_empty_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_LIST", " a.example , ,b.example,")

    assert env.words("A_LIST") == ["a.example", "b.example"]


def test_an_empty_secret_file_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    clock = iter(range(0, 1000, 1))
    monkeypatch.setattr(env.time, "monotonic", lambda: next(clock))
    file = tmp_path / "secret_key"
    file.touch()

    with pytest.raises(ImproperlyConfigured, match=r"secret_key is empty\. Delete it"):
        env.secret("SECRET_KEY", generated_into=file)
