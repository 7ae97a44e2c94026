"""GPT-SoVITS's api_v2 at `/tts`, and the paths that SillyTavern requests.

Unlike GPT-SoVITS's server, this one cannot be stopped or made to load other files over HTTP: a request to load weights
succeeds and changes nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.requests import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from voxcli.protocols.dialect import FieldError, Problem, ServerRequest
from voxcli.protocols.fields import json_schema
from voxcli.protocols.gptsovits import messages as gptsovits
from voxcli.protocols.gptsovits.fields import (
    DEFAULT_VOICE,
    MEDIA_TYPES,
    REQUIRED,
    VOICE_NOT_FOUND,
    TtsRequest,
    find_voice_at,
)
from voxcli.server.bodies import read_json
from voxcli.server.errors import Refusal, problem_of
from voxcli.server.routes.dialect_route import audio_responses, dialect_route, error_responses, json_body
from voxcli.server.service import Service

_SCHEMA = json_schema(TtsRequest)
_NOT_IN_QUERY = "aux_ref_audio_paths"
"""The original does not see it there either."""

_BODY = json_body(_SCHEMA)
_EXAMPLE = {"text": "Hello.", "text_lang": "en", "prompt_lang": "en", "ref_audio_path": "default"}

TTS_QUERY: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "required": name in _SCHEMA["required"], "schema": schema}
        for name, schema in _SCHEMA["properties"].items()
        if name != _NOT_IN_QUERY
    ]
}

SPEECH_TYPES = tuple(f"audio/{name}" for name in MEDIA_TYPES)

_MESSAGE = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string"}, "Exception": {"type": "string"}},
}
_MALFORMED = {
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"type": "array", "items": {"type": "object"}}},
}
ERROR_SCHEMA: dict[str, Any] = {"anyOf": [_MESSAGE, _MALFORMED]}


class SpeakerEntry(BaseModel):
    """A voice, as SillyTavern lists it."""

    name: str
    voice_id: str


class Success(BaseModel):
    message: Literal["success"] = "success"


_FORBIDDEN, _UNPROCESSABLE = 403, 422
_MOST_LISTED = 20


def router(service: Service) -> APIRouter:
    """Return the routes of GPT-SoVITS's dialect."""
    routes = APIRouter(
        route_class=dialect_route(gptsovits.error_body, gptsovits_problem, malformed_status=_UNPROCESSABLE),
        responses=error_responses(ERROR_SCHEMA),
        tags=["GPT-SoVITS"],
    )
    _add_speech(routes, service)
    _add_voices(routes, service)
    _add_control(routes)
    return routes


def gptsovits_problem(error: Exception) -> Problem:
    """Return the problem of an error, with the statuses of GPT-SoVITS."""
    if isinstance(error, FieldError):
        return gptsovits.problem_of(error)
    return problem_of(error)


def _add_speech(routes: APIRouter, service: Service) -> None:
    responses = audio_responses(SPEECH_TYPES, ERROR_SCHEMA, [_UNPROCESSABLE])

    async def speak(request: Request, fields: Mapping[str, Any]) -> Response:
        server_request = await service.threads.call(lambda: _read_server_request(fields, service))
        return await service.speak(request, server_request, gptsovits.answer_headers)

    @routes.post("/tts", summary="Speak a text", response_class=Response, responses=responses, openapi_extra=_BODY)
    async def tts(request: Request) -> Response:
        return await speak(request, await read_json(request, _EXAMPLE))

    @routes.get("/tts", summary="Speak a text", response_class=Response, responses=responses, openapi_extra=TTS_QUERY)
    async def tts_by_query(request: Request) -> Response:
        fields = dict(request.query_params)
        fields.pop(_NOT_IN_QUERY, None)
        for name in ("text_lang", "prompt_lang"):
            if name in fields:
                fields[name] = fields[name].lower()
        return await speak(request, fields)

    @routes.post(
        "/",
        summary="Speak a text, for SillyTavern",
        response_class=Response,
        responses=responses,
        openapi_extra=_BODY,
    )
    async def tts_at_root(request: Request) -> Response:
        return await speak(request, await read_json(request, _EXAMPLE))


def _read_server_request(fields: Mapping[str, Any], service: Service) -> ServerRequest:
    with with_known_voices(service):
        return gptsovits.to_server_request(fields, service.choice.find, max_characters=service.settings.max_characters)


@contextmanager
def with_known_voices(service: Service) -> Iterator[None]:
    """Let the error for an unknown voice list the known ones."""
    try:
        yield
    except FieldError as error:
        if error.code != VOICE_NOT_FOUND:
            raise
        names = _voice_names(service)
        listing = ", ".join(names[:_MOST_LISTED]) + (", …" if len(names) > _MOST_LISTED else "")
        raise FieldError(f"{error}. The voices here, without a path: {listing}", error.field, error.code) from None


def _voice_names(service: Service) -> list[str]:
    names = service.choice.names()
    return names if DEFAULT_VOICE in names else [DEFAULT_VOICE, *names]


def _add_voices(routes: APIRouter, service: Service) -> None:
    @routes.get("/speakers", summary="List the voices, for SillyTavern")
    async def speakers() -> list[SpeakerEntry]:
        return [
            SpeakerEntry(name=name, voice_id=name) for name in await service.threads.call(lambda: _voice_names(service))
        ]

    @routes.get(
        "/set_refer_audio",
        summary="Check that a voice exists",
        description="Succeeds if the voice exists. Nothing is prepared: `/tts` requires its name anyway.",
        response_model=Success,
        responses=error_responses(ERROR_SCHEMA, [_UNPROCESSABLE]),
    )
    async def set_refer_audio(refer_audio_path: str) -> Success | JSONResponse:
        if await service.threads.call(lambda: find_voice_at(refer_audio_path, service.choice.find)):
            return Success()
        reason = "Voice not found. GET /speakers lists the voices."
        return JSONResponse({"message": "set refer audio failed", "Exception": reason}, 400)


def _add_control(routes: APIRouter) -> None:
    """Answer the paths that load and stop: clients call them before they speak, and expect success."""
    responses = error_responses(ERROR_SCHEMA, [_UNPROCESSABLE])
    note = "Nothing is loaded: a server has one model, chosen by its operator."

    @routes.get("/set_gpt_weights", summary="Keep the model", description=note, responses=responses)
    async def set_gpt_weights(weights_path: str = "") -> Success:
        return _kept(weights_path, "gpt")

    @routes.get("/set_sovits_weights", summary="Keep the model", description=note, responses=responses)
    async def set_sovits_weights(weights_path: str = "") -> Success:
        return _kept(weights_path, "sovits")

    @routes.get(
        "/control", summary="Not available", status_code=_FORBIDDEN, responses=error_responses(ERROR_SCHEMA, [403])
    )
    async def control() -> None:
        message = "This server cannot be stopped or restarted over HTTP, only by its operator."
        raise Refusal(Problem(status=_FORBIDDEN, message=message, code="forbidden"))


def _kept(path: str, kind: str) -> Success:
    if not path:
        raise FieldError(f"{kind} weight path is required", "weights_path", REQUIRED)
    return Success()
