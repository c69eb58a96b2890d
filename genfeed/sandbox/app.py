"""The ASGI application: all routes over one state."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from genfeed.sandbox import control, gallery, platform, thumbnails
from genfeed.sandbox.answers import MODEL_HOSTS, PlatformError, error_answer
from genfeed.sandbox.files import storage
from genfeed.sandbox.middleware import Hardships
from genfeed.sandbox.money import routes as money
from genfeed.sandbox.queue import analytics, direct, given, history
from genfeed.sandbox.queue import routes as queue
from genfeed.sandbox.queue.errors import DetailError, detail_answer
from genfeed.sandbox.replicate import routes as replicate
from genfeed.sandbox.state import Sandbox

MESSAGES = {404: "Resource not found", 405: "Method not allowed"}
# The queue is called most, so it comes first.
ROOMS = (queue, given, direct, platform, storage, money, history, analytics, replicate, gallery, thumbnails, control)
MODEL_MESSAGES = {404: "Not Found", 405: "Method Not Allowed"}


def create_app(sandbox: Sandbox) -> Starlette:
    """The sandbox as an ASGI application."""
    app = Starlette(
        routes=[route for room in ROOMS for route in room.ROUTES],
        middleware=[Middleware(Hardships, sandbox=sandbox)],
        exception_handlers={
            PlatformError: _answer_platform_error,
            DetailError: _answer_detail_error,
            404: _answering(404),
            405: _answering(405),
            500: _answering(500),
        },
    )
    app.state.sandbox = sandbox
    return app


async def _answer_platform_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, PlatformError):
        raise error
    return error_answer(error)


async def _answer_detail_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, DetailError):
        raise error
    return detail_answer(error)


def _answering(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answering(request: Request, _error: Exception) -> Response:
        if request.url.path.startswith(MODEL_HOSTS):
            return detail_answer(DetailError(status, MODEL_MESSAGES.get(status, "Internal Server Error")))
        return error_answer(PlatformError(status, MESSAGES.get(status, "An unexpected error occurred")))

    return answering
