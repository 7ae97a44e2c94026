"""OpenAI's speech API at `/v1`, with the paths beside it that widespread clients ask for."""

import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.requests import Request
from fastapi.responses import Response

from voxcli.protocols.dialect import Problem, ServerRequest
from voxcli.protocols.openai.messages import MODELS, VOICES, answer_headers, error_body, to_server_request
from voxcli.server.errors import Refusal, dialect_route, error_responses
from voxcli.server.routes import openai_voices
from voxcli.server.routes.openai_schema import (
    ERROR_SCHEMA,
    Model,
    ModelList,
    ModelNames,
    Named,
    SpeechFields,
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
    )
    async def speech(request: Request, fields: SpeechFields) -> Response:
        """Say a text. The sound leaves while it is made, in every format."""
        server_request = await service.threads.call(lambda: _to_server_request(service, fields))
        return await service.speak(request, server_request, answer_headers)


def _to_server_request(service: Service, fields: Mapping[str, Any]) -> ServerRequest:
    settings, models = service.settings, service.models
    server_request = to_server_request(
        fields, service.find_voice, max_characters=settings.max_characters, steps_by_model=models.samples
    )
    if settings.strict_models and server_request.model not in (None, models.name):
        raise _no_model(server_request.model or "")
    return server_request


def _add_models(routes: APIRouter, service: Service) -> None:
    started = int(time.time())

    @routes.get("/models")
    async def list_models() -> ModelList:
        """List the model that speaks, and the names of OpenAI's that are taken for it."""
        return ModelList(data=[_model(name, started) for name in _model_names(service)])

    @routes.get("/models/{model:path}", responses=error_responses(ERROR_SCHEMA, [404]))
    async def find_model(model: str) -> Model:
        if model not in _model_names(service):
            raise _no_model(model)
        return _model(model, started)


def _add_shims(routes: APIRouter, service: Service) -> None:
    @routes.get("/audio/models")
    async def list_model_names() -> ModelNames:
        """List the names of models as Open WebUI asks for them."""
        return ModelNames(models=[Named(id=name) for name in _model_names(service)])

    @routes.get("/audio/voices")
    async def list_voice_names(legacy: bool = False) -> VoiceNames:
        """List the voices: those of the library, then OpenAI's, for which the model chooses one.

        With `legacy` they are plain names, as older clients expect.
        """
        own = await service.threads.call(service.voices.names)
        known = [*own, *(name for name in VOICES if name not in own)]
        return VoiceNames(voices=known if legacy else [VoiceName(id=name, name=name) for name in known])

    @routes.get("/test")
    async def test() -> Status:
        """Say that all is well. wyoming_openai, which brings voices to Home Assistant, asks for them only then."""
        return Status()


def _model_names(service: Service) -> list[str]:
    own = service.models.name
    return [own] if service.settings.strict_models else [own, *(name for name in MODELS if name != own)]


def _model(name: str, created: int) -> Model:
    return Model(id=name, created=created, owned_by="voxcli")


def _no_model(name: str) -> Refusal:
    message = f"There is no model {name[:_SHOWN]!r} here. GET /v1/models lists those there are."
    return Refusal(Problem(status=404, message=message, code="model_not_found", field="model"))
