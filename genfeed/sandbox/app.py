"""The ASGI application: all routes over one state."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from genfeed.sandbox import control, gallery, platform, thumbnails
from genfeed.sandbox.answers import PlatformError, error_answer
from genfeed.sandbox.middleware import Hardships
from genfeed.sandbox.state import Sandbox

MESSAGES = {404: "Resource not found", 405: "Method not allowed"}


def create_app(sandbox: Sandbox) -> Starlette:
    """The sandbox as an ASGI application."""
    app = Starlette(
        routes=[*platform.ROUTES, *gallery.ROUTES, *thumbnails.ROUTES, *control.ROUTES],
        middleware=[Middleware(Hardships, sandbox=sandbox)],
        exception_handlers={
            PlatformError: _answer_platform_error,
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


def _answering(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answering(_request: Request, _error: Exception) -> Response:
        return error_answer(PlatformError(status, MESSAGES.get(status, "An unexpected error occurred")))

    return answering
