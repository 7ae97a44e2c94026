"""Private routes: state, errors, holds, keep-alive and stop, for programs of the user who runs the server.

On public connections they do not exist: see `server.private.access`.
"""

import os
import sys
from typing import Any, Protocol, runtime_checkable

from fastapi import APIRouter
from fastapi.requests import Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from voxcli.protocols.dialect import Problem
from voxcli.protocols.fields import parse_fields
from voxcli.protocols.voxcpm import messages as voxcpm
from voxcli.protocols.voxcpm.engines import EngineDescription
from voxcli.server.bodies import read_json
from voxcli.server.errors import Refusal, dialect_route
from voxcli.server.middleware import REQUEST_ID
from voxcli.server.private.access import PATHS
from voxcli.server.private.errors import STOPPING
from voxcli.server.private.holds import HoldResponse
from voxcli.server.private.keep_alive import FOR_EVER
from voxcli.server.routes.voxcpm import native_problem_of
from voxcli.server.service import Service
from voxcli.synthesis.request import Engine, HasVoices
from voxcli.version import __version__

if sys.platform != "win32":
    import resource


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


def router(service: Service) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(
        prefix=PATHS, route_class=dialect_route(voxcpm.error_body, native_problem_of), include_in_schema=False
    )

    @routes.get("/state")
    async def state() -> dict[str, Any]:
        return describe_state(service)

    @routes.get("/errors/{request_id}")
    async def error(request_id: str) -> dict[str, Any]:
        if found := service.late_errors.take(request_id):
            return found
        raise Refusal(Problem(status=404, message=f"No error of {request_id!r} is known.", code="not_found"))

    @routes.post("/hold", response_class=HoldResponse)
    async def hold(request: Request) -> Response:
        if service.admission.draining:
            raise Refusal(_ENDING)
        return HoldResponse(service.holds, getattr(request.state, REQUEST_ID))

    @routes.post("/keep-alive")
    async def keep_alive(request: Request) -> dict[str, Any]:
        renewal = parse_fields(Renewal, await read_json(request, {"seconds": 300}))
        if service.admission.draining:
            raise Refusal(_ENDING)
        service.keep_alive.touch(renewal.seconds)
        return describe_state(service)

    @routes.post("/stop")
    async def stop(request: Request) -> dict[str, Any]:
        """Answer at once. The connection is closed when the server has ended."""
        now = parse_fields(Stop, await read_json(request, {"now": False})).now
        if service.stop is None:
            message = "This server was started by a person, and is ended by that person."
            raise Refusal(Problem(status=409, message=message, code="not_resident"))
        service.stop(now)
        return describe_state(service)

    return routes


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
    abilities = EngineDescription.of(engine).model_dump(exclude={"draws_voices"})
    placed = engine if isinstance(engine, _IsPlaced) else None
    return {
        "device": str(placed.placement.device) if placed else "cpu",
        "dtype": str(placed.placement.dtype).removeprefix("torch.") if placed else None,
        "sample_rate": placed.sample_rate if placed else None,
        "draws_voices": engine.draws_voices,
        "voice_names": sorted(engine.voice_names) if isinstance(engine, HasVoices) else [],
        "abilities": abilities,
    }


def _resident_bytes() -> int | None:
    """Return the memory of this process; its highest on systems other than Linux, None on Windows."""
    if sys.platform == "win32":
        return None
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()
