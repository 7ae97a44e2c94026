"""Engines, and `open_engine`, which loads one and imports only what it needs."""

import importlib.util
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.engines.settings import AUTO, LocalSettings
from voxcli.errors import ModelError, NotFound, RequestError, did_you_mean
from voxcli.installation import install_command, reinstall_command
from voxcli.models.catalog import KOKORO
from voxcli.models.kokoro import find_kokoro, load_kokoro
from voxcli.models.library import ModelLibrary
from voxcli.protocols.names import Dialect
from voxcli.synthesis.loading import LoadingProgress, LoadingStage, OnLoading, ignore_loading
from voxcli.synthesis.request import Engine
from voxcli.voxcpm.runtime.cpu_threads import count_cores

if TYPE_CHECKING:
    from voxcli.engines.remote.settings import RemoteSettings
    from voxcli.voxcpm.weights.prepared_folder import PreparedFolder

BUILTIN_MODEL = "espeak"
KOKORO_MODEL = KOKORO

_FOR_KOKORO = ("onnxruntime", "pypinyin", "hibari")
_NEEDS_VOICES = "Kokoro needs packages that are not installed ({})."

_NEEDS_LOCAL = "VoxCPM models need PyTorch, which is not installed ({})."


def model_names(models: ModelLibrary) -> list[str]:
    """Return the names of the installed models, the best first."""
    names = [model.name for model in models.installed() if not model.missing and model.name != KOKORO_MODEL]
    return [*names, *([KOKORO_MODEL] if can_run_kokoro(models) else []), BUILTIN_MODEL]


def best_model(models: ModelLibrary) -> str:
    """Return the name of the default model."""
    if can_run_models() and (best := models.best()):
        return best
    return KOKORO_MODEL if can_run_kokoro(models) else BUILTIN_MODEL


def can_run_models() -> bool:
    """Whether PyTorch is installed; does not import it."""
    return importlib.util.find_spec("torch") is not None


def can_run_kokoro(models: ModelLibrary | None) -> bool:
    """Whether Kokoro and what it runs with are installed; imports nothing of it."""
    return all(map(importlib.util.find_spec, _FOR_KOKORO)) and find_kokoro(models) is not None


def open_engine(
    model: str | None = None,
    *,
    models: ModelLibrary | None = None,
    settings: LocalSettings | None = None,
    remote: "RemoteSettings | None" = None,
    on_loading: OnLoading = ignore_loading,
) -> Engine:
    """Load a model, or connect to a server. The caller closes the engine.

    Args:
        model: one of `model_names`, the id of a model on a hub, or the folder of a checkpoint; None takes the best.
        models: the installed models; None allows only the built-in model and folders.
        settings: of the device, for VoxCPM models.
        remote: a server, or several; if given, all other arguments are ignored.
        on_loading: receives the progress of loading a VoxCPM model. Everything else is ready at once.

    Raises:
        NotFound: the model is not installed; the message has the command that installs it.
        ModelError: the model is damaged.
        DeviceError: the model cannot run on the device.
        RemoteError: the server cannot be reached, or its protocol is not recognized.
    """
    if remote:
        return _open_remote(remote)
    name = model or (best_model(models) if models else BUILTIN_MODEL)
    if name == BUILTIN_MODEL:
        return _open_builtin(settings)
    if name == KOKORO_MODEL:
        return _open_kokoro(settings or LocalSettings(), models)
    return _open_local(name, _find_checkpoint(name, models), settings or LocalSettings(), on_loading)


def _open_remote(settings: "RemoteSettings") -> Engine:
    if settings.others:
        from voxcli.engines.remote.balanced import BalancedEngine

        return BalancedEngine(settings, _open_remote)
    if settings.dialect is Dialect.REALTIME:
        from voxcli.engines.remote.realtime import RealtimeEngine

        return RealtimeEngine(settings)
    from voxcli.engines.remote.engine import RemoteEngine

    return RemoteEngine(settings)


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
        raise RequestError(
            "The built-in voice (eSpeak NG) cannot be fine-tuned. The VoxCPM models can.",
            on_command_line="Name one with --model.",
        )
    from voxcli.engines.espeak.engine import BuiltinEngine

    return BuiltinEngine()


def _open_kokoro(settings: LocalSettings, models: ModelLibrary | None) -> Engine:
    if settings.lora:
        raise RequestError(
            "Kokoro cannot be fine-tuned. The VoxCPM models can.", on_command_line="Name one with --model."
        )
    source = load_kokoro(models)
    try:
        from voxcli.engines.kokoro.engine import KokoroEngine
    except ModuleNotFoundError as error:
        raise NotFound(_NEEDS_VOICES.format(error.name), on_command_line=f"Run: {install_command('voices')}") from error
    except ImportError as error:
        raise ModelError(
            f"ONNX Runtime, which runs Kokoro, cannot be loaded on this machine: {error}.",
            on_command_line=f"Install it again: {reinstall_command('onnxruntime')}",
        ) from error
    threads = settings.threads or count_cores()
    return KokoroEngine(source, cache=settings.cache, threads=threads, slots=settings.slots or threads)


def _open_local(name: str, folder: Path, settings: LocalSettings, on_loading: OnLoading) -> Engine:
    from concurrent.futures import ThreadPoolExecutor

    on_loading(LoadingProgress(LoadingStage.STARTING))
    prepared = _read_ahead(folder, settings)
    try:
        # On a thread, which an interrupt waits for: in the middle of the import of torch it would abort the process.
        with ThreadPoolExecutor(1, "import of torch") as pool:
            pool.submit(_import_local, alone=settings.alone).result()
        from voxcli.engines.local import LocalEngine
    except ModuleNotFoundError as error:
        raise NotFound(_NEEDS_LOCAL.format(error.name), on_command_line=f"Run: {install_command('local')}") from error
    own = None if Path(name).is_dir() else name
    return LocalEngine(folder, settings, name=own, prepared=prepared, on_loading=on_loading)


def _import_local(*, alone: bool) -> None:
    from voxcli.voxcpm.torch_import import importing_torch

    with importing_torch(alone=alone):
        import_module("voxcli.engines.local")


def _read_ahead(folder: Path, settings: LocalSettings) -> "PreparedFolder | None":
    """Begin to read prepared weights while torch is imported."""
    if settings.prepared is None or not can_run_models():
        return None
    from voxcli.voxcpm.weights.prepared_folder import PreparedFolder, name_of_file

    prepared = PreparedFolder(settings.prepared)
    # Which dtype a CPU is best at is known when torch is there. A wrong guess is read in vain.
    dtypes = ["bfloat16", "float32"] if settings.dtype == AUTO else [settings.dtype]
    if settings.quantize and settings.dtype == AUTO:
        dtypes = ["float32"]
    with suppress(ModelError, OSError):  # told by who loads the model
        prepared.read_ahead(name_of_file(folder, dtype, settings.quantize) for dtype in dtypes)
    return prepared
