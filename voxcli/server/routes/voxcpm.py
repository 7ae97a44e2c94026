"""VoxCPM's own API at `/api`, and `/health`, for clients of its servers."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, File
from fastapi.datastructures import UploadFile
from fastapi.requests import Request
from fastapi.responses import Response
from starlette.datastructures import UploadFile as Upload

from voxcli.protocols.dialect import FieldError
from voxcli.protocols.voxcpm import messages as voxcpm
from voxcli.protocols.voxcpm.engines import EngineDescription
from voxcli.protocols.voxcpm.exact import BY_HASH
from voxcli.protocols.voxcpm.voices import DEFAULT_VOICE, voice_entry
from voxcli.server.bodies import check_form, is_given, measure_clip, read_clip, read_form
from voxcli.server.keys import CLIENT, TRUSTED
from voxcli.server.private.sockets import is_private
from voxcli.server.routes.dialect_route import audio_responses, dialect_route, error_responses
from voxcli.server.routes.private import CLIPS, MOST_FIELDS, default_steps, native_problem_of, speak_privately
from voxcli.server.routes.voxcpm_schema import (
    ERROR_SCHEMA,
    SPEECH_BODY,
    SPEECH_TYPES,
    ClipQuality,
    ClipRemark,
    GpuStatus,
    Health,
    Loaded,
    NativeVoice,
    NativeVoices,
    NoGpu,
    Offloaded,
    UpstreamServer,
)
from voxcli.server.service import Service
from voxcli.synthesis.request import Voice
from voxcli.synthesis.servers import ServerReport, SharesTexts
from voxcli.version import __version__
from voxcli.voices.description import NO_NOTES
from voxcli.voices.named import find_named

_UNPROCESSABLE = 422
_DEFAULT = "The model chooses."


def router(service: Service) -> APIRouter:
    """Return the routes of VoxCPM's own dialect."""
    routes = APIRouter(
        route_class=dialect_route(voxcpm.error_body, native_problem_of, malformed_status=_UNPROCESSABLE),
        responses=error_responses(ERROR_SCHEMA),
        tags=["VoxCPM"],
    )
    _add_speech(routes, service, voxcpm.STREAM_PATH, stream=True)
    _add_speech(routes, service, voxcpm.WHOLE_PATH, stream=False)
    _add_state(routes, service)
    _add_clips(routes, service)
    return routes


def _add_speech(routes: APIRouter, service: Service, path: str, *, stream: bool) -> None:
    @routes.post(
        path,
        name="stream_speech" if stream else "make_speech",
        summary="Stream speech while it is generated" if stream else "Generate speech, and send it as a whole",
        response_class=Response,
        responses=audio_responses(SPEECH_TYPES, ERROR_SCHEMA, [404, _UNPROCESSABLE]),
        openapi_extra=SPEECH_BODY,
    )
    async def speak(request: Request) -> Response:
        if is_private(request.scope):
            return await speak_privately(request, service, stream=stream)
        fields = await _read_form(request, service)
        server_request = await service.threads.call(
            lambda: voxcpm.to_server_request(
                fields,
                service.choice.find,
                stream=stream,
                default_steps=default_steps(service),
                max_characters=service.settings.max_characters,
            )
        )
        return await service.speak(request, server_request, voxcpm.answer_headers)


async def _read_form(request: Request, service: Service) -> dict[str, Any]:
    """Read the fields, including uploaded clips. Nothing stays on disk."""
    await check_form(request)
    client = getattr(request.state, CLIENT, "")
    async with read_form(request, max_files=len(CLIPS), max_fields=MOST_FIELDS) as form:
        fields: dict[str, Any] = dict(form)
        for name in CLIPS:
            if isinstance(upload := fields.get(name), Upload):
                if not is_given(upload):
                    del fields[name]
                    continue
                fields[name] = await read_clip(upload, service.settings, service.threads, field=name)
                service.clips_of_clients.keep(fields[name], client)
            elif isinstance(upload, str) and upload.startswith(BY_HASH):
                fields[name] = service.clips_of_clients.find(upload, name, client)
    return fields


def _add_state(routes: APIRouter, service: Service) -> None:
    models = service.models
    described: EngineDescription | None = None

    @routes.get("/api/voices", summary="List the voices")
    async def list_voices() -> NativeVoices:
        return NativeVoices(voices=await service.threads.call(lambda: _list_voices(service)))

    @routes.get("/health", summary="Health of the server and its model")
    async def health(request: Request) -> Health:
        nonlocal described  # also while the model is unloaded
        if engine := models.engine:
            described = EngineDescription.of(engine)
        servers = engine.servers() if isinstance(engine, SharesTexts) else None
        replicas = await service.replicas.servers() if service.replicas else []
        return Health(
            status=_status(service),
            model_loaded=models.loaded,
            version=__version__,
            model=models.name,
            slots=sum(report.slots for report in replicas) or models.slots,
            engine=described,
            servers=_describe_servers(replicas or servers or [], named=getattr(request.state, TRUSTED)),
        )

    @routes.get("/api/gpu/status", summary="GPU memory in use")
    async def gpu_status() -> GpuStatus | NoGpu:
        gpu = models.gpu_memory()
        if gpu is None:
            return NoGpu()
        return GpuStatus(
            model_loaded=models.loaded,
            memory_allocated_gb=_gibibytes(gpu.allocated_bytes),
            memory_reserved_gb=_gibibytes(gpu.reserved_bytes),
            device_name=gpu.name,
        )

    @routes.post("/api/gpu/offload", summary="Unload the model until the next request")
    async def offload() -> Offloaded:
        return Offloaded(model_loaded=not await models.offload())

    @routes.post("/api/gpu/load", summary="Load the model now, and not with the next request")
    async def load() -> Loaded:
        async with models.in_use(service.settings.wait_seconds):
            return Loaded()


def _add_clips(routes: APIRouter, service: Service) -> None:
    @routes.post(
        "/api/clips/check", summary="Tell how good a recording is to imitate", dependencies=[Depends(check_form)]
    )
    async def check(audio: Annotated[UploadFile, File()]) -> ClipQuality:
        """Measure the recording, without silence at its ends. It is not kept."""
        if not is_given(audio):
            raise FieldError("'audio' is missing.", "audio", "missing")
        clip = await read_clip(audio, service.settings, service.threads, field="audio")
        report = await service.threads.call(lambda: measure_clip(clip, service.settings, "audio"))
        return ClipQuality(
            seconds=round(report.seconds, 2),
            sample_rate=report.sample_rate,
            speech_seconds=round(report.speech_seconds, 2),
            speech_dbfs=round(report.speech_dbfs, 1),
            noise_dbfs=round(report.noise_dbfs, 1),
            remarks=[ClipRemark(kind=kind, message=message) for kind, message in report.problems],
        )


def _status(service: Service) -> Literal["healthy", "loading", "unhealthy", "draining"]:
    if service.admission.draining:
        return "draining"
    if service.models.loading:
        return "loading"
    return "unhealthy" if service.models.failed else "healthy"


def _describe_servers(reports: Sequence[ServerReport], *, named: bool) -> list[UpstreamServer] | None:
    """Describe the replicas, or the servers behind a gateway; None if there are none."""
    return [
        UpstreamServer(
            number=number,
            name=report.name if named else None,
            model=report.model,
            status="left out" if report.problem else "spare" if report.spare else "used",
            problem=report.problem if named else None,
            streams=report.streams,
            slots=report.slots,
        )
        for number, report in enumerate(reports, 1)
    ] or None


def _gibibytes(count: int) -> float:
    return round(count / 2**30, 2)


def _list_voices(service: Service) -> list[NativeVoice]:
    """List the library and the engine's own voices, after the default voice that every server has.

    Damaged voices are left out.
    """
    names, library = service.choice.names(), service.voices
    kept = set(library.names())
    default = [] if DEFAULT_VOICE in names else [NativeVoice(id=DEFAULT_VOICE, description=_DEFAULT, text="")]
    described = ((name, library.describe(name) if name in kept else (_own(name), NO_NOTES)) for name in names)
    return [*default, *(NativeVoice(**voice_entry(name, found[0])) for name, found in described if found)]


def _own(name: str) -> Voice:
    """Return a voice of the engine, with its description if it has one."""
    named = find_named(name)
    return Voice(name=name, style=named.description if named else None)
