"""Who may call a model: a key, an app that is known, an account that is not locked."""

from starlette.requests import Request

from genfeed.sandbox.answers import PlatformError
from genfeed.sandbox.keys import Scope, account_of, scope_of
from genfeed.sandbox.queue.errors import DetailError
from genfeed.sandbox.queue.names import app_of
from genfeed.sandbox.state import Sandbox

LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."


def require_caller(request: Request, app: str | None = None) -> None:
    """A key of any scope; the refusal names the app, never the whole endpoint."""
    sandbox: Sandbox = request.app.state.sandbox
    try:
        scope = scope_of(request, sandbox.keys)
    except PlatformError as error:
        raise DetailError(401, _refusal(app, "invalid key credentials")) from error
    if scope is Scope.ANONYMOUS:
        raise DetailError(401, _refusal(app, "Authentication is required"))


def _refusal(app: str | None, otherwise: str) -> str:
    if app is None:
        return otherwise
    return f'Cannot access application "{app}". Authentication is required to access this application.'


def require_app(sandbox: Sandbox, endpoint_id: str) -> None:
    """An app that has any endpoint. Which ones it has is found out only by running it."""
    app = app_of(endpoint_id)
    if app not in sandbox.apps() or endpoint_id in sandbox.faults.gone:
        raise DetailError(404, f'Application "{app.rsplit("/", 1)[-1]}" not found')


def account_name(request: Request) -> str:
    """The name of the caller's account, "" for the one that all shipped keys belong to."""
    account = account_of(request, request.app.state.sandbox.keys)
    return account.name if account else ""


def require_balance(request: Request) -> None:
    """An account with money."""
    sandbox: Sandbox = request.app.state.sandbox
    account = account_of(request, sandbox.keys)
    if (account.balance if account else sandbox.faults.balance) <= 0:
        raise DetailError(403, LOCKED)
