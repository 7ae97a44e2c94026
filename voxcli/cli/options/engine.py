"""Options for the model, and how it runs on this machine."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from voxcli.cli.options import completion as complete
from voxcli.cli.options import parameters as options
from voxcli.cli.options.server import FindKey, RemoteOptions, only_here
from voxcli.engines.keep_alive import ADVICE, DEFAULT_KEEP_ALIVE, parse_keep_alive
from voxcli.errors import did_you_mean

if TYPE_CHECKING:
    from voxcli.engines.settings import EngineSettings
    from voxcli.paths import Places

_RUNNING = "Local model"

_DEVICES = ("auto", "cpu", "cuda", "mps")
_DTYPES = ("auto", "float32", "bfloat16", "float16")
_QUANTIZED = ("int8", "fp8")
_OTHER_NAMES = {
    **dict.fromkeys(["gpu", "nvidia", "rocm", "hip"], "cuda"),
    **dict.fromkeys(["metal", "apple"], "mps"),
    **dict.fromkeys(["fp32", "f32", "float", "single"], "float32"),
    **dict.fromkeys(["fp16", "f16", "half"], "float16"),
    **dict.fromkeys(["bf16"], "bfloat16"),
    **dict.fromkeys(["8bit", "q8", "q8_0", "i8"], "int8"),
    **dict.fromkeys(["float8", "f8"], "fp8"),
}
"""What other programs call devices and dtypes."""


def _refuse(value: str, option: str, known: tuple[str, ...]) -> NoReturn:
    meant = _OTHER_NAMES.get(value.lower())
    near = f" Did you mean {meant!r}?" if meant in known else did_you_mean(value, known)
    raise typer.BadParameter(f"Unknown value: {option} {value}.{near} Choose from: {', '.join(known)}.")


def _check_device(context: typer.Context, param: typer.CallbackParam, value: str) -> str:
    kind, _, number = value.partition(":")
    if kind not in _DEVICES or (":" in value and (kind != "cuda" or not number.isdigit())):
        _refuse(value, "--device", (*_DEVICES, "cuda:N"))
    only_here(context, param, value)
    return value


def _check_dtype(context: typer.Context, param: typer.CallbackParam, value: str) -> str:
    if value not in _DTYPES:
        _refuse(value, "--dtype", _DTYPES)
    only_here(context, param, value)
    return value


def _check_quantize(context: typer.Context, param: typer.CallbackParam, value: str | None) -> str | None:
    if value is not None and value not in _QUANTIZED:
        _refuse(value, "--quantize", _QUANTIZED)
    only_here(context, param, value)
    return value


def _check_keep_alive(context: typer.Context, param: typer.CallbackParam, value: str) -> str:
    try:
        seconds = parse_keep_alive(value)
    except ValueError as error:
        if (source := context.get_parameter_source(param.name or "")) is not None and source.name == "ENVIRONMENT":
            variable = str(param.envvar)
            raise typer.BadParameter(f"Not a time: {variable}={value}. {ADVICE}", param_hint=variable) from None
        raise typer.BadParameter(f"{error} {ADVICE}") from None
    only_here(context, param, value)
    if seconds and context.params.get("warm") is False and options.on_command_line(context, "warm"):
        _refuse_both(context)
    return value


def _check_warm(context: typer.Context, param: typer.CallbackParam, value: bool) -> bool:
    """Refuse --no-warm beside --keep-alive. A --keep-alive of the command line overrides `warm` of the settings."""
    keeps = parse_keep_alive(context.params.get("keep_alive", "0"))
    if value or not keeps or not options.on_command_line(context, "keep_alive"):
        return value
    if options.on_command_line(context, "warm"):
        _refuse_both(context)
    return True


def _refuse_both(context: typer.Context) -> None:
    if options.on_command_line(context, "keep_alive"):
        raise typer.BadParameter(
            "--no-warm keeps nothing loaded, so it contradicts --keep-alive.", param_hint="--no-warm"
        )


Device = Annotated[
    str,
    options.setting(
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:N or mps.",
        autocompletion=complete.devices,
        callback=_check_device,
        rich_help_panel=_RUNNING,
    ),
]
Dtype = Annotated[
    str,
    options.setting(
        "--dtype",
        metavar="TYPE",
        help="auto, float32, bfloat16 or float16.",
        autocompletion=complete.dtypes,
        callback=_check_dtype,
        rich_help_panel=_RUNNING,
    ),
]
Quantize = Annotated[
    str | None,
    options.setting(
        "--quantize",
        metavar="int8|fp8",
        help="Quantize the weights, faster but less exact: int8 on a CPU, fp8 on an NVIDIA GPU.",
        callback=_check_quantize,
        rich_help_panel=_RUNNING,
    ),
]
Threads = Annotated[
    int | None,
    options.setting(
        "--threads",
        min=1,
        max=1024,
        help="Number of CPU threads, which stays fixed. Default: one per core.",
        callback=only_here,
        rich_help_panel=_RUNNING,
    ),
]
LazyGraphs = Annotated[
    bool,
    options.setting(
        "--lazy-graphs/--no-lazy-graphs",
        help="Capture CUDA graphs on first use instead of at load time.",
        callback=only_here,
        rich_help_panel=_RUNNING,
    ),
]
LoraFolder = Annotated[
    Path | None,
    typer.Option(
        "--lora",
        metavar="FOLDER|FILE",
        help="LoRA adapter for this model: its folder, or its weights file.",
        callback=only_here,
        rich_help_panel=_RUNNING,
    ),
]


KeepAlive = Annotated[
    str,
    options.setting(
        "--keep-alive",
        metavar="TIME",
        help="How long the model stays loaded for the next call, such as 5m, 1h or 90 (seconds); 0 not at all, "
        "-1 for ever.",
        autocompletion=complete.keep_alive_times,
        callback=_check_keep_alive,
        rich_help_panel=_RUNNING,
    ),
]
Warm = Annotated[
    bool,
    options.setting(
        "--warm/--no-warm",
        help="Speak through an engine that stays loaded in the background; --no-warm loads the model into this "
        "process, and leaves nothing behind.",
        callback=_check_warm,
        rich_help_panel=_RUNNING,
    ),
]


@dataclass(frozen=True, slots=True)
class EngineOptions(RemoteOptions):
    """The model, on this machine or on a server, and how it runs."""

    model: options.Model = None
    device: Device = "auto"
    dtype: Dtype = "auto"
    quantize: Quantize = None
    threads: Threads = None
    lazy_graphs: LazyGraphs = False
    lora: LoraFolder = None

    def to_settings(self, places: "Places", find_key: FindKey) -> "EngineSettings":
        """Return the settings of the engine.

        Args:
            places: where caches are.
            find_key: finds the API key of a server.
        """
        from voxcli.engines.settings import EngineSettings, LocalSettings

        local = LocalSettings(
            device=self.device,
            dtype=self.dtype,
            quantize=self.quantize,
            threads=self.threads,
            lazy_graphs=self.lazy_graphs,
            lora=self.lora,
            clips=places.clips,
            prepared=places.prepared,
            kernels=places.kernels,
            alone=True,
            cache=places.cache,
            anchors=places.anchors,
        )
        return EngineSettings(model=self.model, local=local, remote=self.to_remote(places, find_key, self.model))


@dataclass(frozen=True, slots=True)
class ResidentEngineOptions(EngineOptions):
    """The model, and how long it stays loaded in the background when it runs on this machine."""

    keep_alive: KeepAlive = DEFAULT_KEEP_ALIVE
    warm: Warm = True

    def to_settings(self, places: "Places", find_key: FindKey) -> "EngineSettings":
        seconds = parse_keep_alive(self.keep_alive) if self.warm and not self.remote else 0.0
        return replace(EngineOptions.to_settings(self, places, find_key), keep_alive=seconds)
