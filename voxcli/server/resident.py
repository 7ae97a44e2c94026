"""Resident engine: one model behind private connections only, for the programs of one user, until it is idle for long.

A process that keeps an engine does no more than this, and learns of its end when `run` returns:

    with open_private_socket(path) as sock:
        host = new_resident_host(name, open_engine, sock, voices=library, keep_alive=300.0, about={"identity": ...})
        asyncio.run(host.run(on_listening, on_ready))
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from voxcli.server.errors import answer_outside_routes
from voxcli.server.guards import guarded
from voxcli.server.host import Host
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.private.keep_alive import KeepAlive
from voxcli.server.private.sockets import PrivateSocket
from voxcli.server.routes import private
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.synthesis.request import Engine
from voxcli.voices import VoiceLibrary

_YEAR = 365 * 24 * 60 * 60.0
_SPOOL_BYTES = 2**30
"""Of all streams together: 16 MiB for each, which is a minute and a half of speech."""


def resident_settings(voices: Path) -> ServerSettings:
    """Return settings of a server for one user alone, who can wait for the end and owns the memory.

    voices: the user's library. Requests with `as_is` do not look into it.
    """
    return ServerSettings(
        voices=voices,
        drain_seconds=_YEAR,
        spool_memory_bytes=_SPOOL_BYTES,
    )


def new_resident_host(
    name: str,
    open_engine: Callable[[], Engine],
    *sockets: PrivateSocket,
    voices: Path,
    keep_alive: float,
    about: Mapping[str, Any],
) -> Host:
    """Build the server of a resident engine. `Host.run` loads the model, and returns when the server has ended.

    Args:
        name: of the model.
        open_engine: loads the model; may block. `Host.run` raises its VoxError.
        sockets: the caller closes them.
        voices: the user's library.
        keep_alive: seconds after the last speech until it ends; negative for ever. Requests may change it.
        about: what `GET /private/state` says besides, such as `folder`, `identity` and `quantize`.
    """
    settings = resident_settings(voices)
    service = Service(
        settings,
        VoiceLibrary(voices),
        ModelLifecycle(name, open_engine, settings),
        keep_alive=KeepAlive(keep_alive, is_fixed=False),
        about=about,
    )
    return Host(_create_app(service), service, *sockets)


def _create_app(service: Service) -> ASGIApp:
    app = Starlette(
        routes=[private.speech_route(service), *private.routes(service)],
        exception_handlers=dict.fromkeys((HTTPException, Exception), answer_outside_routes),
    )
    app.router.redirect_slashes = False
    return guarded(app, service)
