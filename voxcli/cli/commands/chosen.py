"""Engine and targets chosen on the command line: settings from options, and the engine opened."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from voxcli.audio.format import (
    AudioFormat,
    SubtitleFormat,
    find_format,
    find_subtitle_format,
    known_suffixes,
)
from voxcli.cli.options.engine import EngineOptions
from voxcli.cli.options.parameters import on_command_line
from voxcli.cli.options.server import ServerOptions
from voxcli.cli.options.speech import OutputOptions, VoiceOptions
from voxcli.cli.settings.files import find_user_places, model_library
from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL, best_model, open_engine
from voxcli.engines.settings import EngineSettings
from voxcli.errors import RemoteError, did_you_mean
from voxcli.sinks import Target, ToFile, ToSpeaker, ToStdout
from voxcli.synthesis.loading import OnLoading, ignore_loading
from voxcli.synthesis.request import Engine, Parameter, abilities_of

if TYPE_CHECKING:
    from voxcli.engines.remote.engine import RemoteEngine
    from voxcli.engines.remote.settings import RemoteSettings
    from voxcli.synthesis.pipeline import Delivery


_log = logging.getLogger(__name__)

_NAMES = {BUILTIN_MODEL: "the built-in voice (eSpeak NG)", KOKORO_MODEL: "Kokoro"}
_FOR_SERVING = ("fastapi", "starlette", "uvicorn", "prometheus_client", "python_multipart")
_KEY_VARIABLE = "VOXCLI_API_KEY"


def engine_settings(options: EngineOptions) -> EngineSettings:
    """Turn the options into settings, with this user's folders and the API key of the server."""
    return options.to_settings(find_user_places(), partial(_find_key, options))


def server_settings(options: ServerOptions) -> "RemoteSettings":
    """Turn the options of a server that does not speak into settings, with its API key."""
    return options.to_connection(find_user_places(), partial(_find_key, options))


def engine_name(settings: EngineSettings) -> str:
    """Return the model, or the address of the server, for messages."""
    return settings.remote.address if settings.remote else settings.model or best_model(model_library())


def stays_loaded(settings: EngineSettings) -> bool:
    """Whether the engine is to be one that stays loaded for the next call. Servers and the built-in voice are not."""
    if settings.remote or settings.keep_alive <= 0:
        return False
    name = engine_name(settings)
    # What [voices] alone brings cannot serve: there Kokoro is loaded for each call.
    return name != BUILTIN_MODEL and (name != KOKORO_MODEL or all(map(find_spec, _FOR_SERVING)))


def open_chosen_engine(
    settings: EngineSettings,
    slots: int | None = None,
    *,
    on_loading: OnLoading = ignore_loading,
    check: Callable[[], None] = lambda: None,
) -> Engine:
    """Load the model, find or start its resident engine, or connect to the server. The caller closes the engine.

    Args:
        slots: streams at once, of a model in this process; None runs as many as there is memory for.
        on_loading: receives the progress of loading a model.
        check: called while a resident engine is waited for; raises to give up.
    """
    if settings.remote:
        return open_engine(remote=settings.remote)
    if stays_loaded(settings):
        from voxcli.cli.commands.warm import start_warm_engine

        if resident := start_warm_engine(settings, on_loading, check):
            return resident
    models = model_library()
    name = settings.model or best_model(models)
    if name != BUILTIN_MODEL:
        from voxcli.voxcpm.runtime.cpu_threads import limit_openmp_spinning

        limit_openmp_spinning(os.environ)  # has no effect once torch is loaded
    return open_engine(name, models=models, settings=replace(settings.local, slots=slots), on_loading=on_loading)


def _without_clip_of_settings(context: typer.Context, options: VoiceOptions) -> VoiceOptions:
    """Drop the recording of a server's profile if a voice or another recording is given on the command line."""
    if on_command_line(context, "ref_audio") or not any(
        on_command_line(context, name) for name in ("voice", "prompt_audio")
    ):
        return options
    text, language = (
        value if on_command_line(context, name) else None
        for name, value in (("ref_text", options.ref_text), ("ref_lang", options.ref_lang))
    )
    return replace(options, ref_audio=None, ref_text=text, ref_lang=language)


_OPTIONS = {
    Parameter.STEPS: "--steps",
    Parameter.GUIDANCE: "--cfg",
    Parameter.SEED: "--seed",
    Parameter.LEAST_PATCHES: "--min-len",
    Parameter.MOST_PATCHES: "--max-len",
    Parameter.RETRIES: "--retry-badcase",
    Parameter.STYLE: "--instruct",
    Parameter.DENOISE: "--denoise",
}


def name_unused(delivery: "Delivery", engine: Engine, model: str, *, auto_steps: bool = False) -> None:
    """Warn once of the options that make no difference to an engine.

    Args:
        model: its name, for the warning.
        auto_steps: whether the steps are to follow its speed.
    """
    options = [_OPTIONS[parameter] for parameter in delivery.unused(engine)]
    if auto_steps and not abilities_of(engine).sampling:
        options.insert(0, f"{_OPTIONS[Parameter.STEPS]} auto")
    if options:
        verb = "have" if len(options) > 1 else "has"
        _log.warning("%s %s no effect on %s", ", ".join(options), verb, _NAMES.get(model, model))


def note_keep_alive(context: typer.Context, engine: EngineSettings) -> None:
    """Warn of --keep-alive for the built-in voice, which is not kept loaded."""
    if on_command_line(context, "keep_alive") and engine.keep_alive and engine_name(engine) == BUILTIN_MODEL:
        _log.warning("--keep-alive has no effect on %s", _NAMES[BUILTIN_MODEL])


def with_clip_on_server(
    context: typer.Context, who: VoiceOptions, engine: EngineSettings
) -> tuple[VoiceOptions, EngineSettings]:
    """Turn the options that describe a recording into request fields, if the server reads recordings from its disk.

    GPT-SoVITS does. The server is probed only if the answer makes a difference.
    """
    who = _without_clip_of_settings(context, who)
    fields = _clip_fields(str(who.ref_audio) if who.ref_audio else None, who.ref_text, who.ref_lang)
    if not fields or not _reads_clips(engine):
        if who.ref_audio and who.ref_text and not who.prompt_audio:
            # With its transcript, a recording is a prompt to continue from.
            who = replace(who, prompt_audio=who.ref_audio, prompt_text=who.ref_text, ref_audio=None, ref_text=None)
        _refuse_transcript(who.ref_text, who.ref_lang)
        return who, engine
    # The recording overrides a voice named in the settings.
    voice = who.voice if on_command_line(context, "voice") or not who.ref_audio else None
    who = replace(who, voice=voice, ref_audio=None, ref_text=None, ref_lang=None)
    return who, _with_fields(engine, fields)


def with_default_clip(
    engine: EngineSettings, path: str | None, transcript: str | None, language: str | None
) -> EngineSettings:
    """Set the recording that a GPT-SoVITS server imitates unless a request names another.

    Args:
        path: on the server.
        transcript: of the recording, in `language`.
    """
    fields = _clip_fields(path, transcript, language)
    if not fields:
        return engine
    if not _reads_clips(engine):
        _refuse_transcript(transcript, language)
        raise typer.BadParameter("Only GPT-SoVITS servers read recordings.", param_hint="--ref-audio")
    return _with_fields(engine, fields)


def _find_key(options: ServerOptions, url: str) -> str | None:
    """Return the API key of a server: from the file named by an option, the environment, or `voxcli keys`."""
    from voxcli.cli.settings.api_keys import find_key, keys_path, read_key, read_keys

    if options.api_key_file:
        return read_key(options.api_key_file)
    if key := os.environ.get(_KEY_VARIABLE, "").strip():
        return key
    return find_key(read_keys(keys_path()), url)


def _reads_clips(engine: EngineSettings) -> bool:
    """Tell whether the engine is a server that reads recordings from its own disk. Probes it if need be."""
    from voxcli.protocols.names import Dialect

    if engine.remote is None or engine.remote.dialect is not None:
        return engine.remote is not None and engine.remote.dialect is Dialect.GPT_SOVITS
    dialects = [server.server.dialect for server in answering_servers(engine.remote)]
    if len({dialect is Dialect.GPT_SOVITS for dialect in dialects}) > 1:
        raise typer.BadParameter(
            "Some of these servers read recordings from their own disk, and the others do not.",
            param_hint="--ref-audio",
        )
    return Dialect.GPT_SOVITS in dialects


def answering_servers(remote: "RemoteSettings") -> "Iterator[RemoteEngine]":
    """Connect to the servers that speak for this machine, one after another, and close each one.

    Raises:
        RemoteError: none of them answers.
    """
    from voxcli.engines.remote.engine import RemoteEngine

    error, found = None, False
    for each in (remote, *remote.others):
        try:
            server = RemoteEngine(replace(each, others=()))
        except RemoteError as failed:
            error = failed
            continue
        found = True
        with closing(server):
            yield server
    if error and not found:
        raise error


def _with_fields(engine: EngineSettings, fields: Mapping[str, str]) -> EngineSettings:
    """Add fields to those of --extra."""
    assert engine.remote
    options = engine.remote.options
    for name in fields:
        if name in options.extra:
            raise typer.BadParameter(f"{name!r} is given twice.", param_hint="--extra")
    options = replace(options, extra={**options.extra, **fields})
    others = tuple(replace(each, options=options) for each in engine.remote.others)
    return replace(engine, remote=replace(engine.remote, options=options, others=others))


def _clip_fields(path: str | None, transcript: str | None, language: str | None) -> dict[str, str]:
    fields = {"ref_audio_path": path, "prompt_text": transcript, "prompt_lang": language}
    return {name: value for name, value in fields.items() if value}


def _refuse_transcript(transcript: str | None, language: str | None) -> None:
    """Refuse options that only GPT-SoVITS servers understand."""
    for option, value in (("--ref-text", transcript), ("--ref-lang", language)):
        if value:
            raise typer.BadParameter(
                "Only for GPT-SoVITS servers. Otherwise give a recording with its transcript as "
                "--prompt-audio and --prompt-text.",
                param_hint=option,
            )


STDOUT = "-"


def choose_targets(options: OutputOptions) -> list[Target]:
    """Return the targets of the sound: the loudspeaker unless an output is named.

    Raises:
        typer.BadParameter: there is no target, or the format of one is unknown.
    """
    outputs, wanted = options.output or [], _parse_format(options.format)
    targets: list[Target] = [_target(output, wanted, options.force) for output in outputs]
    if twice := {output for output in outputs if outputs.count(output) > 1}:
        raise typer.BadParameter(f"Output given more than once: {', '.join(twice)}.", param_hint="--output")
    if wanted and not outputs:
        raise typer.BadParameter(f"--format is the format of -o, and there is no -o. As in: -o speech.{wanted}")
    if options.plays:
        targets.append(ToSpeaker(options.audio_device))
    if not targets:
        raise typer.BadParameter("With --no-play, name an output: -o FILE.", param_hint="--no-play")
    return targets


def _target(output: str, wanted: AudioFormat | SubtitleFormat | None, force: bool) -> Target:
    """Return the target of one -o. A name of subtitles is not changed by the format of the sound, nor the other way."""
    if output != STDOUT:
        path = Path(output)
        sound, subtitles = find_format(path), find_subtitle_format(path)
        named = sound if isinstance(wanted, SubtitleFormat) else subtitles
        return ToFile(path, named or wanted or _format_of(path), overwrite=force)
    if sys.stdout.isatty():
        what = "subtitles" if isinstance(wanted, SubtitleFormat) else "audio"
        raise typer.BadParameter(
            f"Refusing to write {what} to a terminal. Pipe it, as in: voxcli say ... -o - | ffplay -",
            param_hint="--output",
        )
    return ToStdout(wanted or AudioFormat.WAV)


def _parse_format(name: str | None) -> AudioFormat | SubtitleFormat | None:
    if name is None:
        return None
    formats: dict[str, AudioFormat | SubtitleFormat] = {**AudioFormat.__members__, **SubtitleFormat.__members__}
    formats = {str(format): format for format in formats.values()}
    if format := formats.get(name.lower().removeprefix(".")):
        return format
    raise typer.BadParameter(
        f"Unknown format {name!r}.{did_you_mean(name, formats)} Choose from: {', '.join(formats)}.",
        param_hint="--format",
    )


def _format_of(path: Path) -> AudioFormat | SubtitleFormat:
    if format := find_format(path) or find_subtitle_format(path):
        return format
    suffix, known = path.suffix or path.name, [*known_suffixes(), *(f".{format}" for format in SubtitleFormat)]
    raise typer.BadParameter(
        f"Cannot tell the audio format from the name {path}.{did_you_mean(suffix, known)} "
        f"Use one of the suffixes {', '.join(known)}, or pass --format.",
        param_hint="--output",
    )
