"""Routes of FastAPI in a dialect: errors in its shape, and what OpenAPI says of bodies, responses and errors."""

from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.requests import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from voxcli.protocols.dialect import Problem
from voxcli.server.errors import (
    ErrorBody,
    ProblemOf,
    Refusal,
    Respond,
    answer_outside_routes,
    answering_errors,
    problem_of,
)


def dialect_route(
    error_body: ErrorBody, problem_of: ProblemOf = problem_of, *, malformed_status: int = HTTPStatus.BAD_REQUEST
) -> type[APIRoute]:
    """Build a route class whose errors are answered in the shape of one dialect.

    Args:
        error_body: shapes the body.
        problem_of: maps errors to problems; a dialect may choose other statuses.
        malformed_status: of requests that FastAPI does not accept.
    """

    class DialectRoute(APIRoute):
        def get_route_handler(self) -> Respond:
            respond = super().get_route_handler()

            async def respond_or_raise(request: Request) -> Response:
                try:
                    return await respond(request)
                except RequestValidationError as error:
                    raise Refusal(replace(_malformed(error), status=malformed_status)) from error

            return answering_errors(respond_or_raise, error_body, problem_of)

    return DialectRoute


async def answer_malformed(request: Request, error: Exception) -> Response:
    """Answer a request that FastAPI does not accept, on a route without a dialect."""
    assert isinstance(error, RequestValidationError)
    return await answer_outside_routes(request, Refusal(_malformed(error)))


def _malformed(error: RequestValidationError) -> Problem:
    """Name the first invalid field, without repeating its value."""
    first = error.errors()[0]
    place = [str(part) for part in first.get("loc", ()) if part not in ("body", "query", "path")]
    field, kind = ".".join(place) or None, str(first["type"])
    match kind:
        case "missing":
            message = f"{field!r} is missing"
        case "string_too_long":
            message = f"{field!r} is longer than the {first['ctx']['max_length']} characters allowed"
        case "value_error" if "UploadFile" in first["msg"]:
            message = f"{field!r} must be a file"
        case "literal_error":
            message = f"{field!r} must be {first['ctx']['expected']}"
        case _:
            message = f"{field}: {first['msg']}" if field else f"{first['msg']}"
    return Problem(status=400, message=f"{message}.", code=kind, field=field)


_ALWAYS = (400, 401, 403, 408, 413, 421, 500, 503)
_SPEAKING = (429, 502, 504)


def error_responses(schema: dict[str, Any], statuses: Iterable[int] = ()) -> dict[int | str, dict[str, Any]]:
    """Declare for OpenAPI the errors that every route may return, plus `statuses`.

    Args:
        schema: of the JSON body, as a JSON schema.
    """
    content = {"application/json": {"schema": schema}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({*_ALWAYS, *statuses})
    }


def json_body(schema: dict[str, Any]) -> dict[str, Any]:
    """Declare for OpenAPI the body of a route that reads its JSON itself."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def audio_responses(
    content_types: Iterable[str], schema: dict[str, Any], statuses: Iterable[int] = ()
) -> dict[int | str, dict[str, Any]]:
    """Declare for OpenAPI the responses of a speech route, which must also set `response_class=Response`.

    Args:
        content_types: of the audio, without parameters.
        schema: of the JSON body of an error.
        statuses: of errors in addition to those of every speech route.
    """
    binary = {"schema": {"type": "string", "format": "binary"}}
    audio = {"description": "Speech, sent while it is generated.", "content": dict.fromkeys(content_types, binary)}
    return {200: audio, **error_responses(schema, (*_SPEAKING, *statuses))}
