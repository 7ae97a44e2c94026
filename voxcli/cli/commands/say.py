"""`voxcli say`: speak a text, sentence by sentence."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from voxcli.cli.console import Console, logs_on_console
from voxcli.cli.options import parameters as options
from voxcli.cli.options.engine import EngineOptions, SamplingOptions
from voxcli.cli.options.speech import DeliveryOptions, OutputOptions, OutputVerbosity, VoiceOptions
from voxcli.cli.parser.help import documented

if TYPE_CHECKING:
    from voxcli.cli.text_source import Source
    from voxcli.sinks import Target

STDIN = "-"


@documented(
    'voxcli say "你好，世界" --play -o hello.wav',
    'voxcli say "Hello" --voice anna --speed 1.2',
    'llm "tell me a story" | voxcli say',
    "voxcli say -f chapter.md -o chapter.mp3",
    basics=(
        *("output", "play", "force", "file", "voice", "language", "model", "speed", "volume", "instruct", "ref_audio"),
        *("normalize", "seed", "remote", "quiet", "json"),
    ),
)
def say(
    context: typer.Context,
    who: VoiceOptions,
    delivery: DeliveryOptions,
    engine: EngineOptions,
    sampling: SamplingOptions,
    out: OutputOptions,
    verbosity: OutputVerbosity,
    text: options.TextArgument = None,
    file: options.TextFile = None,
    markdown: options.Markdown = None,
    no_split: options.NoSplit = False,
) -> None:
    """Speak a text, a file, or a pipe while it is being written.

    [pause 0.5s] in the text inserts half a second of silence.
    """
    from voxcli.cli.commands.chosen import choose_targets, engine_settings, find_voice, with_clip_on_server
    from voxcli.cli.commands.speak import SpeakJob, speak
    from voxcli.cli.run_report import open_report

    delivery.check_gap(context, no_split=no_split)
    targets = choose_targets(out)
    console = Console(quiet=verbosity.quiet or verbosity.json)
    events = events_stream(targets) if verbosity.json else None
    with logs_on_console(console, verbose=verbosity.verbose), open_report(console, events, context.obj) as report:
        source, looks_like_markdown = _choose_text(text, file)
        who, chosen = with_clip_on_server(context, who, engine_settings(engine))
        job = SpeakJob(
            text=source,
            markdown=looks_like_markdown and not no_split if markdown is None else markdown,
            split=not no_split,
            engine=chosen,
            delivery=delivery.to_settings(
                find_voice(context, who), sampling.to_settings(), denoise=who.denoise, split=not no_split
            ),
            targets=targets,
            styled_by_option=who.instruct is not None,
            start_buffer=out.start_buffer,
        )
        speak(job, console, report, context.obj.raise_if_interrupted)


def events_stream(targets: "list[Target]") -> TextIO:
    """Return standard output, or standard error if audio goes to standard output."""
    from voxcli.sinks import ToStdout

    return sys.stderr if any(isinstance(target, ToStdout) for target in targets) else sys.stdout


def _choose_text(words: list[str] | None, file: str | None) -> "tuple[Source, bool]":
    """Return the text, and whether it should be read as Markdown."""
    from voxcli.cli.text_source import Arriving, Whole, open_text_file

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
            'No text. Give one, as in: voxcli say "Hello". Or use -f FILE, or pipe a text in.', param_hint="TEXT"
        )
    return Arriving(sys.stdin.fileno(), "standard input"), True
