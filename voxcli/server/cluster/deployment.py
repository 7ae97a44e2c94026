"""Cluster: the same application as replicas of Ray Serve, on one machine or on many, with their metrics summed."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeAlias

import ray
from prometheus_client import Metric
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import AutoscalingConfig, AutoscalingContext, AutoscalingPolicy, DeploymentActorConfig
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxcli.errors import DeviceError, VoxError
from voxcli.server.app import create_app
from voxcli.server.cluster.board import Board, Scale, enough_replicas
from voxcli.server.monitoring import format_metrics
from voxcli.server.operating.access import REQUEST_ID
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.synthesis.servers import ServerReport

NewService: TypeAlias = Callable[[], Service]
Application: TypeAlias = serve.Application

NAME = "voxcli"
"""Of the application and of its deployment."""
_BOARD = "board"
_TELL_SECONDS = 1.0
"""Between two reports of a replica, to the board and to the autoscaler."""
_READ_SECONDS = 2.0
"""For the board to answer."""
_MOST_ONGOING = 100_000
"""Requests on one replica, as Ray counts them: those that wait in its queue and idle WebSockets too. Which of them are
refused is decided by each replica's own queue, which tells when to come again."""
_STARTS = 2
"""Attempts to start a replica before the application counts as failed."""
_MOST_REPLICAS = 1000
"""On one machine."""
_MEMORY_BYTES = 80 * 2**20
"""Of Ray's store of objects, which holds next to nothing here, and which may not be smaller."""


class Replica:
    """One copy of the application, with a model of its own."""

    def __init__(self, new_service: NewService, cores: int | None) -> None:
        """
        Args:
            new_service: builds the service, whose model is loaded when the application starts.
            cores: to which this process is bound; None binds it to none.
        """
        context = serve.get_replica_context()
        self._name = context.replica_tag
        if cores:
            bind_to_cores(context.rank.local_rank, cores)
        self._service = new_service()
        self._service.replicas = self
        self._telling: asyncio.Task[None] | None = None

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return with_lifespan(_with_one_id(create_app(self._service)), self._start, self._end)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Return what `choose_replicas` decides by."""
        admission = self._service.admission
        return {_STREAMS: float(admission.used + admission.depth), _SLOTS: float(admission.slots)}

    async def metrics(self) -> bytes:
        """Return the metrics of all replicas."""
        await self._tell()
        return format_metrics((await self._read())[1])

    async def servers(self) -> list[ServerReport]:
        """Return what all replicas have told."""
        with suppress(RayError, ValueError, TimeoutError):
            await self._tell()
            return (await self._read())[0]
        return [self._report()]

    async def _start(self) -> None:
        await self._service.start()
        self._telling = asyncio.create_task(self._tell_again_and_again())

    async def _end(self) -> None:
        await self._service.drain()
        if self._telling:
            self._telling.cancel()
        with suppress(RayError, ValueError, TimeoutError):
            async with asyncio.timeout(_READ_SECONDS):
                await _board().leave.remote(self._name, self._service.metrics.collect())
        await self._service.close()

    async def _tell_again_and_again(self) -> None:
        while True:
            with suppress(RayError, ValueError, TimeoutError):  # the board is being started again
                await self._tell()
            await asyncio.sleep(_TELL_SECONDS)

    async def _tell(self) -> None:
        async with asyncio.timeout(_READ_SECONDS):
            await _board().tell.remote(self._report(), self._service.metrics.collect())

    async def _read(self) -> tuple[list[ServerReport], list[Metric]]:
        async with asyncio.timeout(_READ_SECONDS):
            told: tuple[list[ServerReport], list[Metric]] = await _board().read.remote()
            return told

    def _report(self) -> ServerReport:
        admission, models = self._service.admission, self._service.models
        return ServerReport(
            name=self._name,
            model=models.name,
            streams=admission.used,
            slots=admission.slots,
            spare=False,
            problem="It is shutting down." if admission.draining else None,
            failures=0,
        )


def _board() -> Any:
    return serve.get_deployment_actor(_BOARD)


_STREAMS, _SLOTS = "streams", "slots"


def choose_replicas(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """Return how many replicas there should be: as many as have a slot for every stream that runs or waits."""
    told: Mapping[str, Mapping[Any, float]] = context.aggregated_metrics or {}
    streams, slots = told.get(_STREAMS, {}), told.get(_SLOTS, {})
    wanted = enough_replicas(sum(streams.values()), [*slots.values()], context.target_num_replicas)
    least, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
    return min(max(wanted, least), most), {}


def bind_to_cores(rank: int, count: int) -> None:
    """Let all threads of this process run on some cores only, the first replica on the first ones. Linux only.

    Args:
        rank: of the replica on its machine, from 0.
        count: of cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    allowed = sorted(os.sched_getaffinity(0))
    own = {allowed[(rank * count + number) % len(allowed)] for number in range(count)}
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has just ended
            os.sched_setaffinity(int(thread.name), own)


def _with_one_id(app: ASGIApp) -> ASGIApp:
    """Leave the request id of responses to Ray's proxy, which adds the same one."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_without(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [header for header in message["headers"] if header[0].lower() != _ID]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_without)

    return respond


_ID = REQUEST_ID.encode()


def with_lifespan(app: ASGIApp, start: Callable[[], Any], end: Callable[[], Any]) -> ASGIApp:
    """Start and end what is behind an application by the events of ASGI's lifespan protocol."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        await send(await _outcome(start, "lifespan.startup"))
        await receive()
        await send(await _outcome(end, "lifespan.shutdown"))

    return respond


async def _outcome(work: Callable[[], Any], event: str) -> Message:
    try:
        await work()
    except VoxError as error:
        return {"type": f"{event}.failed", "message": str(error)}
    return {"type": f"{event}.complete"}


def new_application(new_service: NewService, settings: ServerSettings, scale: Scale) -> Application:
    """Return the application for Ray Serve. Its replicas call `new_service`, which has to be picklable."""
    options: dict[str, Any] = {"num_gpus": scale.gpus, "num_cpus": scale.cores or 1}
    follows: dict[str, Any] = {"num_replicas": scale.least}
    if scale.most > scale.least:
        follows = {"autoscaling_config": _autoscaling(scale)}
    deployment = serve.deployment(
        name=NAME,
        ray_actor_options=options,
        max_ongoing_requests=_MOST_ONGOING,
        graceful_shutdown_timeout_s=settings.drain_seconds,
        graceful_shutdown_wait_loop_s=0.1,
        max_constructor_retry_count=_STARTS,
        deployment_actors=[
            DeploymentActorConfig(name=_BOARD, actor_class=ray.remote(Board), actor_options={"num_cpus": 0})
        ],
        **follows,
    )(serve.ingress()(Replica))
    return deployment.bind(new_service, None if scale.gpus else scale.cores)


def _autoscaling(scale: Scale) -> AutoscalingConfig:
    return AutoscalingConfig(
        min_replicas=scale.least,
        max_replicas=scale.most,
        upscale_delay_s=scale.up_seconds,
        downscale_delay_s=scale.down_seconds,
        metrics_interval_s=_TELL_SECONDS,
        look_back_period_s=max(scale.up_seconds, 2 * _TELL_SECONDS),
        policy=AutoscalingPolicy(policy_function=f"{__name__}:{choose_replicas.__name__}"),
    )


class LocalCluster:
    """Ray on this machine, of this process alone: it ends with it."""

    def __init__(self, folder: str, cores: int) -> None:
        """
        Args:
            folder: for its files; its path must be short.
            cores: of this machine.

        Raises:
            DeviceError: it cannot be started.
        """
        try:
            ray.init(
                address="local",
                num_cpus=_cpus_for(cores),
                include_dashboard=False,
                object_store_memory=_MEMORY_BYTES,
                logging_level=logging.ERROR,
                _temp_dir=folder,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise DeviceError(f"Ray cannot be started: {error}") from error
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        self.gpus = int(ray.cluster_resources().get("GPU", 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the running streams finish, and end all processes."""
        with suppress(RayError):
            serve.shutdown()
        ray.shutdown()

    def serve(self, application: Application, settings: ServerSettings) -> str:
        """Start the replicas, wait until their models are loaded, and return the address.

        Raises:
            DeviceError: they cannot be started.
        """
        logs = {"log_level": "ERROR", "enable_access_log": False}
        http: dict[str, Any] = {"host": settings.host, "port": settings.port}
        if tls := settings.tls:
            http |= {"ssl_certfile": str(tls.certificate), "ssl_keyfile": str(tls.key or tls.certificate)}
        serve.start(http_options=http, logging_config=logs)
        try:
            serve.run(application, name=NAME, logging_config=logs)
        except RuntimeError as error:
            raise DeviceError(f"The replicas cannot be started: {error}") from error
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return f"{'https' if settings.tls else 'http'}://{host}:{settings.port}"


def _cpus_for(cores: int) -> int:
    """Return how many CPUs Ray may give away: as many as the replicas say that they need, so that none waits."""
    return max(cores, 1) + _MOST_REPLICAS
