"""The change of the model over HTTP, with a provider that takes nothing for one of its models."""

import pytest

from jobs.accepting.accept import Wanted
from jobs.fallback.accepting import Alternative, accept_with_fallback
from jobs.models import Status
from pricing.ledger.checking import check_ledger
from tests.jobs.conftest import SIZE, Run
from tests.jobs.doubles import make_caller
from tests.jobs.fallback.conftest import FIRST
from tests.pricing.estimates.sold import IMAGES_OUT, PROMPT, make_sold
from tests.sandbox_server import RunningSandbox

pytestmark = [pytest.mark.django_db, pytest.mark.once]

OTHER = "fal-ai/flux/schnell"


@pytest.fixture
def sold() -> None:
    """Models of the sandbox alone are sold here."""


def test_a_submit_that_is_refused_with_503_runs_on_another_model_and_is_charged_for_that(
    run: Run, sandbox: RunningSandbox
) -> None:
    make_sold(OTHER, "0.003", "megapixels", inputs=[PROMPT, SIZE], outputs=IMAGES_OUT)
    sandbox.faults(fail=[{"match": f"^/queue/{FIRST}$", "method": "POST", "status": 503}])
    wanted = Wanted(FIRST, {"prompt": "a fox"})

    job = run(job=accept_with_fallback(wanted, [Alternative(OTHER)], make_caller()))

    assert (job.status, job.endpoint_id) == (Status.SUCCEEDED, OTHER)
    # One billed megapixel at 0.003 USD with the shipped margin; the first model's is at 0.025.
    assert job.charge == 10_000_000
    submits = [one["path"] for one in sandbox.requests() if one["method"] == "POST" and "/requests" not in one["path"]]
    assert [path for path in submits if path.startswith("/queue/")] == [f"/queue/{FIRST}", f"/queue/{OTHER}"]
    assert check_ledger() == []
