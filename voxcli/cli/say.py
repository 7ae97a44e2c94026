"""`voxcli say`: a text goes in, speech comes out, from the first sentence on."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from voxcli.cli import options
from voxcli.cli.console import Words, logs_in_words

if TYPE_CHECKING:
    from voxcli.cli.source import Source
    from voxcli.sinks import Target
    from voxcli.speech import Clip, Voice

STDIN = "-"

EXAMPLES = """Examples:

voxcli say "你好，世界" --play -o hello.wav

llm "tell me a story" | voxcli say

voxcli say -f chapter.md -o chapter.mp3"""

_BUILTIN_NOTE = (
    "the built-in voice speaks (eSpeak NG): instant but robotic; human ones need a VoxCPM model, from a later version"
)


def say(
    context: typer.Context,
    text: options.Words = None,
    file: options.TextFile = None,
    markdown: options.Markdown = None,
    model: options.Model = None,
    voice: options.VoiceName = None,
    language: options.Language = None,
    speed: options.Speed = 1.0,
    volume: options.Volume = 1.0,
    ref_audio: options.ReferenceClip = None,
    prompt_audio: options.PromptClip = None,
    prompt_text: options.PromptText = None,
    instruct: options.Style = None,
    output: options.Outputs = None,
    format: options.Format = None,
    force: options.Force = False,
    play: options.Play = None,
    audio_device: options.AudioDevice = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Events = False,
) -> None:
    r"""Say a text: from the command line, from a file, or from a pipe while it is being written.

    \[pause 0.5s] in the text is half a second of silence.
    """
    from voxcli.cli.report import open_report
    from voxcli.cli.speaking import Job, speak
    from voxcli.cli.targets import choose_targets

    targets = choose_targets(output or [], format, force, play, audio_device)
    words = Words(quiet=quiet or json)
    if model is None:
        words.note(_BUILTIN_NOTE)
    events = _events_stream(targets) if json else None
    with logs_in_words(words, verbose=verbose), open_report(words, events) as report:
        source, looks_like_markdown = _choose_text(text, file)
        job = Job(
            text=source,
            markdown=looks_like_markdown if markdown is None else markdown,
            model=model,
            voice=_choose_voice(voice, ref_audio, prompt_audio, prompt_text, instruct),
            language=language,
            speed=speed,
            volume=volume,
            targets=targets,
        )
        speak(job, report, context.obj.raise_if_struck)


def _events_stream(targets: "list[Target]") -> TextIO:
    """Events never mix with sound."""
    from voxcli.sinks import ToStdout

    return sys.stderr if any(isinstance(target, ToStdout) for target in targets) else sys.stdout


def _choose_text(words: list[str] | None, file: str | None) -> "tuple[Source, bool]":
    """Return the text, or its arrival, and whether it should be taken for Markdown."""
    from voxcli.cli.source import Arriving, Whole, open_text_file

    if words and file:
        raise typer.BadParameter("Give the text or a file, not both.", param_hint="--file")
    if words and words != [STDIN]:
        return Whole(" ".join(words)), False
    if file and file != STDIN:
        source = open_text_file(Path(file))
        return source, isinstance(source, Arriving) or file.lower().endswith((".md", ".markdown"))
    asked_for = words == [STDIN] or file == STDIN
    if sys.stdin is None or (sys.stdin.isatty() and not asked_for):
        raise typer.BadParameter(
            'Say what, as in: voxcli say "Hello". Or use -f FILE, or pipe a text in.', param_hint="TEXT"
        )
    return Arriving(sys.stdin.fileno(), "standard input"), True


def _choose_voice(
    name: str | None, reference: Path | None, prompt: Path | None, prompt_text: str | None, style: str | None
) -> "Voice":
    """Return who shall speak. A voice of the user's own comes before one that the engine knows by that name."""
    from voxcli.cli.settings import find_user_places
    from voxcli.speech import Prompt, Voice
    from voxcli.voices import VoiceLibrary

    if bool(prompt) != bool(prompt_text and prompt_text.strip()):
        raise typer.BadParameter("--prompt-audio and --prompt-text go together.", param_hint="--prompt-text")
    if name and (reference or prompt):
        raise typer.BadParameter("Give the name of a voice or a clip, not both.", param_hint="--voice")
    if name:
        own = VoiceLibrary(find_user_places().voices).find(name) or Voice(name=name)
        return replace(own, style=style or own.style)
    return Voice(
        style=style,
        reference=_read_clip(reference) if reference else None,
        prompt=Prompt(_read_clip(prompt), prompt_text) if prompt and prompt_text else None,
    )


def _read_clip(path: Path) -> "Clip":
    from voxcli.cli.source import read_file
    from voxcli.speech import Clip

    return Clip(read_file(path), path.name)
