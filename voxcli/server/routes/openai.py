"""OpenAI's speech API at `/v1`, and the further paths that widespread clients request."""

import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.requests import Request
from fastapi.responses import Response

from voxcli.protocols.dialect import Problem, ServerRequest
from voxcli.protocols.openai.fields import MODELS, VOICES, to_server_request
from voxcli.protocols.openai.messages import answer_headers, error_body
from voxcli.server.bodies import read_json
from voxcli.server.errors import Refusal
from voxcli.server.routes import openai_voices
from voxcli.server.routes.dialect_route import dialect_route, error_responses
from voxcli.server.routes.openai_schema import (
    ERROR_SCHEMA,
    EXAMPLE,
    SPEECH_BODY,
    ModelEntry,
    ModelList,
    ModelNames,
    Named,
    Status,
    VoiceName,
    VoiceNames,
    speech_responses,
)
from voxcli.server.service import Service

_SHOWN = 80


def router(service: Service) -> APIRouter:
    """Return the routes of OpenAI's dialect."""
    routes = APIRouter(
        prefix="/v1",
        route_class=dialect_route(error_body),
        responses=error_responses(ERROR_SCHEMA),
        tags=["OpenAI"],
    )
    _add_speech(routes, service)
    _add_models(routes, service)
    _add_shims(routes, service)
    openai_voices.add_routes(routes, service)
    return routes


def _add_speech(routes: APIRouter, service: Service) -> None:
    @routes.post(
        "/audio/speech",
        response_class=Response,
        responses=speech_responses(strict_models=service.settings.strict_models),
        openapi_extra=SPEECH_BODY,
    )
    async def speech(request: Request) -> Response:
        """Speak a text. Audio is streamed while it is generated; FLAC only with `stream_format`."""
        fields = await read_json(request, EXAMPLE)
        server_request = await service.threads.call(lambda: _to_server_request(service, fields))
        return await service.speak(request, server_request, answer_headers)


def _to_server_request(service: Service, fields: Mapping[str, Any]) -> ServerRequest:
    settings, models = service.settings, service.models
    server_request = to_server_request(
        fields, service.choice.find, max_characters=settings.max_characters, steps_by_model=models.samples
    )
    if settings.strict_models and server_request.model not in (None, models.name):
        raise _no_model(server_request.model or "")
    return server_request


def _add_models(routes: APIRouter, service: Service) -> None:
    started = int(time.time())

    @routes.get("/models")
    async def list_models() -> ModelList:
        """List the loaded model, and the OpenAI model names that stand for it."""
        return ModelList(data=[_model(name, started) for name in _model_names(service)])

    @routes.get("/models/{model:path}", responses=error_responses(ERROR_SCHEMA, [404]))
    async def find_model(model: str) -> ModelEntry:
        if model not in _model_names(service):
            raise _no_model(model)
        return _model(model, started)


def _add_shims(routes: APIRouter, service: Service) -> None:
    @routes.get("/audio/models")
    async def list_model_names() -> ModelNames:
        """List the model names in the form that Open WebUI expects."""
        return ModelNames(models=[Named(id=name) for name in _model_names(service)])

    @routes.get("/audio/voices")
    async def list_voice_names(legacy: bool = False) -> VoiceNames:
        """List the voices of the library and of the engine, then OpenAI's.

        With `legacy` the list has plain names, as older clients expect.
        """
        own = await service.threads.call(lambda: openai_voices.list_own_voices(service))
        names = {voice.id for voice in own}
        known = [*own, *(VoiceName(id=name, name=name) for name in VOICES if name not in names)]
        return VoiceNames(voices=[voice.id for voice in known] if legacy else known)

    @routes.get("/test")
    async def test() -> Status:
        """Report success. wyoming_openai, which connects Home Assistant, requests voices only then."""
        return Status()


def _model_names(service: Service) -> list[str]:
    own = service.models.name
    return [own] if service.settings.strict_models else [own, *(name for name in MODELS if name != own)]


def _model(name: str, created: int) -> ModelEntry:
    return ModelEntry(id=name, created=created, owned_by="voxcli")


def _no_model(name: str) -> Refusal:
    message = f"Model {name[:_SHOWN]!r} not found. GET /v1/models lists the models."
    return Refusal(Problem(status=404, message=message, code="model_not_found", field="model"))
