"""Private routes: speech, state, errors, holds, keep-alive and stop, for programs of the user who runs the server.

On public connections they do not exist: see `server.private.access`. A resident engine has no others, and so starts
without FastAPI, which takes as long to load as half of torch.
"""

import os
import sys
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxcli.protocols.dialect import FieldError, Problem, ServerRequest
from voxcli.protocols.fields import parse_fields
from voxcli.protocols.voxcpm import messages as voxcpm
from voxcli.protocols.voxcpm.engines import EngineDescription
from voxcli.server.bodies import check_form, read_form, read_json
from voxcli.server.errors import Refusal, Respond, answering_errors, problem_of
from voxcli.server.operating.access import REQUEST_ID
from voxcli.server.private.access import PATHS
from voxcli.server.private.errors import STOPPING
from voxcli.server.private.holds import HoldResponse
from voxcli.server.private.keep_alive import FOR_EVER
from voxcli.server.service import Service
from voxcli.synthesis.request import Clip, Engine, HasVoices, Sampling
from voxcli.version import __version__

if sys.platform != "win32":
    import resource


CLIPS = ("prompt_audio", "reference_audio")
"""Fields of a request for speech that hold recordings."""
MOST_FIELDS = 64
_UNLIMITED = 2**62
_ENDING = Problem(status=503, message="The server is about to end.", code=STOPPING)


class Stop(BaseModel):
    """What `POST /private/stop` takes."""

    now: bool = False
    """Without waiting for what is being spoken."""


class Renewal(BaseModel):
    """What `POST /private/keep-alive` takes."""

    seconds: float = Field(ge=FOR_EVER, allow_inf_nan=False)


@runtime_checkable
class _IsPlaced(Protocol):
    """An engine that runs on a device of this machine."""

    sample_rate: int
    placement: Any
    """With the attributes `device` and `dtype`."""


def routes(service: Service) -> list[Route]:
    """Build the routes, without that of speech."""

    async def state(request: Request) -> Response:
        return _described(service)

    async def error(request: Request) -> Response:
        request_id = request.path_params["request_id"]
        if found := service.late_errors.take(request_id):
            return JSONResponse(found)
        raise Refusal(Problem(status=404, message=f"No error of {request_id!r} is known.", code="not_found"))

    async def hold(request: Request) -> Response:
        _refuse_if_ending(service)
        return HoldResponse(service.holds, getattr(request.state, REQUEST_ID))

    async def keep_alive(request: Request) -> Response:
        renewal = parse_fields(Renewal, await read_json(request, {"seconds": 300}))
        _refuse_if_ending(service)
        service.keep_alive.touch(renewal.seconds)
        return _described(service)

    async def stop(request: Request) -> Response:
        """Answer at once. The connection is closed when the server has ended."""
        now = parse_fields(Stop, await read_json(request, {"now": False})).now
        if service.stop is None:
            message = "This server was started by a person, and is ended by that person."
            raise Refusal(Problem(status=409, message=message, code="not_resident"))
        service.stop(now)
        return _described(service)

    return [
        _route("GET", f"{PATHS}/state", state),
        _route("GET", f"{PATHS}/errors/{{request_id}}", error),
        _route("POST", f"{PATHS}/hold", hold),
        _route("POST", f"{PATHS}/keep-alive", keep_alive),
        _route("POST", f"{PATHS}/stop", stop),
    ]


def speech_route(service: Service) -> Route:
    """Build the route of speech, for a server with private connections only."""

    async def respond(request: Request) -> Response:
        return await speak_privately(request, service, stream=True)

    return _route("POST", voxcpm.STREAM_PATH, respond)


async def speak_privately(request: Request, service: Service, *, stream: bool) -> Response:
    """Respond with speech to a program of this user."""
    server_request = await _read_request(request, service, stream=stream)
    return await service.speak(request, server_request, voxcpm.answer_headers)


async def _read_request(request: Request, service: Service, *, stream: bool) -> ServerRequest:
    """Read the fields of a program of this user. Clips may be references; the engine says what is wrong with them."""
    await check_form(request)
    async with read_form(request, max_files=len(CLIPS), max_fields=MOST_FIELDS, most_bytes=_UNLIMITED) as form:
        fields: dict[str, Any] = dict(form)
        for name in CLIPS:
            given = fields.get(name)
            if isinstance(given, UploadFile):
                fields[name] = Clip(await given.read(), given.filename or "clip")
                service.clips.keep(fields[name])
            elif given:
                fields[name] = service.clips.find(given, name)
    return voxcpm.to_server_request(
        fields, None, stream=stream, default_steps=default_steps(service), max_characters=None
    )


def default_steps(service: Service) -> int:
    """Return the solver steps of a request that names none."""
    return voxcpm.DEFAULT_STEPS if service.models.samples else Sampling().steps


def native_problem_of(error: Exception) -> Problem:
    """Return what the client is told, with the statuses of VoxCPM's servers."""
    return voxcpm.problem_of(error) if isinstance(error, FieldError) else problem_of(error)


def _route(method: str, path: str, respond: Respond) -> Route:
    return Route(path, answering_errors(respond, voxcpm.error_body, native_problem_of), methods=[method])


def _refuse_if_ending(service: Service) -> None:
    if service.admission.draining:
        raise Refusal(_ENDING)


def _described(service: Service) -> Response:
    return JSONResponse(describe_state(service))


def describe_state(service: Service) -> dict[str, Any]:
    """Return what a server is and does."""
    engine, gpu, keep_alive = service.models.engine, service.models.gpu_memory(), service.keep_alive
    return {
        "folder": None,
        "identity": {},
        "quantize": None,
        "serves": None,
        **service.about,
        "pid": os.getpid(),
        "version": __version__,
        "model": service.models.name,
        "state": _state_of(service),
        "memory_bytes": _resident_bytes(),
        "gpu_memory_bytes": gpu.reserved_bytes if gpu else 0,
        "gpu": asdict(gpu) if gpu else None,
        "streams": service.admission.used,
        "waiting": service.admission.depth,
        "holds": len(service.holds),
        "idle_seconds": round(keep_alive.idle_seconds, 1),
        "keep_alive": keep_alive.seconds,
        "remaining_seconds": round(keep_alive.remaining_seconds, 1),
        "slots": service.models.slots,
        **(_describe_engine(engine) if engine else {}),
    }


def _state_of(service: Service) -> str:
    if service.admission.draining:
        return STOPPING
    if service.models.loading:
        return "loading"
    return "failed" if service.models.failed else "ready"


def _describe_engine(engine: Engine) -> dict[str, Any]:
    described = EngineDescription.of(engine)
    abilities = described.model_dump(exclude={"draws_voices", "identity", "sample_rate"})
    placed = engine if isinstance(engine, _IsPlaced) else None
    return {
        "device": str(placed.placement.device) if placed else "cpu",
        "dtype": str(placed.placement.dtype).removeprefix("torch.") if placed else None,
        "sample_rate": placed.sample_rate if placed else None,
        "draws_voices": engine.draws_voices,
        "voice_names": sorted(engine.voice_names) if isinstance(engine, HasVoices) else [],
        "abilities": abilities,
        "model_identity": described.identity,
    }


def _resident_bytes() -> int | None:
    """Return the memory of this process; its highest on systems other than Linux, None on Windows."""
    if sys.platform == "win32":
        return None
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()
