"""`voxcli batch`: speak the texts of a list into files."""

import hashlib
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

import typer

from voxcli.audio.format import SubtitleFormat
from voxcli.cli.console import Console, logs_on_console
from voxcli.cli.exits import ExitCode, GracefulShutdown
from voxcli.cli.options import parameters as options
from voxcli.cli.options.batch import FolderOptions, ListOptions, WorkOptions
from voxcli.cli.options.engine import ResidentEngineOptions
from voxcli.cli.options.groups import grouped
from voxcli.cli.options.metadata import MetadataOptions
from voxcli.cli.options.sampling import SamplingOptions
from voxcli.cli.options.speech import DeliveryOptions, OutputVerbosity, VoiceOptions
from voxcli.cli.options.words import WordsOptions
from voxcli.cli.parser.help import documented
from voxcli.errors import RequestError, did_you_mean
from voxcli.version import __version__

if TYPE_CHECKING:
    from voxcli.batch.manifest import Manifest
    from voxcli.cli.commands.batch.run import BatchJob

_STDIN = "-"
_BLOCK = 2**20
_OF_ONE_RUN = frozenset(
    {
        "list",
        "output_dir",
        "check",
        "resume",
        "force",
        "prune",
        "jobs",
        "keep_going",
        "retry",
        "quiet",
        "verbose",
        "json",
    }
)
"""Options that the next run does not take over."""


@documented(
    "voxcli batch lines.txt -d out",
    'voxcli batch table.csv -d out --name "{n:04}-{voice}.mp3"',
    "voxcli batch lines.jsonl --check",
    "voxcli batch --resume -d out",
    basics=(
        *("output_dir", "name", "resume", "check", "jobs", "keep_going", "retry", "voice", "model", "remote"),
        *("quiet", "json"),
    ),
)
@grouped
def batch(
    context: typer.Context,
    listed: ListOptions,
    folder: FolderOptions,
    work: WorkOptions,
    who: VoiceOptions,
    delivery: DeliveryOptions,
    engine: ResidentEngineOptions,
    sampling: SamplingOptions,
    metadata: MetadataOptions,
    verbosity: OutputVerbosity,
    markdown: options.Markdown = None,
    no_split: options.NoSplit = False,
) -> None:
    """Speak many texts into files, from a list.

    A row may have any option of voxcli say, such as voice or speed. All rows are checked first: see voxcli help batch.
    """
    from voxcli.batch.manifest import Manifest
    from voxcli.batch.names import NameTemplate
    from voxcli.cli.commands.batch.checking import open_list
    from voxcli.cli.commands.batch.row_reader import RowDefaults, RowReader, sound_format
    from voxcli.cli.commands.batch.run import MANIFEST, BatchJob
    from voxcli.cli.commands.chosen import engine_settings, with_clip_on_server
    from voxcli.cli.commands.words.text import find_lexicon

    verbosity.check(context)
    sampling.check()
    metadata.check(context, outputs=True)
    if listed.list is not None and listed.list_option is not None:
        raise typer.BadParameter("Give one list.", param_hint="--file")
    listed = replace(listed, list=listed.list or listed.list_option)
    if folder.output_dir is None and not listed.check:
        raise typer.BadParameter("Name a folder for the files, as in: -d out", param_hint="--output-dir")
    # A list that is only checked may have no folder.
    output = folder.output_dir or Path(tempfile.gettempdir(), secrets.token_hex(8))
    console = Console(quiet=verbosity.quiet or verbosity.json)
    with logs_on_console(console, verbose=verbosity.verbose), Manifest(output / MANIFEST) as manifest:
        if work.resume and listed.list is None:
            with resumed(context, manifest) as again:
                context.command.invoke(again)
            return
        if manifest.exists and not (work.resume or folder.force or listed.check):
            raise RequestError(
                f"{output} holds what was made from a list before.",
                on_command_line="To make what is missing or has changed: --resume. To make all again: --force",
            )
        if listed.list is None:
            raise typer.BadParameter("Name a list of texts, as in: voxcli batch lines.txt -d out")
        who, chosen = with_clip_on_server(context, who, engine_settings(engine))
        defaults = RowDefaults(
            who=who,
            delivery=delivery,
            sampling=sampling,
            engine=chosen,
            markdown=markdown,
            no_split=no_split,
            format=sound_format(folder.format) if folder.format else None,
            template=NameTemplate(folder.name) if folder.name else None,
        )
        with open_list(listed) as source:
            job = BatchJob(
                source=source,
                list_name=listed.list if listed.list != _STDIN else "standard input",
                reader=RowReader(context, defaults, _folder_of(listed.list), console),
                folder=output,
                header=header_of(context, listed.list, source.file),
                metadata=metadata,
                lexicon=find_lexicon(
                    WordsOptions(lexicon=listed.lexicon, no_lexicon=listed.no_lexicon), _folder_of(listed.list)
                ),
                also=tuple(map(_subtitles, folder.also or [])),
                overwrite=folder.force,
                resume=work.resume and manifest.exists,
                prune=folder.prune,
                jobs=work.jobs,
                keep_going=work.keep_going,
                retry=work.retry,
                cache=work.cache,
            )
            code = _run(job, manifest, console, sys.stdout if verbosity.json else None, context.obj, check=listed.check)
    if code:
        raise typer.Exit(code)


def _run(
    job: "BatchJob",
    manifest: "Manifest",
    console: Console,
    events: TextIO | None,
    shutdown: GracefulShutdown,
    *,
    check: bool,
) -> ExitCode:
    from voxcli.cli.commands.batch.run import SPEED, check_batch, run_batch
    from voxcli.cli.commands.batch.view import EventsBatchReport, TextBatchReport, check_phrases

    report = EventsBatchReport(events) if events else TextBatchReport(console)
    with closing(report):
        checked = check_batch(job, manifest, report)
        if checked.mistakes:
            return ExitCode.BAD_INPUT
        if check:
            console.note_phrases(check_phrases(checked, job.list_name, manifest.header.get(SPEED)))
            return ExitCode.OK
        return run_batch(job, manifest, checked, report, shutdown.raise_if_interrupted)


def _subtitles(name: str) -> SubtitleFormat:
    try:
        return SubtitleFormat(name.strip().lower().removeprefix("."))
    except ValueError:
        near = did_you_mean(name, SubtitleFormat)
        raise typer.BadParameter(
            f"Unknown format of subtitles: {name!r}.{near} Choose from: {', '.join(SubtitleFormat)}.",
            param_hint="--also",
        ) from None


def _folder_of(listed: str) -> Path:
    """Return the folder from which the paths in a list begin."""
    return Path() if listed == _STDIN else Path(listed).parent


def header_of(context: typer.Context, listed: str, file: BinaryIO) -> dict[str, Any]:
    """Return what the manifest tells of the list and the options, so that the next run need not be told."""
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(_BLOCK):
        digest.update(block)
    given = given_options(context)
    digest.update(repr(sorted(given.items())).encode())
    where = None if listed == _STDIN else str(Path(listed).resolve())
    return {"voxcli": __version__, "list": where, "options": given, "digest": digest.hexdigest()}


def given_options(context: typer.Context) -> dict[str, list[str]]:
    """Return the options of the command line, by the names of their parameters, with absolute paths."""
    return {
        param.name: [
            word
            for value in _values(context.params[param.name])
            for word in _written(param, value.resolve() if isinstance(value, Path) else value)
        ]
        for param in cast(Any, context.command).params
        if param.name not in _OF_ONE_RUN and options.on_command_line(context, param.name)
    }


def _values(value: Any) -> list[Any]:
    return [*value] if isinstance(value, list | tuple) else [value]


def _written(param: Any, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [param.opts[-1] if value else param.secondary_opts[-1]]
    return [param.opts[-1], str(value)]


@contextmanager
def resumed(context: typer.Context, manifest: "Manifest") -> Iterator[typer.Context]:
    """Return the context of a command line with the list and the options of the run before; those of now come first.

    Raises:
        RequestError: there was none, or its list is not known.
    """
    folder = context.params["output_dir"]
    if not manifest.exists:
        raise RequestError(f"Nothing has been made from a list in {folder} yet.", on_command_line="Name the list.")
    where, before = manifest.header.get("list"), manifest.header.get("options")
    if not isinstance(where, str) or not isinstance(before, dict):
        raise RequestError("The list came through a pipe. Give it again.", on_command_line="As in: --resume - -d out")
    now = {
        param.name: [word for value in _values(context.params[param.name]) for word in _written(param, value)]
        for param in cast(Any, context.command).params
        if param.name != "list" and options.on_command_line(context, param.name)
    }
    words = [word for written in {**before, **now}.values() for word in map(str, written)]
    command = cast(Any, context.command)
    with command.make_context(context.info_name, [where, *words], parent=context.parent) as again:
        yield again
