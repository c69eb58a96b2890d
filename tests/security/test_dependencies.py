"""What is installed: every package pinned by hash, from the index alone, once, and under a licence that may be used."""

import re
import subprocess
import tomllib
from importlib import import_module
from importlib.metadata import Distribution, distributions, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ("requirements.txt", "requirements-dev.txt", "requirements-s3.txt", "requirements-uv.txt")
# Of packages that run in production. Weak copyleft is used as it comes, never changed.
ALLOWED = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla Public License|LGPL|Lesser General Public|"
    r"Unlicense|Public Domain|Zlib|CNRI|HPND|0BSD|BSL)",
    re.IGNORECASE,
)

# What a package does not say itself: its repository does.
SAID_ELSEWHERE = {"fal-client": "Apache-2.0"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, tuple[str, int]]:
    """By name: the version and how many hashes it has."""
    found: dict[str, tuple[str, int]] = {}
    for block in re.split(r"\n(?=\S)", (ROOT / file).read_text()):
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", block)
        if match:
            assert normal(match[1]) not in found, f"{match[1]} is in {file} twice"
            found[normal(match[1])] = (match[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block)))
        else:
            assert re.match(r"\s*(#|$)", block), f"{file} has what is no pin: {block[:80]}"
    return found


@pytest.mark.parametrize("file", FILES)
def test_every_package_is_pinned_with_hashes(file: str) -> None:
    assert {name for name, (_, hashes) in pins(file).items() if hashes == 0} == set()
    assert len(pins(file)) > (0 if file == "requirements-uv.txt" else 10)


@pytest.mark.parametrize("file", FILES)
def test_nothing_comes_from_anywhere_but_the_index(file: str) -> None:
    lines = [line for line in (ROOT / file).read_text().splitlines() if not line.lstrip().startswith("#")]
    assert [line for line in lines if "://" in line or " @ " in line or line.startswith(("-e", "--", "git+"))] == []


def test_what_is_tested_is_what_runs() -> None:
    run, dev, s3, uv = (pins(file) for file in FILES)
    assert {name: (run[name], dev[name]) for name in run.keys() & dev.keys() if run[name] != dev[name]} == {}
    assert {name: version for name, (version, _) in s3.items() if name in run and run[name][0] != version} == {}
    assert {name: pin for name, pin in uv.items() if dev.get(name) != pin} == {}


def test_the_tests_have_all_that_runs() -> None:
    """They are installed from one file."""
    assert pins("requirements.txt").items() <= pins("requirements-dev.txt").items()


def test_every_direct_dependency_has_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = [one for extra in project["project"]["optional-dependencies"].values() for one in extra]
    direct = [*project["project"]["dependencies"], *extras, *project["dependency-groups"]["dev"]]
    assert [one for one in direct if not re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z0-9,]+\])?==[0-9][^,<>=~!*]*", one)] == []


def installed() -> dict[str, Distribution]:
    return {normal(one.metadata["Name"]): one for one in distributions()}


def test_no_package_is_installed_twice() -> None:
    names = [normal(one.metadata["Name"]) for one in distributions()]
    assert sorted(names) == sorted(set(names))


def test_the_versions_that_are_pinned_are_those_that_are_installed() -> None:
    here = installed()
    differing = {
        name: (version, here[name].version)
        for name, (version, _) in pins("requirements.txt").items()
        if name in here and here[name].version != version
    }
    assert differing == {}


def test_what_runs_in_production_has_a_licence_that_allows_it() -> None:
    here = installed()
    said = {
        name: licence(here[name]) or SAID_ELSEWHERE.get(name, "") for name in pins("requirements.txt") if name in here
    }
    refused = {name: words for name, words in said.items() if not ALLOWED.search(words)}
    assert refused == {}


def licence(one: Distribution) -> str:
    classifiers = [text for text in one.metadata.get_all("Classifier") or () if text.startswith("License")]
    own = [one.metadata.get("License-Expression") or "", (one.metadata.get("License") or "")[:300]]
    return " ".join([*own, *classifiers]).strip()


def test_every_direct_dependency_can_be_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    modules: dict[str, list[str]] = {}
    for module, names in packages_distributions().items():
        for name in names:
            modules.setdefault(normal(name), []).append(module)
    for line in project["dependencies"]:
        name = normal(re.split(r"[\[=]", line)[0])
        public = [module for module in modules[name] if not module.startswith("_")]
        assert public, name
        import_module(public[0])


def test_the_licence_test_would_see_a_licence_that_does_not_allow_it() -> None:
    assert not ALLOWED.search("GNU Affero General Public License v3")
    assert not ALLOWED.search("Proprietary")


def test_an_audit_that_could_not_ask_is_no_success(tmp_path: Path) -> None:
    # In the place of uv: an auditor that found a package which nobody could be asked about, as it says so when strict.
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text('#!/bin/sh\necho "$@" >> asked\ncase "$*" in *--strict*) exit 1;; *) exit 0;; esac\n')
    uv.chmod(0o755)
    done = subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), "-o", "setup-dev", f"BIN={uv.parent}", "audit"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode != 0
    assert "This is no proof" in done.stderr
    assert "requirements.txt" in (tmp_path / "asked").read_text()
