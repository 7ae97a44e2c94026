"""Errors as HTTP responses: their status, and their body in the shape of the dialect that a path belongs to."""

import logging
import math
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from voxcli.errors import (
    ConsumerClosed,
    DeviceError,
    ModelError,
    NotFound,
    RemoteError,
    RemoteRefused,
    RemoteTimeout,
    RequestError,
    VoxError,
)
from voxcli.protocols.dialect import FieldError, Problem
from voxcli.protocols.fields import Malformed
from voxcli.protocols.gptsovits import messages as gptsovits
from voxcli.protocols.openai import messages as openai
from voxcli.protocols.voxcpm import messages as voxcpm

_log = logging.getLogger(__name__)

ErrorBody: TypeAlias = Callable[[Problem], dict[str, Any]]
"""Shapes a problem as the JSON body of a dialect."""
ProblemOf: TypeAlias = Callable[[Exception], Problem]
Respond: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]

REQUESTS = ("http", "websocket")
"""Types of what passes the middleware. A WebSocket that is refused is answered as a request is."""

_UPSTREAM_SECONDS, _LATEST_SECONDS = 10, 120
"""After which a client comes again if the upstream server is busy and does not say until when, and at the latest."""

CLIENT_LEFT = 499
"""Client closed the request: nginx's status for the log, which no client receives."""

_BODY_UNREAD = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.MISDIRECTED_REQUEST,
}
_CLIENT_ERRORS_UPSTREAM = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}
"""Upstream errors that the client has to fix, not the gateway."""


DESCRIBE_ERROR = "describe error"
"""Key of the request state: a function from an error and its problem to what programs of this user are told besides."""


class Refusal(VoxError):
    """A request is answered with a problem instead of audio."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def problem_of(error: Exception) -> Problem:
    """Return what the client is told. File names, addresses and internal errors stay in the log."""
    match error:
        case Refusal():
            return error.problem
        case FieldError():
            return Problem(status=400, message=str(error), code=error.code, field=error.field)
        case HTTPException():
            return Problem(status=error.status_code, message=str(error.detail), code=_code_of(error.status_code))
        case RequestError():
            return Problem(status=400, message=str(error), code="invalid_request")
        case RemoteRefused() if error.status in _CLIENT_ERRORS_UPSTREAM:
            return Problem(status=400, message=str(error), code="refused_upstream")
        case NotFound():
            return Problem(status=404, message=str(error), code="not_found")
        case RemoteRefused(status=HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE):
            wait = min(max(math.ceil(error.retry_after or _UPSTREAM_SECONDS), 1), _LATEST_SECONDS)
            return Problem(status=503, message="The upstream server is busy.", code="busy", retry_after=wait)
        case RemoteTimeout():
            return Problem(status=504, message="The upstream server timed out.", code="upstream_timeout")
        case RemoteError():
            return Problem(status=502, message="The upstream server does not respond.", code="upstream")
        case DeviceError():
            return Problem(status=503, message="The server's device failed.", code="device_failed", retry_after=30)
        case ModelError():
            return Problem(status=500, message="The model failed. See the server log.", code="model_failed")
        case _:
            return Problem(status=500, message="Internal server error. See the server log.", code="internal_error")


def _unreadable_form(error: HTTPException) -> Malformed:
    """Return what a client is told whose form cannot be parsed."""
    return Malformed(
        f"The form cannot be read: {str(error.detail).rstrip('.')}. Is it multipart/form-data?", None, "form"
    )


def _code_of(status: int) -> str:
    try:
        return HTTPStatus(status).name.lower()
    except ValueError:
        return "error"


def answer(problem: Problem, error_body: ErrorBody, headers: dict[str, str] | None = None) -> Response:
    """Return a problem as a response, with the headers that tell clients whether and when to retry."""
    more = dict(headers or {})
    if problem.retry_after is not None:
        more["retry-after"] = str(problem.retry_after)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        more["x-should-retry"] = "false"  # otherwise OpenAI's clients repeat the request twice
    if problem.status == HTTPStatus.UNAUTHORIZED:
        more["www-authenticate"] = "Bearer"
    if problem.status in _BODY_UNREAD:
        more["connection"] = "close"  # otherwise the rest of the body is read for nothing
    return JSONResponse(error_body(problem), problem.status, more)


def note(error: Exception) -> None:
    """Log an error that the operator should know about."""
    if isinstance(error, Refusal | RequestError | NotFound | HTTPException):
        return  # the client's mistake
    if isinstance(error, VoxError):
        _log.error("%s", error.for_command_line)
    else:
        _log.error("a fault of voxcli itself", exc_info=error)


def answering_errors(respond: Respond, error_body: ErrorBody, problem_of: ProblemOf = problem_of) -> Respond:
    """Return a function that responds to a request, and answers errors in the shape of one dialect.

    Args:
        error_body: shapes the body.
        problem_of: maps errors to problems; a dialect may choose other statuses.
    """

    async def respond_or_refuse(request: Request) -> Response:
        try:
            return await respond(request)
        except ConsumerClosed:
            return Response(status_code=CLIENT_LEFT)
        except Exception as error:  # noqa: BLE001 - the outermost handler of a route
            note(error)
            if isinstance(error, HTTPException) and error.status_code == HTTPStatus.BAD_REQUEST:
                error = _unreadable_form(error)
            headers = error.headers if isinstance(error, HTTPException) else None
            problem = problem_of(error)
            described = _described(error, problem, request.scope, error_body)
            return answer(problem, described, dict(headers or {}))

    return respond_or_refuse


async def answer_outside_routes(request: Request, error: Exception) -> Response:
    """Answer errors outside the routes, such as paths that do not exist."""
    note(error)
    headers = error.headers if isinstance(error, HTTPException) else None
    return answer(problem_of(error), error_body_at(request.scope), dict(headers or {}))


def _described(error: Exception, problem: Problem, scope: Scope, error_body: ErrorBody) -> ErrorBody:
    """Add the error itself to the body, where the client is a program of this user."""
    describe: Callable[[Exception, Problem], dict[str, Any]] | None = scope.get("state", {}).get(DESCRIBE_ERROR)
    if describe is None:
        return error_body
    described = describe(error, problem)
    return lambda problem: {"error": described, **error_body(problem)}


async def refuse(problem: Problem, error_body: ErrorBody, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem before any route is reached."""
    await answer(problem, error_body)(scope, receive, send)


_MCP = "/mcp"


def _mcp_body(problem: Problem) -> dict[str, Any]:
    """Return a JSON-RPC error that belongs to no request."""
    return {"jsonrpc": "2.0", "id": None, "error": {"code": _INVALID_REQUEST, "message": problem.message}}


_INVALID_REQUEST = -32600
_OPENAI = "/v1/"
_GPT_SOVITS = ("/tts", "/speakers", "/control", "/set_")


def error_body_at(scope: Scope) -> ErrorBody:
    """Return the shape of an error for this path."""
    path: str = scope["path"]
    if path == _MCP:
        return _mcp_body
    if path.startswith(_OPENAI):
        return openai.error_body
    if path.startswith(_GPT_SOVITS) or (path == "/" and scope.get("method") == "POST"):
        return gptsovits.error_body
    return voxcpm.error_body
