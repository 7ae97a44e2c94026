"""The options, each with one meaning wherever it appears, and which of them are settings."""

from pathlib import Path
from typing import Annotated, Any

import typer

from voxcli.cli.options import completion as complete

_ENVIRONMENT_PREFIX = "VOXCLI_"


def setting(*names: str, **details: Any) -> Any:
    """An option that VOXCLI_<NAME> and the settings files can set too, by its first name."""
    name = names[0].lstrip("-").partition("/")[0]
    variable = _ENVIRONMENT_PREFIX + name.replace("-", "_").upper()
    return typer.Option(*names, envvar=variable, show_envvar=False, **details)


def on_command_line(context: typer.Context, option: str) -> bool:
    """Tell whether an option was given there, and not in the environment or the settings."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def on_command_line(context: typer.Context, option: str) -> bool:
    """Tell whether an option was given there, and not in the environment or the settings."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


_SPEAKING = "How it sounds"
_OUTPUT = "Where it goes"
_MANNERS = "What is said about it"

TextArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT...", help="What to say. Without it, standard input is read as it arrives."),
]
TextFile = Annotated[
    str | None,
    typer.Option("--file", "-f", metavar="FILE", help="Say what is in a file; - is standard input."),
]
Markdown = Annotated[
    bool | None,
    setting(
        "--markdown/--no-markdown",
        help="Read Markdown as one would aloud. On for .md files and for piped text.",
        show_default=False,
    ),
]

Model = Annotated[
    str | None,
    setting(
        "--model",
        "-m",
        help="Which model speaks. Default: the best on this machine.",
        autocompletion=complete.models,
        rich_help_panel=_SPEAKING,
    ),
]
VoiceName = Annotated[
    str | None,
    setting(
        "--voice",
        "-v",
        help="Whose voice: see `voxcli voices`.",
        autocompletion=complete.voices,
        rich_help_panel=_SPEAKING,
    ),
]
Language = Annotated[
    str | None,
    setting(
        "--language",
        "-l",
        "--lang",
        help="Such as zh, en, ja, ko, yue. Default: by the script of each passage.",
        autocompletion=complete.languages,
        rich_help_panel=_SPEAKING,
    ),
]
Speed = Annotated[
    float,
    setting("--speed", "-s", min=0.25, max=4.0, help="2 is twice as fast.", rich_help_panel=_SPEAKING),
]
Volume = Annotated[
    float,
    setting("--volume", min=0.0, max=4.0, help="0.5 is half as loud.", rich_help_panel=_SPEAKING),
]
ReferenceClip = Annotated[
    Path | None,
    typer.Option(
        "--ref-audio",
        "--reference-audio",
        metavar="CLIP",
        help="Speak with the voice of this recording.",
        rich_help_panel=_SPEAKING,
    ),
]
PromptClip = Annotated[
    Path | None,
    typer.Option(
        "--prompt-audio", "--prompt", metavar="CLIP", help="Carry on from this recording.", rich_help_panel=_SPEAKING
    ),
]
PromptText = Annotated[
    str | None,
    typer.Option("--prompt-text", metavar="TEXT", help="The words of --prompt-audio.", rich_help_panel=_SPEAKING),
]
Style = Annotated[
    str | None,
    typer.Option("--instruct", "-i", help='How to speak: "an old man, unhurried".', rich_help_panel=_SPEAKING),
]

Denoise = Annotated[
    bool,
    typer.Option("--denoise", help="Take the noise out of the recording first.", rich_help_panel=_SPEAKING),
]
Normalize = Annotated[
    bool,
    typer.Option(
        "--normalize", help="Spell out numbers, dates and units before they are read.", rich_help_panel=_SPEAKING
    ),
]
Gap = Annotated[
    float | None,
    setting(
        "--gap",
        min=0.0,
        max=10.0,
        metavar="SECONDS",
        help="Silence between sentences. Default: as the voice leaves it.",
        rich_help_panel=_SPEAKING,
    ),
]
NoSplit = Annotated[
    bool,
    typer.Option(
        "--no-split", help="Say the text in one go, as it stands: no sentences, no marks.", rich_help_panel=_SPEAKING
    ),
]

Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write a file that is good to play while it grows; - is standard output. May be repeated.",
        rich_help_panel=_OUTPUT,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="wav, flac, mp3, opus, aac or pcm. Default: by the suffix of the file, wav on standard output.",
        autocompletion=complete.formats,
        rich_help_panel=_OUTPUT,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Overwrite a file that is there already.", rich_help_panel=_OUTPUT),
]
Play = Annotated[
    bool | None,
    setting(
        "--play/--no-play",
        help="Play it. On unless it goes somewhere else.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
AudioDevice = Annotated[
    str | None,
    setting(
        "--audio-device",
        metavar="NAME",
        help="Which loudspeaker, by name or number: see `voxcli devices`.",
        autocompletion=complete.audio_devices,
        rich_help_panel=_OUTPUT,
    ),
]

Quiet = Annotated[bool, setting("--quiet", "-q", help="Only warnings and errors.", rich_help_panel=_MANNERS)]
Verbose = Annotated[bool, setting("--verbose", help="Everything.", rich_help_panel=_MANNERS)]
Events = Annotated[
    bool,
    typer.Option("--json", help="One JSON event per line instead of words.", rich_help_panel=_MANNERS),
]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]

_VOICE = "The voice"

Recording = Annotated[
    Path | None,
    typer.Option(
        "--prompt",
        "--prompt-audio",
        "--ref-audio",
        "--reference-audio",
        metavar="CLIP",
        help="A recording of the voice: 5 to 30 s of clear speech.",
        rich_help_panel=_VOICE,
    ),
]
RecordSeconds = Annotated[
    float | None,
    typer.Option(
        "--record",
        metavar="SECONDS",
        min=3,
        max=60,
        help="Record it now, for so long: 3 to 60 s.",
        rich_help_panel=_VOICE,
    ),
]
Microphone = Annotated[
    str | None,
    typer.Option(
        "--microphone",
        metavar="NAME",
        help="What to record with, by name or number. Default: the system's choice.",
        rich_help_panel=_VOICE,
    ),
]
Consent = Annotated[
    str | None,
    typer.Option(
        "--consent", metavar="TEXT", help="Who allowed it, in a line that stays with the voice.", rich_help_panel=_VOICE
    ),
]
RecordedWords = Annotated[
    str | None,
    typer.Option(
        "--prompt-text",
        "--ref-text",
        metavar="TEXT",
        help="What is said in it. Default: the words in the .txt file beside it, if there is one.",
        rich_help_panel=_VOICE,
    ),
]
RecordedWordsFile = Annotated[
    Path | None,
    typer.Option("--prompt-text-file", metavar="FILE", help="The file with these words.", rich_help_panel=_VOICE),
]
NoRecordedWords = Annotated[
    bool,
    typer.Option("--no-prompt-text", help="Keep it without words, and do not ask.", rich_help_panel=_VOICE),
]
LastVoice = Annotated[
    bool,
    typer.Option(
        "--last",
        help="Instead of a recording: the voice that a model drew last, when none was named.",
        rich_help_panel=_VOICE,
    ),
]
NewName = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="What to call it.", rich_help_panel=_VOICE),
]
Replace = Annotated[
    bool,
    typer.Option("--force", help="Replace a voice or a file that is there already.", rich_help_panel=_VOICE),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
