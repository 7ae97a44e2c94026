"""Choice of the voice: the one that is named, the default one where it can speak, and the model that it belongs to."""

from collections.abc import Sequence
from dataclasses import replace

import typer

from voxcli.cli.commands.chosen import answering_servers, engine_name
from voxcli.cli.console import Console
from voxcli.cli.files import read_clip
from voxcli.cli.options.parameters import in_settings, on_command_line
from voxcli.cli.options.speech import VoiceOptions
from voxcli.cli.settings.files import model_library, voice_library
from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL
from voxcli.engines.kokoro.speakers import VOICES as KOKORO_VOICES
from voxcli.engines.settings import EngineSettings
from voxcli.errors import NotFound, RequestError, VoxError, did_you_mean
from voxcli.synthesis.request import Prompt, Voice
from voxcli.voices.named import EVERY_MODEL_HAS_IT, NAMED_VOICES, find_named

_TITLES = {BUILTIN_MODEL: "the built-in model (eSpeak NG)", KOKORO_MODEL: "Kokoro"}
"""Of the models whose voices are their own only."""


def choose_voice(
    context: typer.Context,
    who: VoiceOptions,
    engines: Sequence[EngineSettings],
    console: Console,
    language: str | None = None,
) -> tuple[Voice, list[EngineSettings]]:
    """Return the voice to speak with, and the engines, where a voice that only one model has chooses that model.

    The user's own voice of a name comes before an engine's. A recording on the command line overrides a voice named in
    the settings. A voice named in the settings that an engine does not have is not used, which is noted once.

    Args:
        engines: the model or server that is to speak, or several that are to speak with one voice.
        language: of the text, if it is given.

    Raises:
        NotFound: there is no such voice.
    """
    name = None if _has_recording(context, who) else who.voice
    if not name:
        return voice_of_options(who), [*engines]
    own = voice_library().find(name)
    voice = replace(own or Voice(name=name), style=who.instruct or (own.style if own else None))
    if in_settings(context, "voice"):
        given = on_command_line(context, "model")
        chosen = [engine if given or engine.model else with_model_of_voice(name, engine) for engine in engines]
        if own is None and not all(engine.remote for engine in engines):
            check_exists(name)
        if problem := next(filter(None, (problem_of(own, name, engine, language) for engine in chosen)), None):
            console.note(f"The default voice {name!r} is not used: {problem}.")
            return voice_of_options(who), [*engines]
        return voice, chosen
    chosen = [engine if on_command_line(context, "model") else with_model_of_voice(name, engine) for engine in engines]
    if own is None:
        for engine in chosen:
            check_known(name, engine)
    return voice, chosen


def choose_voice_for_all(
    context: typer.Context, name: str | None, engine: EngineSettings, console: Console
) -> tuple[str | None, EngineSettings]:
    """Return the name of a server's voice, and the engine, as `choose_voice` does.

    Raises:
        NotFound: there is no such voice.
        RequestError: the engine cannot speak with it.
    """
    voice, (engine,) = choose_voice(context, VoiceOptions(voice=name), [engine], console)
    if voice == Voice() or name is None:
        return None, engine
    if problem := problem_of(voice_library().find(name), name, engine, None):
        raise RequestError(f"The voice {name!r} cannot be used: {problem}.")
    return name, engine


def with_model_of_voice(name: str, engine: EngineSettings) -> EngineSettings:
    """Return the settings of the only model that has a voice of that name, if there is one."""
    model = None if engine.remote else model_of_voice(name)
    return engine if model is None or model == engine_name(engine) else replace(engine, model=model)


def model_of_voice(name: str) -> str | None:
    """Return the model that alone has a voice of that name; None for the user's own voices and names of OpenAI."""
    if find_named(name) or voice_library().find_spelling(name):
        return None
    if name.strip().lower() in KOKORO_VOICES:
        return KOKORO_MODEL
    return BUILTIN_MODEL if _is_builtin(name) else None


def check_known(name: str, engine: EngineSettings) -> None:
    """Check that an engine on this machine has a voice of its own of that name. A server is asked when it speaks.

    Raises:
        NotFound: it has none.
    """
    if engine.remote:
        return
    check_exists(name)
    owner, model = model_of_voice(name), engine_name(engine)
    if owner not in (None, model):
        raise NotFound(
            f"{name!r} is a voice of {_TITLES[owner or model]}, and {_TITLES.get(model, model)} does not have it.",
            on_command_line="Leave out --model, or choose another voice: see `voxcli voices`.",
        )


def check_new_name(name: str) -> None:
    """Check that a voice of the user can have this name: that no model's voice or language does.

    A voice that already has it, from the time before that name was taken, can be replaced.

    Raises:
        RequestError: it is taken.
    """
    if not voice_library().find_spelling(name) and (reason := why_reserved(name)):
        raise RequestError(f"A voice of yours cannot be called {name!r}: {reason}. Choose another name.")


def why_reserved(name: str) -> str | None:
    """Return why no new voice can have a name: a model's voice or language has it. None if none has."""
    from voxcli.engines.espeak.languages import language_names
    from voxcli.engines.espeak.library import load_espeak

    if find_named(name):
        return EVERY_MODEL_HAS_IT
    if name.strip().lower() in language_names(load_espeak().voices):
        return "the built-in model has a voice of that name"
    return "Kokoro has a voice of that name" if name.strip().lower() in KOKORO_VOICES else None


def _has_recording(context: typer.Context, options: VoiceOptions) -> bool:
    """Check the options of a recording, and tell whether one is given."""
    prompt, transcript = options.prompt_audio, options.prompt_text
    if bool(prompt) != bool(transcript and transcript.strip()):
        raise typer.BadParameter("--prompt-audio and --prompt-text go together.", param_hint="--prompt-text")
    given = bool(options.ref_audio or prompt)
    if given and on_command_line(context, "voice"):
        raise typer.BadParameter("Give the name of a voice or a clip, not both.", param_hint="--voice")
    if options.denoise and not given and not options.voice:
        raise typer.BadParameter("There is no recording to remove noise from.", param_hint="--denoise")
    return given


def voice_of_options(options: VoiceOptions) -> Voice:
    """Return the voice of a recording, of a description, or of the model's choice."""
    prompt, transcript = options.prompt_audio, options.prompt_text
    if not (options.ref_audio or prompt):
        return Voice(style=options.instruct)
    return Voice(
        style=options.instruct,
        reference=read_clip(options.ref_audio) if options.ref_audio else None,
        prompt=Prompt(read_clip(prompt), transcript) if prompt and transcript else None,
    )


def _is_builtin(name: str) -> bool:
    from voxcli.engines.espeak.languages import knows_voice
    from voxcli.engines.espeak.library import load_espeak

    return knows_voice(name, load_espeak())


def check_exists(name: str) -> None:
    """Check that some model has a voice of that name.

    Raises:
        NotFound: none has, nor is it one of the user's own; the message lists what there is.
    """
    if find_named(name) or name.strip().lower() in KOKORO_VOICES or _is_builtin(name):
        return
    from voxcli.engines.espeak.languages import find_voice
    from voxcli.engines.espeak.library import load_espeak

    espeak, own = load_espeak(), voice_library().names()
    base, plus, _ = name.partition("+")
    if plus and base.lower() in ("", *espeak.voices):
        find_voice(name, espeak)  # raises the error of an unknown variant
    known = ", ".join([*own, *NAMED_VOICES])
    families = (own, NAMED_VOICES, KOKORO_VOICES, espeak.voices)
    near = next(filter(None, (did_you_mean(name, names) for names in families)), "")
    raise NotFound(
        f"There is no voice {name!r}.{near} Voices: {known}.",
        on_command_line="Those of the models: voxcli voices --all",
    )


def problem_of(own: Voice | None, name: str, engine: EngineSettings, language: str | None) -> str | None:
    """Return why an engine cannot speak with a default voice; None if it can, or if only a server knows."""
    if engine.remote:
        return _problem_on_server(own, engine)
    model = engine_name(engine)
    if own and model in _TITLES:
        what = "imitate a recording" if own.reference or own.prompt else "follow a description"
        return f"{_TITLES[model]} cannot {what}"
    if model == BUILTIN_MODEL:
        return _problem_of_builtin(name, language)
    if own is None:
        return f"{model} does not have it" if model_of_voice(name) not in (None, model) else None
    if own.prompt or not (own.reference or own.style):
        return None
    if _imitates_alone(model):
        return None
    return f"{model} {'needs the transcript of its recording' if own.reference else 'cannot follow a description'}"


def _problem_of_builtin(name: str, language: str | None) -> str | None:
    from voxcli.engines.espeak.languages import find_language, voice_for
    from voxcli.engines.espeak.library import load_espeak

    espeak = load_espeak()
    try:
        spoken = language and find_language(language, espeak.voices).identifier
    except NotFound:  # reported when it is spoken
        return None
    voice = voice_for(name, espeak)[0]
    return f"it does not speak {language!r}" if voice and spoken and voice != spoken else None


def _problem_on_server(own: Voice | None, engine: EngineSettings) -> str | None:
    """Return whether a server takes no recordings. It is asked only if the voice has one."""
    if own is None or not (own.reference or own.prompt):
        return None
    assert engine.remote
    if any(server.takes_clips() for server in answering_servers(engine.remote)):
        return None
    return f"{engine.remote.address} takes no recordings"


def _imitates_alone(model: str) -> bool:
    """Whether a model follows descriptions, and imitates a recording without its transcript."""
    from voxcli.voxcpm.network.config import Architecture, read_config

    try:
        return read_config(model_library().load(model)).architecture is Architecture.V2
    except VoxError:  # reported when it is opened
        return True
