"""`voxcli say`: speak a text, sentence by sentence."""

import os
import stat
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from voxcli.cli.console import Console, logs_on_console
from voxcli.cli.options import parameters as options
from voxcli.cli.options.batch import CacheOptions
from voxcli.cli.options.book import BookOptions
from voxcli.cli.options.engine import ResidentEngineOptions
from voxcli.cli.options.metadata import MetadataOptions
from voxcli.cli.options.sampling import SamplingOptions
from voxcli.cli.options.speech import DeliveryOptions, HighlightOptions, OutputOptions, OutputVerbosity, VoiceOptions
from voxcli.cli.options.words import WordsOptions
from voxcli.cli.parser.help import documented

if TYPE_CHECKING:
    from voxcli.cli.text_source import Source
    from voxcli.sinks import Target

STDIN = "-"
_MARKDOWN = (".md", ".markdown")
_TEXTS = (".txt", ".text", ".rst", ".epub", ".pdf", ".docx", ".html", ".htm", ".xhtml")


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
    engine: ResidentEngineOptions,
    sampling: SamplingOptions,
    out: OutputOptions,
    along: HighlightOptions,
    verbosity: OutputVerbosity,
    words: WordsOptions,
    book: BookOptions,
    metadata: MetadataOptions,
    kept: CacheOptions,
    text: options.TextArgument = None,
    literal: options.TextOption = None,
    file: options.TextFiles = None,
    markdown: options.Markdown = None,
    no_split: options.NoSplit = False,
) -> None:
    """Speak a text, a file, or a pipe while it is being written.

    [pause 0.5s] in the text inserts half a second of silence.
    """
    from voxcli.cli.commands.chosen import choose_targets, engine_settings, note_keep_alive, with_clip_on_server
    from voxcli.cli.commands.speak import speak
    from voxcli.cli.commands.speak_job import SpeakJob
    from voxcli.cli.commands.voice_choice import choose_voice
    from voxcli.cli.commands.words.text import explain, with_words
    from voxcli.cli.reports import choose_text_report, open_report
    from voxcli.sinks import ToFile

    delivery.check_gap(context, no_split=no_split)
    sampling.check()
    out.check(context)
    verbosity.check(context)
    book.check(context, file)
    if book.list_chapters and file:
        from voxcli.cli.commands.books.document import list_chapters

        list_chapters(book, file[0], Console(quiet=verbosity.quiet), as_json=verbosity.json)
        return
    metadata.check(context, outputs=bool(out.output))
    made = book.find_target(context, out)
    out = made.beside(out) if made else out
    targets = [] if made and not out.output else choose_targets(out)
    played = any(not isinstance(target, ToFile) for target in targets)
    auto_steps = sampling.auto_steps(context, remote=engine.remote is not None, played=played)
    console = Console(quiet=verbosity.quiet or verbosity.json)
    events = events_stream(targets) if verbosity.json else None
    new_report = choose_text_report(context, console, asked=along.highlight, played=out.plays)
    if not words.explain and not made:
        _note_targets(targets, console)

    def job_of(source: "Source", *, as_markdown: bool) -> SpeakJob:
        chosen_who, chosen = with_clip_on_server(context, who, engine_settings(engine))
        voice, (chosen,) = choose_voice(context, chosen_who, [chosen], console, delivery.language)
        note_keep_alive(context, chosen)
        job = SpeakJob(
            text=source,
            markdown=as_markdown and not no_split if markdown is None else markdown,
            split=not no_split,
            engine=chosen,
            delivery=delivery.to_settings(voice, sampling.to_settings(), denoise=who.denoise, split=not no_split),
            targets=targets,
            styled_by_option=who.instruct is not None,
            start_buffer=out.start_buffer_seconds,
            auto_steps=auto_steps,
            queue=out.queue and out.plays,
            max_wait=out.max_wait,
            loudness=None if made else book.loudness,
            cached=kept.cache,
        )
        return with_words(context, words, job, console)

    with logs_on_console(console, verbose=verbosity.verbose):
        if made and not words.explain:
            from voxcli.cli.commands.books.book import make_book, manuscript_of, open_book_report, undivided

            made = replace(made, narrator=who.voice, only_mark=not metadata.metadata)

            def described(source: "Source", *, as_markdown: bool = False) -> SpeakJob:
                return job_of(source, as_markdown=as_markdown).described(metadata, who.voice)

            with open_book_report(console, events, context.obj) as making:
                if made.has_chapters:
                    given = [*(text or []), *(literal or [])]
                    manuscript = manuscript_of(given, file or [], book, described, console)
                else:
                    source, looks_like_markdown = choose_text(text, file, literal, console, book)
                    manuscript = undivided(described(source, as_markdown=looks_like_markdown), made.path.stem)
                make_book(manuscript, book, made, making, context.obj.raise_if_interrupted)
            return
        if words.explain:
            source, looks_like_markdown = choose_text(text, file, literal, console, book)
            explain(job_of(source, as_markdown=looks_like_markdown), as_json=verbosity.json)
            return
        with open_report(console, events, context.obj, new_report) as report:
            source, looks_like_markdown = choose_text(text, file, literal, console, book)
            job = job_of(source, as_markdown=looks_like_markdown)
            speak(job.described(metadata, who.voice), console, report, context.obj.raise_if_interrupted)


def events_stream(targets: "list[Target]") -> TextIO:
    """Return standard output, or standard error if audio goes to standard output."""
    from voxcli.sinks import ToStdout

    return sys.stderr if any(isinstance(target, ToStdout) for target in targets) else sys.stdout


def choose_text(
    words: list[str] | None,
    files: list[str] | None,
    literal: list[str] | None,
    console: Console,
    book: BookOptions = BookOptions(),  # noqa: B008 - immutable
) -> "tuple[Source, bool]":
    """Return the text, and whether it should be read as Markdown.

    Args:
        words: the arguments.
        literal: the values of --text.
        book: what to speak of a document, and its pauses.
    """
    from voxcli.cli.text_source import Whole

    if (words or literal) and files:
        _refuse_both(files)
    if words == [STDIN] and not literal:
        files = [STDIN]
    elif words or literal:
        if words and len(words) == 1 and not literal:
            _refuse_file_name(words[0])
        return Whole(" ".join([*(words or []), *(literal or [])])), False
    if not files:
        if sys.stdin is None or sys.stdin.isatty():
            raise typer.BadParameter(
                'No text. Give one, as in: voxcli say "Hello". Or name a file with -f FILE, or pipe a text in. '
                "To type it here: voxcli say -"
            )
        files = [STDIN]
    if book.chapters:
        from voxcli.cli.commands.books.document import chosen_text

        return chosen_text(book, files[0], console), False
    return _open_files(files, console, book)


def _open_files(files: list[str], console: Console, book: BookOptions) -> "tuple[Source, bool]":
    """Open files to be spoken one after another. They are Markdown if one of them is."""
    from voxcli.cli.text_source import Arriving, InOrder, open_text_file

    if files.count(STDIN) > 1:
        raise typer.BadParameter("Standard input can be read once only.", param_hint="--file")
    if STDIN in files and (sys.stdin is None or sys.stdin.isatty()):
        if sys.stdin is None:
            raise typer.BadParameter("There is no standard input.", param_hint="--file")
        end = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"
        console.note(f"Type the text, line by line. {end} on a line of its own ends it.")
    sources = [
        Arriving(sys.stdin.fileno(), "standard input") if file == STDIN else open_text_file(Path(file), book.pauses)
        for file in files
    ]
    pairs = zip(sources, files, strict=True)
    markdown = any(isinstance(source, Arriving) or file.lower().endswith(_MARKDOWN) for source, file in pairs)
    return sources[0] if len(sources) == 1 else InOrder(sources), markdown


def _refuse_both(files: list[str]) -> None:
    from voxcli.audio.format import find_format

    sound = next((file for file in files if find_format(Path(file))), None)
    advice = f" To write {sound}: -o {sound}" if sound else ""
    raise typer.BadParameter(f"Give the text or a file, not both: -f reads a text.{advice}", param_hint="-f")


def _refuse_file_name(word: str) -> None:
    """Refuse the name of a text file, which would be spoken instead of what is in the file."""
    with suppress(OSError, ValueError):
        if word.lower().endswith((*_MARKDOWN, *_TEXTS)) and Path(word).is_file():
            raise typer.BadParameter(
                f"{word} is a file. To speak what is in it: -f {word}. To speak its name: --text {word}"
            )


def _note_targets(targets: "list[Target]", console: Console) -> None:
    """Say that nothing is written to the file that standard output is redirected to, or that no sound is kept."""
    from voxcli.audio.format import SubtitleFormat
    from voxcli.sinks import ToFile, ToSpeaker, ToStdout

    if all(isinstance(target, ToFile | ToStdout) and isinstance(target.format, SubtitleFormat) for target in targets):
        console.note("Only subtitles are written. For the speech as well, add for example: -o speech.mp3")
    if sys.stdout and sys.stderr and all(isinstance(target, ToSpeaker) for target in targets):
        with suppress(OSError, ValueError):
            output, messages = os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno())
            if stat.S_ISREG(output.st_mode) and not os.path.samestat(output, messages):
                console.note(
                    "The speech is played. Nothing is written to the file that standard output goes to; "
                    "for that, add -o -"
                )
