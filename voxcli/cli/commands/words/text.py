"""Words of a job: the speakers of its text, and how what they say is pronounced."""

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from voxcli.cli.commands.speak_job import SpeakJob
from voxcli.cli.console import Console
from voxcli.cli.options.words import WordsOptions
from voxcli.cli.settings.files import find_user_places
from voxcli.cli.text_source import known_text
from voxcli.errors import RequestError
from voxcli.paths import PROJECT_LEXICON
from voxcli.text.ssml import is_ssml

if TYPE_CHECKING:
    from voxcli.cli.commands.words.casting import Script
    from voxcli.text.lexicon import Lexicon

_log = logging.getLogger(__name__)


def find_lexicon(options: WordsOptions, folder: Path) -> "Lexicon | None":
    """Return the lexicons of the options, then the one beside the text, then the user's; None if there are none.

    Raises:
        RequestError: one cannot be read, or something in it is wrong.
    """
    paths = list(options.lexicon or [])
    if not options.no_lexicon:
        paths += lexicons_of(folder)
    if not paths:
        return None
    from voxcli.text.lexicon import Lexicon, load_lexicon

    _log.debug("lexicons: %s", ", ".join(map(str, paths)))
    return Lexicon([load_lexicon(path) for path in paths])


def lexicons_of(folder: Path) -> list[Path]:
    """Return the lexicon in a folder or the nearest one above it, and the user's, where they are there."""
    found = []
    with suppress(OSError):
        folder = folder.resolve()
        nearest = (each / PROJECT_LEXICON for each in (folder, *folder.parents))
        found += [path for path in nearest if path.is_file()][:1]
    own = find_user_places().lexicon
    return [*found, own] if own.is_file() else found


def _folder_of(context: typer.Context) -> Path:
    """Return the folder of the first file that is spoken, or the current one."""
    file = next((file for file in context.params.get("file") or [] if file != "-"), None)
    return Path(file).parent if file else Path()


def with_words(context: typer.Context, options: WordsOptions, job: SpeakJob, console: Console) -> SpeakJob:
    """Return a job with the speakers of its text.

    Raises:
        RequestError: a name is not in the cast, or a voice cannot be used.
    """
    options.check(split=job.split)
    job = replace(job, lexicon=find_lexicon(options, _folder_of(context)), finds_ssml=options.ssml is not False)
    text = known_text(job.text)
    if script := _script_of(context, options, job, text, console):
        job = replace(
            job,
            engine=script.engine,
            delivery=script.delivery,
            speakers=script.speakers,
            script=script.pieces,
        )
    if options.stems:
        from voxcli.sinks import ToStems

        overwrite = bool(context.params.get("force"))
        if not overwrite and any(options.stems.glob("*.wav")):
            raise RequestError(
                f"There are .wav files in {options.stems} already.",
                on_command_line="Use --force to overwrite them, or name another folder with --stems.",
            )
        job = replace(job, targets=[*job.targets, ToStems(options.stems, overwrite=overwrite)])
    return job


def _script_of(
    context: typer.Context, options: WordsOptions, job: SpeakJob, text: str | None, console: Console
) -> "Script | None":
    """Return how a text with speakers or with markup is read; None if it is plain."""
    ssml = text is not None and (options.ssml or (job.finds_ssml and is_ssml(text)))
    if text is not None and ssml:
        if options.cast:
            raise RequestError("SSML names its voices itself.", on_command_line="Leave out --cast, or the markup.")
        if not job.split:
            raise RequestError("SSML is spoken sentence by sentence.", on_command_line="Leave out --no-split.")
        from voxcli.cli.commands.words.casting import open_ssml

        return open_ssml(context, text, job.engine, job.delivery)
    if options.cast or (job.split and text is not None and "[voice:" in text.lower()):
        from voxcli.cli.commands.words.casting import open_script

        return open_script(context, options.cast, text, job.engine, job.delivery, console)
    return None


def explain(job: SpeakJob, *, as_json: bool) -> None:
    """Print what is said for each sentence, and why."""
    from voxcli.cli.commands.words.explanation import explained

    explained(job, as_json=as_json)
