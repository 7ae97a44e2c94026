"""Things that satisfy `Engine`, and the door to them."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.engines.settings import LocalSettings
from voxcli.errors import NotFound, RequestError, did_you_mean
from voxcli.models import ModelLibrary
from voxcli.synthesis.request import Engine

if TYPE_CHECKING:
    from voxcli.engines.remote.settings import RemoteSettings

BUILTIN_MODEL = "espeak"

_NEEDS_LOCAL = 'VoxCPM models need PyTorch, which is not installed ({}). Run: pip install "voxcli[local]"'


def model_names(models: ModelLibrary) -> list[str]:
    """Name the models that can speak on this machine, the best first."""
    return [*(model.name for model in models.installed() if not model.missing), BUILTIN_MODEL]


def best_model(models: ModelLibrary) -> str:
    """Name the model that speaks when none is asked for."""
    return (models.best() if can_run_models() else None) or BUILTIN_MODEL


def can_run_models() -> bool:
    """Tell whether PyTorch is installed, without loading it."""
    return importlib.util.find_spec("torch") is not None


def open_engine(
    model: str | None = None,
    *,
    models: ModelLibrary | None = None,
    settings: LocalSettings | None = None,
    remote: "RemoteSettings | None" = None,
) -> Engine:
    """Make a model ready to speak. The caller closes what it gets.

    Args:
        model: one of `model_names`, the id of a model on a hub, or the folder of a checkpoint; None takes the best.
        models: where models are; without it only the built-in one and folders are known.
        settings: how a model runs.
        remote: a server that speaks instead; then nothing else counts.

    Raises:
        NotFound: no such model here, with the command that brings it.
        ModelError: it is damaged.
        DeviceError: it cannot run on that device.
        RemoteError: the server cannot be reached, or is none that speaks.
    """
    if remote:
        from voxcli.engines.remote.engine import RemoteEngine

        return RemoteEngine(remote)
    name = model or (best_model(models) if models else BUILTIN_MODEL)
    if name == BUILTIN_MODEL:
        return _open_builtin(settings)
    return _open_local(_find_checkpoint(name, models), settings or LocalSettings())


def _find_checkpoint(name: str, models: ModelLibrary | None) -> Path:
    if near := did_you_mean(name, [BUILTIN_MODEL]):
        raise NotFound(f"There is no model {name!r}.{near}")
    if models:
        return models.load(name)
    if not Path(name).is_dir():
        raise NotFound(f"There is no model {name!r}: it is neither {BUILTIN_MODEL!r} nor the folder of a checkpoint.")
    return Path(name)


def _open_builtin(settings: LocalSettings | None) -> Engine:
    if settings and settings.lora:
        raise RequestError("The built-in voice (eSpeak NG) cannot be fine-tuned. Name a VoxCPM model with --model.")
    from voxcli.engines.espeak.engine import BuiltinEngine

    return BuiltinEngine()


def _open_local(folder: Path, settings: LocalSettings) -> Engine:
    try:
        from voxcli.engines.local import LocalEngine
    except ModuleNotFoundError as error:
        raise NotFound(_NEEDS_LOCAL.format(error.name)) from error
    return LocalEngine(folder, settings)
