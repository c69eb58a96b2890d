"""Every command in the pages for operators: ours are run, those of the machine name what is there."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command, load_command_class
from django.core.management.base import BaseCommand
from django.test import Client as HttpClient
from django.urls import resolve
from prometheus_client import REGISTRY

from genfeed import metrics
from genfeed.backup import making
from tests.sandbox_server import ROOT, RunningSandbox

pytestmark = pytest.mark.once

PAGES = [ROOT / "docs" / f"{name}.md" for name in ("install", "upgrade", "backup", "incidents", "operations")]
RULES = ROOT / "deploy" / "prometheus" / "genfeed.rules.yml"
UNITS = {path.name for path in (ROOT / "deploy" / "systemd").iterdir()}
# Of the machine: what these do to it is not ours, what they are told of us is looked at.
MACHINE = {
    "apt-get", "df", "du", "git", "install", "journalctl", "nginx", "runuser", "systemctl", "useradd",
}  # fmt: skip
# They run until they are stopped, or ask for a person.
LASTING = {"up", "web", "qcluster", "dispatch", "sandbox", "createsuperuser"}


def commands() -> list[str]:
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)]
    return sorted({line.strip() for line in "\n".join(blocks).splitlines() if line.strip()})


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    kinds = {"curl", "make", "python3", ".venv/bin/python"} | MACHINE
    assert [line for line in commands() if shlex.split(line)[0] not in kinds] == []
    assert len(commands()) > 40


def of(*programs: str) -> list[str]:
    return [line for line in commands() if shlex.split(line)[0] in programs]


@pytest.mark.parametrize("line", of(".venv/bin/python"))
@pytest.mark.django_db(transaction=True)
def test_our_own_commands_do_what_the_pages_say(
    line: str, tmp_path: Path, small_fal: RunningSandbox, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    words = shlex.split(line.replace("/var/backups/genfeed", str(tmp_path / "backups")))
    assert words[1] == "manage.py"
    name, arguments = words[2], words[3:]
    if name in LASTING:
        app = "django.contrib.auth" if name == "createsuperuser" else "genfeed"
        parser: BaseCommand = load_command_class(app, name)
        parser.create_parser("manage.py", name).parse_args(arguments)
        return
    if name == "restore" and "--database-is-back" not in arguments:
        # Into what is not empty: it must be refused for that alone.
        call_command("backup", str(tmp_path / "backups"))
        arguments = [str(making.existing(tmp_path / "backups")[-1])]
        with pytest.raises(Exception, match="The database is not empty"):
            call_command(name, *arguments)
        return
    if name == "check":
        settings.PUBLIC_URL = "https://media.example.com"
    call_command(name, *arguments)


@pytest.mark.parametrize("line", of("curl"))
@pytest.mark.django_db
def test_what_is_asked_of_a_process_is_answered(line: str, settings: Any) -> None:
    settings.METRICS_TOKEN = "as-the-example-has-one"
    words = shlex.split(line.replace("$METRICS_TOKEN", settings.METRICS_TOKEN))
    (url,) = [word for word in words if "://" in word]
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    assert url.startswith("http://127.0.0.1:8000/")

    answer = HttpClient().get(
        url.removeprefix("http://127.0.0.1:8000"), headers=headers, HTTP_HOST="127.0.0.1:8000", REMOTE_ADDR="10.0.0.1"
    )

    assert answer.status_code == 200


@pytest.mark.parametrize("line", of("python3"))
def test_secrets_are_made_as_the_pages_say(line: str) -> None:
    words = shlex.split(line)

    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, timeout=60, check=True)

    assert len(done.stdout.strip()) >= 44


@pytest.mark.parametrize("line", of("make"))
def test_make_knows_what_it_is_told(line: str) -> None:
    target = shlex.split(line)[-1]

    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", of(*MACHINE))
def test_commands_of_the_machine_name_what_is_there(line: str) -> None:
    done = subprocess.run(["bash", "-n", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    words = shlex.split(line)
    assert [word for word in words if word.startswith("deploy/") and not (ROOT / word).exists()] == []
    if words[0] in ("systemctl", "journalctl"):
        named = {word for word in words if word.startswith("genfeed-")}
        assert {name for name in named if not {name, f"{name}.service"} & UNITS} == set()


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@pytest.mark.django_db
def test_rules_ask_for_metrics_that_there_are_and_name_a_heading() -> None:
    # Those of rows, and those that are counted, of which nothing may have happened yet.
    told = {*re.findall(r"# TYPE (\w+)", metrics.exposition().decode()), *(one.name for one in REGISTRY.collect())}
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "incidents.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert len(rules()) >= 8
    for rule in rules():
        assert rule["annotations"]["runbook"] in anchors, rule["alert"]
        for name in re.findall(r"genfeed_\w+", rule["expr"]):
            assert {name, name.removesuffix("_total"), name.removesuffix("_bucket")} & told, name


def test_a_catalog_that_was_never_brought_is_old_too() -> None:
    (rule,) = [rule for rule in rules() if rule["alert"] == "GenFeedSyncOld"]

    assert "or absent(genfeed_last_successful_sync_timestamp_seconds)" in rule["expr"]


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/api/v1/models", "/api/v1/models/fal", "/api/v1/models/fal-ai/flux/dev"])
def test_the_rule_of_the_catalogs_promise_counts_its_answers(api: HttpClient, address: str) -> None:
    (pattern,) = set(re.findall(r'route=~"(.*?)"', RULES.read_text()))

    api.get(address)

    asked = [line for line in metrics.exposition().decode().splitlines() if "genfeed_http_requests_total{" in line]
    routes = {found[1] for line in asked if (found := re.search(r'route="(.*?)"', line))}
    route = resolve(address).route
    assert route in routes
    assert re.fullmatch(pattern, route)


@pytest.mark.parametrize(
    ("status", "code", "counts"),
    [
        ("failed", "timeout", True), ("failed", "submit_unknown", True),
        ("failed", "content_refused", False), ("failed", "provider_rejected_input", False),
        ("succeeded", "", False), ("canceled", "", False),
    ],
)  # fmt: skip
def test_the_rule_of_failing_jobs_counts_what_is_not_the_clients(status: str, code: str, counts: bool) -> None:
    (wanted, unwanted) = re.findall(r'status="(\w+)",code!~"(.*?)"', RULES.read_text())[0]

    assert (status == wanted and not re.fullmatch(unwanted, code)) is counts


def test_every_metric_is_told_of_and_none_that_there_is_not() -> None:
    maker = re.compile(r'(?:Counter|Histogram|Metric|GaugeMetricFamily)\(\s*"(genfeed_\w+)"')
    made = {name for path in sources() for name in maker.findall(path.read_text())}
    page = (ROOT / "docs" / "operations.md").read_text()

    assert len(made) > 20
    assert set(re.findall(r"`(genfeed_\w+)`", page)) == made


def test_the_example_of_a_scrape_asks_for_what_the_rules_know() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL)
    example = yaml.safe_load(block)

    (job,) = example["scrape_configs"]
    assert f'up{{job="{job["job_name"]}"}}' in RULES.read_text()
    assert example["rule_files"] == [RULES.name]


def test_every_alert_that_can_be_raised_stands_in_the_guide() -> None:
    page = (ROOT / "docs" / "incidents.md").read_text()
    (table,) = re.findall(r"^\| code \| what to do \|\n(.*?)\n\n", page, re.MULTILINE | re.DOTALL)
    told = {code for row in table.splitlines() for code in re.findall(r"`(\w+)`", row.split("|")[1])}
    raised = {code for path in sources() if "raise_alert" in path.read_text() for code in codes_of(path)}

    assert {"storage_failed", "provider_locked", "prices_gone", "price_held", "operator_loss"} <= raised
    assert told == raised


def sources() -> list[Path]:
    return [path for floor in ("genfeed", "catalog", "pricing", "jobs") for path in (ROOT / floor).rglob("*.py")]


def codes_of(path: Path) -> set[str]:
    """The codes of alerts that a module raises: given as they are, by a name of the module, or chosen from several."""
    tree = ast.parse(path.read_text())
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and "raise_alert" in ast.unparse(node.func):
            first = node.args[0].value if isinstance(node.args[0], ast.Starred) else node.args[0]
            given = first.value if isinstance(first, ast.Constant) else getattr(module, ast.unparse(first), None)
            given = given[0] if isinstance(given, tuple) else given
            found |= {str(given)} if given else chosen_codes(tree)
    return found


def chosen_codes(tree: ast.Module) -> set[str]:
    """Those that a module keeps in a table of sentences, or takes together with a title."""
    found: list[ast.expr | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            target = ast.unparse(node.targets[0])
            if target in ("said", "sentences") and isinstance(node.value, ast.Dict):
                found += node.value.keys
            if target in ("code, title", "(code, title)") and isinstance(node.value, ast.Tuple):
                found.append(node.value.elts[0])
    return {str(one.value) for one in found if isinstance(one, ast.Constant)}


def test_promtool_takes_the_rules() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed; it comes with Debian's prometheus")
    command = ["promtool", "check", "rules", str(RULES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
