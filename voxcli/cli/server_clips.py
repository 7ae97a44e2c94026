"""Recordings that a server reads from its own disk, as GPT-SoVITS does: they are named here, and not read."""

from dataclasses import replace

import typer

from voxcli.cli.engine_options import EngineOptions
from voxcli.cli.speech_options import VoiceOptions, on_command_line


def named_on_server(
    context: typer.Context, who: VoiceOptions, engine: EngineOptions
) -> tuple[VoiceOptions, EngineOptions]:
    """Turn the options that describe a recording into fields for the server, if it reads recordings itself.

    It is asked what it is only if that makes a difference.
    """
    fields = {"ref_audio_path": who.ref_audio and str(who.ref_audio), "prompt_text": who.ref_text}
    fields["prompt_lang"] = who.ref_lang
    given = {name: value for name, value in fields.items() if value}
    if not given or not engine.reads_clips():
        _refuse_words(who)
        return who, engine
    # A voice from the settings is for others: here a recording is named.
    voice = who.voice if on_command_line(context, "voice") or not who.ref_audio else None
    who = replace(who, voice=voice, ref_audio=None, ref_text=None, ref_lang=None)
    return who, engine.with_fields(given)


def _refuse_words(who: VoiceOptions) -> None:
    """Refuse what only such servers understand."""
    for option, value in (("--ref-text", who.ref_text), ("--ref-lang", who.ref_lang)):
        if value:
            raise typer.BadParameter(
                "This is for servers that speak GPT-SoVITS. Otherwise a recording and its words go together as "
                "--prompt-audio and --prompt-text.",
                param_hint=option,
            )
