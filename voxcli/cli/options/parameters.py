"""Options that several commands share. Those made with `setting` can also be set in settings files."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from voxcli.cli.options import completion as complete

_ENVIRONMENT_PREFIX = "VOXCLI_"


def setting(*names: str, **details: Any) -> Any:
    """Declare an option that VOXCLI_<NAME> and the settings files can set too, by its first name."""
    name = names[0].lstrip("-").partition("/")[0]
    variable = _ENVIRONMENT_PREFIX + name.replace("-", "_").upper()
    return typer.Option(*names, envvar=variable, show_envvar=False, **details)


def on_command_line(context: typer.Context, option: str) -> bool:
    """Tell whether an option was given on the command line, and not in the environment or a settings file."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _language_code(value: str | None) -> str | None:
    """Return the code of a language that is given by its name, and other values as they are."""
    if value is None:
        return None
    from voxcli.text.language_names import language_code

    return language_code(value) or value


AUTO = "auto"


def number_or_auto(kind: type[int] | type[float], least: float, most: float) -> Callable[..., str]:
    """Return a callback that checks an option whose value is a number within bounds, or "auto"."""

    def check(context: typer.Context, param: typer.CallbackParam, value: str) -> str:
        if value.strip().lower() == AUTO:
            return AUTO
        try:
            number = kind(value)
        except ValueError:
            number = None
        if number is None or not least <= number <= most:  # nan is not
            raise typer.BadParameter(f"{value!r} is not a number from {least:g} to {most:g}, and not {AUTO!r}.")
        return value.strip()

    return check


def in_settings(context: typer.Context, option: str) -> bool:
    """Tell whether an option has its value from the environment or a settings file."""
    source = context.get_parameter_source(option)
    return source is not None and source.name in ("ENVIRONMENT", "DEFAULT_MAP")


_SPEECH = "Speech"
_OUTPUT = "Output"
_LOGGING = "Logging"

TextArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT...", help="Text to speak. Default: standard input, spoken as it arrives."),
]
TextFiles = Annotated[
    list[str] | None,
    typer.Option("--file", "-f", metavar="FILE", help="Speak a text or document; - is standard input. Repeatable."),
]
TextOption = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="TEXT", help="Text to speak, as other programs take it.", hidden=True),
]
Markdown = Annotated[
    bool | None,
    setting(
        "--markdown/--no-markdown",
        help="Read Markdown as prose. Default: on for .md files and piped text.",
        show_default=False,
    ),
]

Model = Annotated[
    str | None,
    setting(
        "--model",
        "-m",
        metavar="NAME",
        help="Model to use. Default: the best one installed.",
        autocompletion=complete.models,
        rich_help_panel=_SPEECH,
    ),
]
VoiceName = Annotated[
    str | None,
    setting(
        "--voice",
        "-v",
        metavar="NAME",
        help="Voice to use: see `voxcli voices`.",
        autocompletion=complete.voices,
        rich_help_panel=_SPEECH,
    ),
]
Language = Annotated[
    str | None,
    setting(
        "--language",
        "-l",
        "--lang",
        metavar="NAME",
        callback=_language_code,
        help="Language, such as zh, en or french. Default: by the script.",
        autocompletion=complete.languages,
        rich_help_panel=_SPEECH,
    ),
]
Speed = Annotated[
    float,
    setting("--speed", "-s", min=0.25, max=4.0, help="Speaking rate: 2 is twice as fast.", rich_help_panel=_SPEECH),
]
Volume = Annotated[
    float,
    setting("--volume", min=0.0, max=4.0, help="Gain: 0.5 is half as loud.", rich_help_panel=_SPEECH),
]
ReferenceClip = Annotated[
    Path | None,
    typer.Option(
        "--ref-audio",
        "--reference-audio",
        metavar="CLIP",
        help="Recording of the voice to imitate.",
        rich_help_panel=_SPEECH,
    ),
]
PromptClip = Annotated[
    Path | None,
    typer.Option(
        "--prompt-audio",
        "--prompt",
        metavar="CLIP",
        help="Audio prompt to continue from (needs --prompt-text).",
        rich_help_panel=_SPEECH,
    ),
]
PromptText = Annotated[
    str | None,
    typer.Option("--prompt-text", metavar="TEXT", help="Transcript of --prompt-audio.", rich_help_panel=_SPEECH),
]
Style = Annotated[
    str | None,
    typer.Option(
        "--instruct",
        "-i",
        metavar="STYLE",
        help='Description of the voice, such as "an old man, unhurried".',
        rich_help_panel=_SPEECH,
    ),
]

Denoise = Annotated[
    bool,
    typer.Option("--denoise", help="Remove noise from the recording first.", rich_help_panel=_SPEECH),
]
Normalize = Annotated[
    bool,
    typer.Option("--normalize", help="Spell out numbers, dates and units first.", rich_help_panel=_SPEECH),
]
Gap = Annotated[
    float | None,
    setting(
        "--gap",
        min=0.0,
        max=10.0,
        metavar="SECONDS",
        help="Silence between sentences. Default: as generated.",
        rich_help_panel=_SPEECH,
    ),
]
NoSplit = Annotated[
    bool,
    typer.Option(
        "--no-split", help="Do not split the text into sentences or read [pause] tags.", rich_help_panel=_SPEECH
    ),
]

Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="File to write, sound or subtitles by its suffix; - is standard output. Repeatable.",
        rich_help_panel=_OUTPUT,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="wav, flac, mp3, opus, aac or pcm; srt, vtt, lrc or json for subtitles. "
        "Default: from the file suffix; wav on standard output.",
        autocompletion=complete.formats,
        rich_help_panel=_OUTPUT,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Overwrite an existing file.", rich_help_panel=_OUTPUT),
]
Play = Annotated[
    bool | None,
    setting(
        "--play/--no-play",
        help="Play the speech. Default: on unless --output is given.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
AudioDevice = Annotated[
    str | None,
    setting(
        "--audio-device",
        metavar="NAME",
        help="Loudspeaker to play on, by name or number: see `voxcli devices`.",
        autocompletion=complete.audio_devices,
        rich_help_panel=_OUTPUT,
    ),
]
StartBuffer = Annotated[
    str,
    setting(
        "--start-buffer",
        metavar="SECONDS|auto",
        help="Audio to wait for before playback starts; 0 starts at once. auto: what a slow machine needs to play "
        "without gaps.",
        autocompletion=complete.auto,
        callback=number_or_auto(float, 0, 600),
        rich_help_panel=_OUTPUT,
    ),
]
InQueue = Annotated[
    bool,
    setting(
        "--queue/--no-queue",
        help="Wait until no other program speaks that uses the queue as well, such as `voxcli mcp`.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
MaxWait = Annotated[
    float | None,
    setting(
        "--max-wait",
        metavar="SECONDS",
        min=0.0,
        help="Longest wait in the queue: after that, the text is not spoken. Default: as long as it takes.",
        rich_help_panel=_OUTPUT,
    ),
]

Quiet = Annotated[bool, setting("--quiet", "-q", help="Show only warnings and errors.", rich_help_panel=_LOGGING)]
Verbose = Annotated[bool, setting("--verbose", help="Show debug messages.", rich_help_panel=_LOGGING)]
Events = Annotated[
    bool,
    typer.Option("--json", help="Report as JSON events, one per line.", rich_help_panel=_LOGGING),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_VOICE = "Voice"

LastVoice = Annotated[
    bool,
    typer.Option(
        "--last",
        help="Save the voice that a model last drew at random, instead of a recording.",
        rich_help_panel=_VOICE,
    ),
]
NewName = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Name of the voice.", rich_help_panel=_VOICE),
]
Replace = Annotated[
    bool,
    typer.Option("--force", help="Replace an existing voice or file.", rich_help_panel=_VOICE),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
