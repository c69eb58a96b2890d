"""Telling of what jobs cost above what is charged for them: one alert a model, with the sum and the last job."""

from __future__ import annotations

from genfeed.journal import links
from genfeed.journal.alerts import raise_alert
from genfeed.journal.models import Alert
from pricing.models import UsageRecord
from pricing.money import format_usd, show_usd

_CODE = "operator_loss"


def tell_loss(job: str, why: str, loss: int) -> None:
    """Counts a loss (nano-USD) on the alert of the job's model; of a job without a usage record, it has its own.

    In the transaction that books the loss, after all else: what others lose by the same model waits for that row.
    """
    usage = UsageRecord.objects.filter(job=job).select_related("model__provider").first()
    of = f"{usage.model.provider.slug}:{usage.model.endpoint_id}" if usage else job
    url = f"{links.to_page('pricing_ledgertransaction_changelist')}?q={job}"
    name = usage.model.endpoint_id if usage else f"Job {job}"
    raise_alert(_CODE, of, name, _text(job, why, loss), url=url, amount=loss)
    live = Alert.objects.filter(code=_CODE, subject=of[:300], resolved_at=None)
    for times, amount in live.values_list("times", "amount"):
        jobs = f"in {times} jobs" if times > 1 else "in one job"
        title = f"{name}: {show_usd(amount)} USD of its cost are ours to bear" + (f", {jobs}" if usage else "")
        live.update(title=title[:300])


def _text(job: str, why: str, loss: int) -> str:
    return (
        f"The last one, {job}: {format_usd(loss)} USD, because {why}. Look at the model's price rule: "
        "an estimate whose upper bound is too low makes such losses."
    )
