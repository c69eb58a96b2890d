"""The API: mounts the routers of all apps and gives every error one shape."""

import logging
from typing import Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, RawPostDataException, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema
from ninja.parser import Parser

from catalog.api import admin_router, models_router
from catalog.api_own_keys import own_keys_router
from catalog.api_status import status_router
from genfeed.clients.api import keys_router
from genfeed.clients.errors import ApiError, database_away, error_response
from genfeed.clients.shape_errors import shape_error
from genfeed.net.bounded_json import read_json
from jobs.api import jobs_router
from jobs.api_model_health import model_health_router
from jobs.assets.api import assets_router
from jobs.assets.api_erasure import erasure_router
from jobs.assets.api_resumable import resumable_router
from jobs.assets.api_uploads import uploads_router
from jobs.batches.api import batches_router
from jobs.events.api import events_router
from jobs.protocols.browser_tokens import browser_tokens_router
from jobs.webhooks.api import webhooks_router
from jobs.workflows.api import workflows_router
from jobs.workflows.api_templates import templates_router
from pricing.api import estimates_router
from pricing.api_money import money_router
from pricing.api_prices import prices_router
from pricing.api_reports import reports_router
from pricing.api_usage import usage_router
from pricing.exchange.api import export_router
from pricing.reports.refusals import note_throttled

logger = logging.getLogger(__name__)


class StrictParser(Parser):
    """JSON as the RFC has it: no NaN, and no half characters, which no answer could repeat."""

    def parse_body(self, request: HttpRequest) -> Any:
        try:
            return read_json(request.body)
        except orjson.JSONDecodeError as error:
            raise ApiError(
                "invalid_request",
                f"The body is no valid JSON: {error}.",
                "Send JSON in UTF-8. NaN, Infinity and numbers beyond all bounds are no JSON.",
            ) from None


class DescribedOnce(NinjaAPI):
    """Its own description is made once a process: no route comes or goes while it runs, and making it takes 0.3 s."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._described: dict[str, OpenAPISchema] = {}

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        prefix = self.get_root_path(path_params or {}) if path_prefix is None else path_prefix
        if prefix not in self._described:
            self._described[prefix] = super().get_openapi_schema(path_prefix=prefix)
        return self._described[prefix]


api = DescribedOnce(
    title="GenFeed",
    version="1",
    description=(
        "Every model of every provider behind one API. Send your key as `Authorization: Bearer gf_…`. "
        "Every error has the same shape: branch on `code`, show `message`, follow `hint`, report `requestId`."
    ),
    docs_url="/docs",
    openapi_url="/openapi.json",
    parser=StrictParser(),
)
# Before the models: an id may contain slashes, and would swallow what comes after it.
api.add_router("", jobs_router)
api.add_router("", events_router)
api.add_router("", batches_router)
api.add_router("", assets_router)
api.add_router("", webhooks_router)
api.add_router("", resumable_router)
api.add_router("", uploads_router)
api.add_router("", prices_router)
api.add_router("", export_router)
api.add_router("", estimates_router)
# After the estimate of one, which would be the name of one here.
api.add_router("", workflows_router)
api.add_router("", templates_router)
api.add_router("", models_router)
api.add_router("", keys_router)
api.add_router("", browser_tokens_router)
api.add_router("", own_keys_router)
api.add_router("", status_router)
api.add_router("", money_router)
api.add_router("", usage_router)
api.add_router("/admin", erasure_router)
api.add_router("/admin", reports_router)
api.add_router("/admin", model_health_router)
api.add_router("/admin", admin_router)


@api.exception_handler(ApiError)
def _api_error(request: HttpRequest, error: ApiError) -> HttpResponse:
    identity = getattr(request, "identity", None)
    note_throttled(error, identity.key if identity is not None else None)
    return error_response(error)


@api.exception_handler(ValidationError)
def _validation_error(_request: HttpRequest, error: ValidationError) -> HttpResponse:
    return error_response(shape_error({**item, "loc": _place(item)} for item in error.errors))


def _place(item: dict[str, Any]) -> list[Any]:
    # The first parts name where it stood (query, body) and the handler's own parameter.
    place = list(item.get("loc", ()))
    if place[:1] == ["body"]:
        return place[2:]
    return place[2:] if place[:1] == ["query"] and len(place) > 2 else place[1:]


@api.exception_handler(AuthenticationError)
def _no_credentials(_request: HttpRequest, _error: AuthenticationError) -> HttpResponse:
    return error_response(
        ApiError("unauthorized", "This request carries no API key.", "Send 'Authorization: Bearer gf_…'.")
    )


@api.exception_handler(HttpError)
def _http_error(_request: HttpRequest, error: HttpError) -> HttpResponse:
    if isinstance(error.__cause__, ApiError):
        # Ninja wraps whatever a parser raises.
        return error_response(error.__cause__)
    code = "not_found" if error.status_code == 404 else "invalid_request"
    return error_response(
        ApiError(code, str(error), "Check the address and the body of the request.", status=error.status_code)
    )


@api.exception_handler(RequestDataTooBig)
def _too_large(_request: HttpRequest, _error: RequestDataTooBig) -> HttpResponse:
    most = f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes."
    hint = "Send less in one request; upload files at /api/v1/uploads, and name them by their ids."
    return error_response(ApiError("payload_too_large", most, hint))


@api.exception_handler(SuspiciousOperation)
@api.exception_handler(MultiPartParserError)
@api.exception_handler(RawPostDataException)
@api.exception_handler(UnreadablePostError)
def _unreadable(_request: HttpRequest, _error: Exception) -> HttpResponse:
    return error_response(
        ApiError("invalid_request", "The body of the request could not be read.", "Send the body as JSON.")
    )


@api.exception_handler(Http404)
def _not_found(_request: HttpRequest, _error: Http404) -> HttpResponse:
    return error_response(ApiError("not_found", "There is nothing at this address.", "See /api/v1/docs."))


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
def _database_away(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.error("the database could not be used in %s %s: %s", request.method, request.path, error)
    return error_response(database_away())


@api.exception_handler(Exception)
def _crash(request: HttpRequest, _error: Exception) -> HttpResponse:
    logger.exception("unhandled error in %s %s", request.method, request.path)
    return error_response(
        ApiError("internal_error", "Something went wrong on our side.", "Try again; if it stays, report the requestId.")
    )
