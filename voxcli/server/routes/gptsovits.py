"""GPT-SoVITS's api_v2 at `/tts`, with what SillyTavern asks for beside it.

What a server of GPT-SoVITS lets anybody do to it, nobody may do to this one: end it, or have it load other files.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Body
from fastapi.exceptions import RequestValidationError
from fastapi.requests import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, WithJsonSchema

from voxcli.protocols.dialect import FieldError, Problem, ServerRequest
from voxcli.protocols.fields import json_schema
from voxcli.protocols.gptsovits import messages as gptsovits
from voxcli.protocols.gptsovits.fields import DEFAULT_VOICE, MEDIA_TYPES, VOICE_NOT_FOUND, TtsRequest, find_voice_at
from voxcli.server.errors import Refusal, audio_responses, dialect_route, error_responses, problem_of
from voxcli.server.service import Service

_SCHEMA = json_schema(TtsRequest)
_NOT_IN_QUERY = "aux_ref_audio_paths"
"""The original does not see it there either."""

TtsFields: TypeAlias = Annotated[dict[str, Any], Body(), WithJsonSchema(_SCHEMA)]

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


class Speaker(BaseModel):
    """A voice, as SillyTavern asks for it."""

    name: str
    voice_id: str


class Success(BaseModel):
    message: Literal["success"] = "success"


_FORBIDDEN, _UNPROCESSABLE = 403, 422
_MOST_LISTED = 20


def router(service: Service) -> APIRouter:
    """Return the routes of GPT-SoVITS's dialect."""
    routes = APIRouter(
        route_class=dialect_route(gptsovits.error_body, _problem_of),
        responses=error_responses(ERROR_SCHEMA),
        tags=["GPT-SoVITS"],
    )
    _add_speech(routes, service)
    _add_voices(routes, service)
    _add_refusals(routes)
    return routes


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, FieldError):
        return gptsovits.problem_of(error)
    problem = problem_of(error)
    return replace(problem, status=_UNPROCESSABLE) if isinstance(error, RequestValidationError) else problem


def _add_speech(routes: APIRouter, service: Service) -> None:
    responses = audio_responses(SPEECH_TYPES, ERROR_SCHEMA, [_UNPROCESSABLE])

    async def speak(request: Request, fields: Mapping[str, Any]) -> Response:
        server_request = await service.threads.call(lambda: _read_server_request(fields, service))
        return await service.speak(request, server_request, gptsovits.answer_headers)

    @routes.post("/tts", summary="Say a text", response_class=Response, responses=responses)
    async def tts(request: Request, fields: TtsFields) -> Response:
        return await speak(request, fields)

    @routes.get("/tts", summary="Say a text", response_class=Response, responses=responses, openapi_extra=TTS_QUERY)
    async def tts_by_query(request: Request) -> Response:
        fields = dict(request.query_params)
        fields.pop(_NOT_IN_QUERY, None)
        for name in ("text_lang", "prompt_lang"):
            if name in fields:
                fields[name] = fields[name].lower()
        return await speak(request, fields)

    @routes.post("/", summary="Say a text, for SillyTavern", response_class=Response, responses=responses)
    async def tts_at_root(request: Request, fields: TtsFields) -> Response:
        return await speak(request, fields)


def _read_server_request(fields: Mapping[str, Any], service: Service) -> ServerRequest:
    """Read what a client wants. Who names a voice that is not there is told which ones are."""
    try:
        return gptsovits.to_server_request(fields, service.find_voice, max_characters=service.settings.max_characters)
    except FieldError as error:
        if error.code != VOICE_NOT_FOUND:
            raise
        names = _voice_names(service)
        listing = ", ".join(names[:_MOST_LISTED]) + (", …" if len(names) > _MOST_LISTED else "")
        raise FieldError(f"{error}. The voices here, without a path: {listing}", error.field, error.code) from None


def _voice_names(service: Service) -> list[str]:
    names = service.voices.names()
    return names if DEFAULT_VOICE in names else [DEFAULT_VOICE, *names]


def _add_voices(routes: APIRouter, service: Service) -> None:
    @routes.get("/speakers", summary="The voices that can be named, for SillyTavern")
    async def speakers() -> list[Speaker]:
        return [Speaker(name=name, voice_id=name) for name in await service.threads.call(lambda: _voice_names(service))]

    @routes.get(
        "/set_refer_audio",
        summary="Ask for a voice before it is needed",
        description="There is nothing to prepare: it succeeds if the voice is there, and `/tts` wants its name anyway.",
        response_model=Success,
        responses=error_responses(ERROR_SCHEMA, [_UNPROCESSABLE]),
    )
    async def set_refer_audio(refer_audio_path: str) -> Success | JSONResponse:
        if await service.threads.call(lambda: find_voice_at(refer_audio_path, service.find_voice)):
            return Success()
        reason = "There is no such voice. GET /speakers lists those there are."
        return JSONResponse({"message": "set refer audio failed", "Exception": reason}, 400)


def _add_refusals(routes: APIRouter) -> None:
    def refuse(path: str, message: str) -> None:
        @routes.get(
            path,
            name=path[1:],
            summary="Not here",
            description=message,
            status_code=_FORBIDDEN,
            responses=error_responses(ERROR_SCHEMA, [_FORBIDDEN]),
        )
        async def refused() -> None:
            raise Refusal(Problem(status=_FORBIDDEN, message=message, code="forbidden"))

    refuse("/control", "This server cannot be ended or restarted over HTTP: whoever runs it can.")
    for path in ("/set_gpt_weights", "/set_sovits_weights"):
        refuse(path, "This server has one model, chosen by whoever runs it. It loads no others over HTTP.")
