"""What goes wrong while a server answers, as the answer that each dialect gives."""

import logging
from collections.abc import Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Any, TypeAlias

from fastapi.exceptions import RequestValidationError
from fastapi.requests import Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
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

_log = logging.getLogger(__name__)

ErrorBody: TypeAlias = Callable[[Problem], dict[str, Any]]
"""Puts a problem into the words of a dialect."""
ProblemOf: TypeAlias = Callable[[Exception], Problem]

CLIENT_LEFT = 499
"""Nobody reads it. nginx's number for it, for the log."""

_BODY_UNREAD = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.MISDIRECTED_REQUEST,
}
_SENT_ELSEWHERE = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}
"""What a client of a gateway has to mend, and not the gateway."""


class Refusal(VoxError):
    """A request that is answered with a problem, and not with sound."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def problem_of(error: Exception) -> Problem:
    """Say what a client is told. Names of files, addresses and faults of ours stay in the log."""
    match error:
        case Refusal():
            return error.problem
        case FieldError():
            return Problem(status=400, message=str(error), code=error.code, field=error.field)
        case RequestValidationError():
            return _malformed(error)
        case HTTPException():
            return Problem(status=error.status_code, message=str(error.detail), code=_code_of(error.status_code))
        case RequestError():
            return Problem(status=400, message=str(error), code="invalid_request")
        case NotFound():
            return Problem(status=404, message=str(error), code="not_found")
        case RemoteRefused() if error.status in _SENT_ELSEWHERE:
            return Problem(status=400, message=str(error), code="refused_upstream")
        case RemoteRefused(status=HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE):
            return Problem(status=503, message="The server behind this one is busy.", code="busy", retry_after=10)
        case RemoteTimeout():
            return Problem(status=504, message="The server behind this one takes too long.", code="upstream_timeout")
        case RemoteError():
            return Problem(status=502, message="The server behind this one does not answer.", code="upstream")
        case DeviceError():
            return Problem(status=503, message="The device of this server fails.", code="device_failed", retry_after=30)
        case ModelError():
            return Problem(status=500, message="The model failed. The server's log says why.", code="model_failed")
        case _:
            return Problem(status=500, message="A fault of the server. Its log says where.", code="internal_error")


def _malformed(error: RequestValidationError) -> Problem:
    """Name the first field that is wrong, without what it holds: that is the client's own."""
    first = error.errors()[0]
    place = [str(part) for part in first.get("loc", ()) if part not in ("body", "query", "path")]
    field = ".".join(place) or None
    message = f"{field}: {first['msg']}" if field else f"{first['msg']}"
    return Problem(status=400, message=f"{message}.", code=str(first["type"]), field=field)


def _code_of(status: int) -> str:
    try:
        return HTTPStatus(status).name.lower()
    except ValueError:
        return "error"


def answer(problem: Problem, error_body: ErrorBody, headers: dict[str, str] | None = None) -> Response:
    """Return a problem as an answer, with what tells clients whether and when to come again."""
    more = dict(headers or {})
    if problem.retry_after is not None:
        more["retry-after"] = str(problem.retry_after)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        more["x-should-retry"] = "false"  # else OpenAI's clients have the same fault made three times
    if problem.status == HTTPStatus.UNAUTHORIZED:
        more["www-authenticate"] = "Bearer"
    if problem.status in _BODY_UNREAD:
        more["connection"] = "close"  # else the rest of it is read for nothing
    return JSONResponse(error_body(problem), problem.status, more)


def note(error: Exception) -> None:
    """Log what the operator has to know of an error that a client is told of."""
    if isinstance(error, Refusal | RequestError | NotFound | RequestValidationError | HTTPException):
        return  # the client's affair
    if isinstance(error, VoxError):
        _log.error("%s", error)
    else:
        _log.error("a fault of voxcli itself", exc_info=error)


def dialect_route(error_body: ErrorBody, problem_of: ProblemOf = problem_of) -> type[APIRoute]:
    """Make a class of routes whose failures are answered in the words of one dialect.

    Args:
        error_body: these words.
        problem_of: chooses another status for some errors; for all others it asks the function of this module.
    """

    class DialectRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            respond = super().get_route_handler()

            async def respond_or_say_why_not(request: Request) -> Response:
                try:
                    return await respond(request)
                except ConsumerClosed:
                    return Response(status_code=CLIENT_LEFT)
                except Exception as error:  # noqa: BLE001 - the outermost handler of a route
                    note(error)
                    headers = error.headers if isinstance(error, HTTPException) else None
                    return answer(problem_of(error), error_body, dict(headers or {}))

            return respond_or_say_why_not

    return DialectRoute


async def refuse(problem: Problem, error_body: ErrorBody, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a problem where no route has been reached."""
    await answer(problem, error_body)(scope, receive, send)


_ALWAYS = (400, 401, 403, 408, 413, 421, 500, 503)
_SPEAKING = (429, 502, 504)


def error_responses(schema: dict[str, Any], statuses: Iterable[int] = ()) -> dict[int | str, dict[str, Any]]:
    """Declare for OpenAPI the errors that every route may answer with, and `statuses` beside them.

    Args:
        schema: of the JSON body, as a JSON schema.
    """
    content = {"application/json": {"schema": schema}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({*_ALWAYS, *statuses})
    }


def audio_responses(
    content_types: Iterable[str], schema: dict[str, Any], statuses: Iterable[int] = ()
) -> dict[int | str, dict[str, Any]]:
    """Declare for OpenAPI what a route that speaks may answer. The route takes `response_class=Response` with it.

    Args:
        content_types: of the sound, without parameters.
        schema: of the JSON body of an error.
        statuses: of errors beside those that every speaking route has.
    """
    binary = {"schema": {"type": "string", "format": "binary"}}
    sound = {"description": "Speech, as it is made.", "content": dict.fromkeys(content_types, binary)}
    return {200: sound, **error_responses(schema, (*_SPEAKING, *statuses))}
