"""Health routes: `/livez`, `/readyz` and `/metrics`."""

import asyncio

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from voxcli.errors import RequestError, VoxError
from voxcli.server.routes.dialect_route import error_responses
from voxcli.server.service import Service
from voxcli.synthesis.servers import SharesTexts

_STUCK = 15.0
"""Seconds without a chunk, while streams are waiting, after which the model counts as stuck."""
_TRIAL_SECONDS = 10.0

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Readiness:
    """Decides whether a request would be served: by the engine's last chunk, or by a trial request."""

    def __init__(self, service: Service, *, stuck_seconds: float = _STUCK) -> None:
        self._service = service
        self._stuck_seconds = stuck_seconds
        self._trial: asyncio.Task[bool] | None = None

    async def state(self) -> tuple[bool, str]:
        """Return whether the server is ready, and its state in one word."""
        service = self._service
        if service.admission.draining:
            return False, "draining"
        if service.models.loading:
            return False, "loading"
        if service.models.failed:
            return False, "failed"
        if not service.models.loaded:
            return True, "asleep"  # the next request loads it; a balancer would send none if this were false
        engine = service.models.engine
        if isinstance(engine, SharesTexts) and all(server.problem for server in engine.servers()):
            return False, "unreachable"
        if service.probe and service.heartbeat.silent_seconds() > self._stuck_seconds:
            return False, "stuck"
        if service.heartbeat.is_fresh() or service.admission.used:
            return True, "ready"
        works = await self._tried()
        return works, "ready" if works else "failed"

    async def _tried(self) -> bool:
        """Run a trial request, shared by all concurrent checks."""
        if self._trial is None or self._trial.done():
            self._trial = asyncio.create_task(self._try())
        done, _ = await asyncio.wait({self._trial}, timeout=_TRIAL_SECONDS)
        return bool(done) and self._trial.result()

    async def _try(self) -> bool:
        try:
            await self._service.try_out()
        except RequestError:
            return True  # the engine answered
        except VoxError:
            return False
        return True


def router(service: Service) -> APIRouter:
    """Build the routes. `/livez` requires no key."""
    routes = APIRouter(tags=["health"], responses=error_responses(_ERROR))
    readiness = Readiness(service)

    @routes.get("/livez", summary="Whether the server is running")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @routes.get(
        "/readyz",
        summary="Whether a request would be served",
        description="True if the model has generated audio recently, does so on trial, or is unloaded until it is "
        "needed. False while it is loading, is stuck or has failed, and while the server is shutting down.",
        responses={503: {"description": "Not ready.", "content": {"application/json": {"schema": _NOT_READY}}}},
    )
    async def readyz() -> JSONResponse:
        ready, why = await readiness.state()
        return JSONResponse({"status": why}, 200 if ready else 503)

    @routes.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        engine = service.models.engine
        if isinstance(engine, SharesTexts):
            service.metrics.note_servers(engine.servers())
        text = await service.replicas.metrics() if service.replicas else service.metrics.text()
        return Response(text, media_type=_PROMETHEUS)

    return routes


_ERROR = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
_STATUS = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
_NOT_READY = {"anyOf": [_STATUS, _ERROR]}
