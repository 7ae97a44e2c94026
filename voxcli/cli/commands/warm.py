"""Resident engines for commands that speak: found if they are ready, and started if not."""

import logging
import os
from collections.abc import Callable
from importlib import import_module

from voxcli.cli.settings.files import find_user_places, model_library
from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL, best_model
from voxcli.engines.resident.client import ResidentEngine
from voxcli.engines.resident.identity import EngineOrder
from voxcli.engines.resident.registry import READY, EngineEntry, Registry, Unavailable
from voxcli.engines.settings import EngineSettings
from voxcli.models.kokoro import load_kokoro
from voxcli.synthesis.loading import OnLoading, ignore_loading
from voxcli.synthesis.request import Engine

_REST = ("voxcli.audio.joins", "voxcli.sinks.writer")

_log = logging.getLogger(__name__)


def engine_registry() -> Registry:
    """Open the registry of this user's engines."""
    return Registry(find_user_places().engines)


def new_order(settings: EngineSettings) -> EngineOrder | None:
    """Return what a resident engine would be started with; None if there is none for these settings.

    Raises:
        NotFound: the model is not installed.
    """
    if settings.remote or settings.keep_alive <= 0:
        return None
    models = model_library()
    name = settings.model or best_model(models)
    if name == BUILTIN_MODEL:
        return None
    folder = load_kokoro(models).paths[0].parent if name == KOKORO_MODEL else models.load(name)
    return EngineOrder.of(name, folder, settings.local, settings.keep_alive, os.environ)


def find_warm_engine(
    settings: EngineSettings, on_loading: OnLoading = ignore_loading, check: Callable[[], None] = lambda: None
) -> ResidentEngine | None:
    """Return the resident engine for these settings if it is ready now.

    Args:
        on_loading: called with the progress of another one, if this one ends before it speaks.
        check: called while that is waited for.
    """
    order = new_order(settings)
    if order is None:
        return None
    registry = engine_registry()
    entry = find_entry(order, registry)
    return _client(entry, order, registry, on_loading, check) if entry and entry.state == READY else None


def find_entry(order: EngineOrder, registry: Registry) -> EngineEntry | None:
    """Return the entry of an engine that speaks as ordered.

    An engine started with --device auto that runs on the CPU is one for --device cpu too.
    """
    if exact := registry.find(order.key):
        return exact
    wanted = order.identity
    for entry in registry.entries():
        resolved = {**entry.values["identity"], **entry.values.get("resolved", {})}
        if entry.state == READY and resolved == wanted:
            return entry
    return None


def start_warm_engine(
    settings: EngineSettings, on_loading: OnLoading = ignore_loading, check: Callable[[], None] = lambda: None
) -> Engine | None:
    """Start the resident engine for these settings and wait until it is ready.

    Returns:
        None if the model has to run in this process: because that was asked for, or because none can be kept here,
        which is one warning.

    Raises:
        VoxError: the model cannot be loaded.
    """
    order = new_order(settings)
    if order is None:
        return None
    from voxcli.engines.resident.start import start_engine

    registry = engine_registry()
    try:
        entry = find_entry(order, registry)
        if entry is None or entry.state != READY:
            entry = start_engine(order, registry, on_loading, check)
    except Unavailable as error:
        _log.warning("the model is loaded for this run only: %s", error)
        return None
    return _client(entry, order, registry, on_loading, check)


def _client(
    entry: EngineEntry, order: EngineOrder, registry: Registry, on_loading: OnLoading, check: Callable[[], None]
) -> ResidentEngine:
    def start_again(ended: EngineEntry) -> EngineEntry:
        from voxcli.engines.resident.start import replace_engine

        return replace_engine(ended, order, registry, on_loading, check)

    return ResidentEngine(entry, start_again, order.keep_alive, _load_rest)


def _load_rest() -> None:
    """Load what the samples go through, while the engine makes the first ones."""
    for module in _REST:
        import_module(module)
