"""System checks: settings that can be read but make no sense show at the start."""

from typing import Any

import pytest
from django.core import checks

from genfeed.checks import a_key_is_set, files_can_be_kept, settings_make_sense

pytestmark = pytest.mark.once


@pytest.fixture
def good(settings: Any) -> Any:
    settings.DEBUG = False
    settings.PUBLIC_URL = "https://media.example.com"
    settings.SECRET_KEY = "x" * 32
    settings.FAL_KEY = "key:secret"
    return settings


def found() -> dict[str, int]:
    return {message.id or "": message.level for message in [*a_key_is_set(), *settings_make_sense()]}


def test_good_settings_raise_nothing(good: Any) -> None:
    assert found() == {}


def test_w001_no_key_of_a_provider_is_told_at_deployment(good: Any) -> None:
    good.FAL_KEY = ""

    (message,) = a_key_is_set()

    assert (message.id, message.level) == ("genfeed.W001", checks.WARNING)
    assert message.msg == "No key of a provider is set: the catalog works, generation is not configured."
    assert "manage.py up" in message.hint


@pytest.mark.django_db
def test_w001_is_silent_outside_of_a_deployment_check(good: Any) -> None:
    good.FAL_KEY = ""

    everyday = {message.id for message in checks.run_checks()}
    deployment = {message.id for message in checks.run_checks(include_deployment_checks=True)}
    assert "genfeed.W001" not in everyday
    assert "genfeed.W001" in deployment


def test_w002_keys_and_sessions_over_plain_http_are_warned_of(good: Any) -> None:
    good.PUBLIC_URL = "http://media.example.com"

    assert found() == {"genfeed.W002": checks.WARNING}
    assert "TLS" in settings_make_sense()[0].hint


@pytest.mark.parametrize("url", ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000", ""])
def test_w002_is_silent_on_this_machine(good: Any, url: str) -> None:
    good.PUBLIC_URL = url

    assert found() == {}


@pytest.mark.parametrize("url", ["http://localhost.evil.example", "http://media.example.com/localhost"])
def test_w002_looks_at_the_host_alone(good: Any, url: str) -> None:
    good.PUBLIC_URL = url

    assert found() == {"genfeed.W002": checks.WARNING}


def test_w003_debug_pages_in_public_are_warned_of(good: Any) -> None:
    good.DEBUG = True

    assert found() == {"genfeed.W003": checks.WARNING}


def test_w003_is_silent_on_this_machine(good: Any) -> None:
    good.DEBUG, good.PUBLIC_URL = True, ""

    assert found() == {}


@pytest.mark.parametrize(("length", "ids"), [(31, {"genfeed.E001": checks.ERROR}), (32, {})])
def test_e001_a_short_secret_key_is_an_error(good: Any, length: int, ids: dict[str, int]) -> None:
    good.SECRET_KEY = "x" * length

    assert found() == ids


def test_every_message_says_what_to_do(good: Any) -> None:
    good.FAL_KEY, good.PUBLIC_URL, good.DEBUG, good.SECRET_KEY = "", "http://a.example", False, "x"

    messages = [*a_key_is_set(), *settings_make_sense()]
    assert {message.id for message in messages} == {"genfeed.W001", "genfeed.W002", "genfeed.E001"}
    assert all(message.hint for message in messages)


@pytest.mark.django_db
def test_the_settings_of_the_tests_pass_all_checks() -> None:
    assert [message for message in checks.run_checks() if message.level >= checks.WARNING] == []


@pytest.mark.parametrize(
    ("url", "key", "is_wrong"),
    [
        ("http://cloud.example.com", "", True),
        ("http://cloud.example.com", "A" * 43 + "=", False),
        ("https://cloud.example.com", "", False),
        ("http://127.0.0.1:8000", "", False),
    ],
)
def test_e002_a_cloud_over_plain_http_needs_a_key_that_is_known(good: Any, url: str, key: str, is_wrong: bool) -> None:
    good.CATALOG_SOURCE, good.CLOUD_URL, good.CLOUD_PUBLIC_KEY = "cloud", url, key
    assert found() == ({"genfeed.E002": checks.ERROR} if is_wrong else {})


@pytest.mark.parametrize(
    ("backend", "options", "words"),
    [
        ("no.such.Storage", {}, "Could not find backend"),
        ("jobs.assets.storage.storage", {"bucket": "hush"}, "unexpected keyword argument"),
        ("django.core.files.storage.FileSystemStorage", {"bucket_name": "hush"}, "unexpected keyword argument"),
    ],
)
def test_e003_a_storage_that_can_not_be_made_is_an_error(good: Any, backend: str, options: Any, words: str) -> None:
    good.ASSET_STORAGE = backend
    good.STORAGES = {**good.STORAGES, "assets": {"BACKEND": backend, "OPTIONS": options}}

    (message,) = files_can_be_kept()

    assert (message.id, message.level) == ("genfeed.E003", checks.ERROR)
    assert words in message.msg
    assert "hush" not in message.msg


@pytest.mark.parametrize(
    "name", ["no.such.scanner", "jobs.assets.clamav.nothing", "scan", "jobs.assets.clamav.__name__"]
)
def test_e004_a_scanner_that_is_none_is_an_error(good: Any, name: str) -> None:
    good.ASSET_SCANNER = name

    (message,) = files_can_be_kept()

    assert (message.id, message.level) == ("genfeed.E004", checks.ERROR)
    assert name in message.msg


def test_e003_and_e004_are_silent_where_both_can_be_used(good: Any) -> None:
    good.ASSET_STORAGE, good.ASSET_SCANNER = "jobs.assets.s3.S3Storage", "jobs.assets.clamav.scan"
    options = {"bucket_name": "media", "endpoint_url": "http://127.0.0.1:9"}
    good.STORAGES = {**good.STORAGES, "assets": {"BACKEND": good.ASSET_STORAGE, "OPTIONS": options}}

    assert files_can_be_kept() == []
