"""Pages of models as people see them, with the prices that the API does not tell; or what stands in for them."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import HTMLResponse, Response

from genfeed.sandbox.replicate.catalog import Offered

_RATES = {"T4": "0.000225", "L40S": "0.000975", "A100 (80GB)": "0.0014", "H100": "0.001525"}
_INTERSTITIAL = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"


def page_of(found: Offered | None, *, is_hidden: bool) -> Response:
    """The page of a model."""
    if is_hidden:
        return HTMLResponse(_INTERSTITIAL)
    if found is None:
        return HTMLResponse("<!DOCTYPE html><title>Not found</title>", status_code=404)
    data = orjson.dumps({"model": {"name": found.endpoint_id}, "props": _billing(found.said.get("bills"))}).decode()
    return HTMLResponse(
        f"<!DOCTYPE html><html><head><title>{found.endpoint_id}</title></head><body>"
        f'<script id="react-component-props" type="application/json">{data}</script></body></html>'
    )


def _billing(bills: Any) -> dict[str, Any]:
    if bills is None:
        return {"billingConfig": None, "hardware": None, "price": None}
    if isinstance(bills, str):
        rate = _RATES.get(bills)
        price = f"${rate} per second" if rate else None
        return {"billingConfig": None, "hardware": bills, "price": price, "p50price": "$0.0065"}
    tiers: dict[bytes, dict[str, Any]] = {}
    for one in bills:
        when = one.get("when", {})
        criteria = [{"title": title, "value": value} for title, value in when.items()]
        tier = tiers.setdefault(orjson.dumps(when), {"criteria": criteria, "description": None, "prices": []})
        tier["prices"].append(
            {
                "description": "",
                "metric": one["metric"],
                "metric_count": 1,
                "price": one["price"],
                "title": one["title"],
                "type": one.get("type", "per-unit"),
            }
        )
    return {"billingConfig": {"current_description": None, "current_tiers": list(tiers.values())}, "hardware": None}
