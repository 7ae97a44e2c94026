"""Recordings that a server reads from its own disk, as GPT-SoVITS does: they are named here, and not read."""

from dataclasses import replace
from typing import TypeVar

import typer

from voxcli.cli.options.engine import EngineOptions
from voxcli.cli.options.speech import VoiceOptions, on_command_line

Options = TypeVar("Options", bound=EngineOptions)


def named_on_server(
    context: typer.Context, who: VoiceOptions, engine: EngineOptions
) -> tuple[VoiceOptions, EngineOptions]:
    """Turn the options that describe a recording into fields for the server, if it reads recordings itself.

    It is asked what it is only if that makes a difference.
    """
    given = _fields(str(who.ref_audio) if who.ref_audio else None, who.ref_text, who.ref_lang)
    if not given or not engine.reads_clips():
        if who.ref_audio and who.ref_text and not who.prompt_audio:
            # With its words, a recording is one to carry on from.
            who = replace(who, prompt_audio=who.ref_audio, prompt_text=who.ref_text, ref_audio=None, ref_text=None)
        _refuse_words(who.ref_text, who.ref_lang)
        return who, engine
    # A voice from the settings is for others: here a recording is named.
    voice = who.voice if on_command_line(context, "voice") or not who.ref_audio else None
    who = replace(who, voice=voice, ref_audio=None, ref_text=None, ref_lang=None)
    return who, engine.with_fields(given)


def speaking_like(engine: Options, path: str | None, text: str | None, language: str | None) -> Options:
    """Let a server that reads recordings itself speak like one of them, whoever asks it through us.

    Args:
        path: on the server.
        text: the words of the recording, in `language`.
    """
    given = _fields(path, text, language)
    if not given:
        return engine
    if not engine.reads_clips():
        _refuse_words(text, language)
        raise typer.BadParameter("Only servers that speak GPT-SoVITS read recordings.", param_hint="--ref-audio")
    return engine.with_fields(given)


def _fields(path: str | None, text: str | None, language: str | None) -> dict[str, str]:
    fields = {"ref_audio_path": path, "prompt_text": text, "prompt_lang": language}
    return {name: value for name, value in fields.items() if value}


def _refuse_words(text: str | None, language: str | None) -> None:
    """Refuse what only such servers understand."""
    for option, value in (("--ref-text", text), ("--ref-lang", language)):
        if value:
            raise typer.BadParameter(
                "This is for servers that speak GPT-SoVITS. Otherwise a recording and its words go together as "
                "--prompt-audio and --prompt-text.",
                param_hint=option,
            )
