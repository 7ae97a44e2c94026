"""Engines that `voxcli bench` measures, and their descriptions."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import typer

from voxcli.bench.measure.plan import Mode
from voxcli.bench.measure.sample import NonStreamingEngine
from voxcli.bench.report.record import Subject
from voxcli.cli.commands.chosen import (
    engine_name,
    engine_settings,
    open_chosen_engine,
    with_clip_on_server,
)
from voxcli.cli.commands.voice_choice import choose_voice
from voxcli.cli.console import Console
from voxcli.cli.options.consent import check_consent
from voxcli.cli.options.engine import EngineOptions
from voxcli.cli.options.parameters import on_command_line
from voxcli.cli.options.speech import VoiceOptions
from voxcli.cli.settings.files import model_library
from voxcli.cli.settings.profiles import find_server
from voxcli.cli.status_line import shown_loading
from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL
from voxcli.engines.remote.engine import RemoteEngine
from voxcli.engines.remote.http import Transport
from voxcli.engines.remote.settings import RemoteSettings, root_of
from voxcli.engines.resident.client import ResidentEngine
from voxcli.engines.resident.connection import NotListening, ask
from voxcli.engines.resident.identity import from_wire
from voxcli.engines.resident.registry import LOADING
from voxcli.engines.resident.running import RunningEngine
from voxcli.engines.settings import EngineSettings
from voxcli.errors import DeviceError, RemoteError
from voxcli.protocols.dialect import HttpCall
from voxcli.protocols.names import Dialect
from voxcli.synthesis.loading import OnLoading
from voxcli.synthesis.request import Engine, Voice

_SELF_DESCRIPTIONS = ("/health", "/api/gpu/status")
"""Paths where a server with VoxCPM's own protocol describes itself."""
_KEPT_SECONDS = 600.0
"""For which an engine stays loaded that is measured."""
_SNAPSHOTS = "snapshots"
"""In the cache of a hub, the folders in it are named by commit."""


@runtime_checkable
class HasPlacement(Protocol):
    """An engine that reports its device and dtype, such as "cuda:0 in bfloat16"."""

    @property
    def placement(self) -> object: ...


@dataclass(frozen=True, slots=True)
class OpenSubject:
    """An open engine per mode."""

    subject: Subject
    engines: Mapping[Mode, Engine]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine to measure, before it is opened."""

    engine: EngineSettings
    voice: Voice
    server: str | None = None
    """The server as the user named it."""


def choose_subjects(
    context: typer.Context, engine: EngineOptions, who: VoiceOptions, servers: Sequence[str], *, warm: bool
) -> list[Candidate]:
    """Return every engine to measure, and the voice that it speaks in.

    warm: measure the engine that stays loaded.

    With several servers, the profile of each one determines how it is connected to, and its recording; all other
    options are the same for all.
    """
    if engine.no_stream:
        raise typer.BadParameter("Use --mode whole instead.", param_hint="--no-stream")
    if warm:
        return [_warm_candidate(context, engine, who)]
    if len(servers) <= 1:
        return [_candidate(context, engine, who, next(iter(servers), None))]
    return [_candidate(context, *_with_server(context, engine, who, name), name) for name in servers]


def _candidate(context: typer.Context, engine: EngineOptions, who: VoiceOptions, server: str | None) -> Candidate:
    who, settings = with_clip_on_server(context, who, engine_settings(engine))
    voice, (settings,) = choose_voice(context, who, [settings], Console())
    return Candidate(settings, voice, server)


def _warm_candidate(context: typer.Context, engine: EngineOptions, who: VoiceOptions) -> Candidate:
    found = _candidate(context, engine, who, None)
    if found.engine.remote or engine_name(found.engine) == BUILTIN_MODEL:
        reason = "A server" if found.engine.remote else "The built-in voice (eSpeak NG)"
        raise typer.BadParameter(
            f"{reason} has no engine that stays loaded on this machine. Name another model with --model.",
            param_hint="--warm",
        )
    return replace(found, engine=replace(found.engine, keep_alive=_KEPT_SECONDS))


def _with_server(
    context: typer.Context, engine: EngineOptions, who: VoiceOptions, name: str
) -> tuple[EngineOptions, VoiceOptions]:
    if not name:
        return replace(engine, remote=None), who
    url, of_profile = find_server(context, name)
    check_consent(context, "servers", name, url)
    own = {key: value for key, value in of_profile.items() if not on_command_line(context, key)}
    engine_fields, voice_fields = ({field.name for field in fields(kind)} for kind in (EngineOptions, VoiceOptions))
    of_engine = {key: value for key, value in own.items() if key in engine_fields}
    of_voice = {key: value for key, value in own.items() if key in voice_fields}
    return replace(engine, remote=[url], **of_engine), replace(who, **of_voice)


@contextmanager
def opened(
    chosen: Sequence[Candidate],
    modes: Sequence[Mode],
    console: Console,
    *,
    at_once: bool,
    check: Callable[[], None],
) -> Iterator[list[OpenSubject]]:
    """Open all engines, and close them at the end. An engine that stays loaded is stopped if it was started here.

    Args:
        console: shows the progress of loading.
        at_once: whether several requests are sent at once, also to servers that mix up concurrent streams.
        check: raises if the work has to stop.
    """
    with ExitStack() as stack:
        found: list[OpenSubject] = []
        for candidate in chosen:
            settings = candidate.engine
            name = _new_name(short_name(settings), found)
            if settings.remote:
                settings = replace(settings, remote=replace(settings.remote, concurrent=at_once))
                found.append(_open_server(settings, candidate.voice, name, modes, stack))
            else:
                found.append(_open_here(settings, name, modes, stack, console, check))
        yield found


def short_name(settings: EngineSettings) -> str:
    """Return the last part of a folder, or the address of a server without its scheme."""
    name = engine_name(settings)
    if settings.remote:
        return name.partition("://")[2]
    return Path(name).resolve().name if Path(name).is_dir() else name


def _new_name(name: str, found: Sequence[OpenSubject]) -> str:
    others = sum(one.subject.name.partition(" (")[0] == name for one in found)
    return f"{name} ({others + 1})" if others else name


def _open_here(
    settings: EngineSettings,
    name: str,
    modes: Sequence[Mode],
    stack: ExitStack,
    console: Console,
    check: Callable[[], None],
) -> OpenSubject:
    resident, was_loaded = settings.keep_alive > 0, False
    with shown_loading(console, name, noted=True) as on_loading:
        started = time.perf_counter()
        if resident:
            engine, was_loaded = stack.enter_context(loaded_in_background(settings, on_loading, check))
        else:
            engine = stack.enter_context(closing(open_chosen_engine(settings, on_loading=on_loading)))
        took = time.perf_counter() - started
    device, dtype = _find_placement(engine, settings)
    subject = Subject(
        name=f"{name}, engine loaded" if resident else name,
        model=short_name(settings),
        revision=_find_revision(engine_name(settings)),
        device=device,
        dtype=dtype,
        quantize=settings.local.quantize,
        slots=engine.slots,
        load_seconds=None if was_loaded else round(took, 6),
        resident=resident,
    )
    ways: dict[Mode, Engine] = {Mode.STREAM: engine, Mode.WHOLE: NonStreamingEngine(engine)}
    return OpenSubject(subject, {mode: ways[mode] for mode in modes})


@contextmanager
def loaded_in_background(
    settings: EngineSettings, on_loading: OnLoading, check: Callable[[], None]
) -> Iterator[tuple[Engine, bool]]:
    """Yield the engine that stays loaded, and whether it was loaded before.

    At the end it is stopped, or stays for as long as it did before.

    Raises:
        DeviceError: none can be kept here.
    """
    from voxcli.cli.commands.warm import find_warm_engine, start_warm_engine

    found = find_warm_engine(settings)
    before = ask(found.entry, "GET", "/private/state")["keep_alive"] if found else None
    try:
        engine = found or start_warm_engine(settings, on_loading, check)
    except BaseException:  # an interrupt, after which it would go on loading, and stay
        _stop_loading(settings)
        raise
    if not isinstance(engine, ResidentEngine):
        raise DeviceError("No engine can stay loaded here: see the warning above.")
    with closing(engine):
        try:
            yield engine, found is not None
        finally:
            running = RunningEngine(engine.entry, None)
            with suppress(NotListening, TimeoutError):
                if before is None:
                    running.stop()
                else:
                    running.keep(from_wire(before))


def _stop_loading(settings: EngineSettings) -> None:
    """End the engine for these settings if it is loading."""
    from voxcli.cli.commands.warm import engine_registry, new_order

    order, registry = new_order(settings), engine_registry()
    entry = registry.find(order.key) if order else None
    if entry and entry.state == LOADING:
        RunningEngine(entry, None, registry).stop()


def _find_placement(engine: Engine, settings: EngineSettings) -> tuple[str | None, str | None]:
    if isinstance(engine, ResidentEngine):
        resolved = engine.entry.values["resolved"]
        return resolved["device"], resolved["dtype"]
    if isinstance(engine, HasPlacement):
        device, _, dtype = str(engine.placement).partition(" in ")
        return device, dtype
    on_cpu = engine_name(settings) in (BUILTIN_MODEL, KOKORO_MODEL)
    return (None, None) if on_cpu else (settings.local.device, settings.local.dtype)


def _find_revision(model: str) -> str | None:
    if model == BUILTIN_MODEL:
        return None
    folder = model_library().find(model)
    return folder.name if folder and folder.parent.name == _SNAPSHOTS else None


def _open_server(
    chosen: EngineSettings, voice: Voice, name: str, modes: Sequence[Mode], stack: ExitStack
) -> OpenSubject:
    started = time.perf_counter()
    settings = chosen.remote
    assert settings
    streaming = stack.enter_context(closing(RemoteEngine(_for_mode(settings, Mode.STREAM))))
    took = time.perf_counter() - started
    dialect = streaming.server.dialect
    whole: Engine = NonStreamingEngine(streaming)
    if _has_whole_requests(streaming, voice):
        whole = stack.enter_context(closing(RemoteEngine(_for_mode(settings, Mode.WHOLE))))
    ways: dict[Mode, Engine] = {Mode.STREAM: streaming, Mode.WHOLE: whole}
    subject = Subject(
        name=name,
        model=chosen.model,
        url=settings.url,
        dialect=dialect,
        slots=1 if streaming.slots == 1 else None,
        load_seconds=round(took, 6),
        server=_describe_server(settings) if dialect is Dialect.VOXCPM else {},
    )
    return OpenSubject(subject, {mode: ways[mode] for mode in modes})


def _has_whole_requests(engine: RemoteEngine, voice: Voice) -> bool:
    """Whether the complete speech can be requested: not in OpenAI's protocol, and not with a name in VoxCPM's own."""
    server = engine.server
    takes_names = server.is_voxcli or server.dialect is not Dialect.VOXCPM
    return server.dialect is not Dialect.OPENAI and (takes_names or voice.name is None)


def _for_mode(settings: RemoteSettings, mode: Mode) -> RemoteSettings:
    """Make requests in the measured mode only, without retries, which would distort the times."""
    stream = mode is Mode.STREAM
    options = replace(settings.options, stream=stream, mode=settings.options.mode if stream else None)
    return replace(settings, options=options, retry_delays=(), no_fallback=True)


def _describe_server(settings: RemoteSettings) -> dict[str, Any]:
    """Collect the server's descriptions of itself; failures are skipped."""
    found = {}
    with closing(Transport(settings)) as transport:
        for path in _SELF_DESCRIPTIONS:
            try:
                status, document = transport.ask(root_of(settings.url), HttpCall(method="GET", path=path))
            except RemoteError:
                continue
            if status == 200 and isinstance(document, dict):
                found[path] = document
    return found
