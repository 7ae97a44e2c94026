"""Books, for `voxcli say`: a document spoken into one file with chapters, or into a folder of files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import typer

from voxcli.batch.books.folder import BookFolder, SoundFile
from voxcli.batch.books.m4b import BookFile
from voxcli.batch.books.making import Book, BookChapter
from voxcli.batch.books.sounds import BookSounds, WorkFolder
from voxcli.batch.books.tags import BookTags
from voxcli.batch.books.voice import steady_delivery
from voxcli.batch.books.writing import BookWriter, write_book
from voxcli.cli.commands.batch.preparing import open_batch_engine
from voxcli.cli.commands.books.document import STDIN, open_chosen
from voxcli.cli.commands.books.report import BookReport, EventsBookReport, TextBookReport
from voxcli.cli.commands.chosen import engine_name
from voxcli.cli.commands.speak import prepared
from voxcli.cli.commands.speak_job import SpeakJob
from voxcli.cli.console import Console
from voxcli.cli.exits import GracefulShutdown, Terminated, exit_code
from voxcli.cli.options.book import BookOptions, BookTarget
from voxcli.cli.text_source import FromDocument, Whole
from voxcli.documents import Chapter, Document
from voxcli.errors import RequestError, VoxError
from voxcli.sinks import Target, ToFile, open_sink
from voxcli.synthesis.request import Abilities, Engine, abilities_of
from voxcli.text.language_names import three_letter_code
from voxcli.text.marks import Pause

_SAMPLE_SENTENCES = 20
"""Of the text, that tell its language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manuscript:
    """What a book is made of."""

    job: SpeakJob
    """Of speaking all of it, with its provenance."""
    about: Document
    """Title, author, language and cover."""
    plan: Callable[[Abilities], list[BookChapter]]
    """Returns the chapters for an engine."""


def manuscript_of(
    words: Sequence[str],
    files: Sequence[str],
    options: BookOptions,
    job_of: Callable[[Whole], SpeakJob],
    console: Console,
) -> Manuscript:
    """Return what is to be a book with chapters: a document, several one after another, or a text.

    Args:
        words: of the text, if it is not in files.
        job_of: returns the job of speaking a text.
    """
    if words and files:
        raise typer.BadParameter("Give the text or a file, not both: -f reads a text.", param_hint="-f")
    document = _read(options, words, files or [STDIN], console)
    job = job_of(FromDocument(document.spoken(options.pauses)))

    def plan(abilities: Abilities) -> list[BookChapter]:
        planned = []
        for number, chapter in enumerate(document.chapters, start=1):
            one = replace(job, text=FromDocument(options.pauses.spoken(chapter)))
            parts = list(one.parts(lambda: None, abilities, lambda: 0.0))
            if options.chapter_pause and number < len(document.chapters):
                parts.append(Pause(options.chapter_pause))
            planned.append(BookChapter(chapter.title or str(number), tuple(parts)))
        return planned

    return Manuscript(job=job, about=document, plan=plan)


def undivided(job: SpeakJob, title: str) -> Manuscript:
    """Return what is to be one file without chapters, and is read as `say` reads it."""

    def plan(abilities: Abilities) -> list[BookChapter]:
        return [BookChapter(title, tuple(job.parts(lambda: None, abilities, lambda: 0.0)))]

    return Manuscript(job=job, about=Document(chapters=(), title=title), plan=plan)


def _read(options: BookOptions, words: Sequence[str], files: Sequence[str], console: Console) -> Document:
    if words:
        return Document(chapters=(Chapter(None, " ".join(words)),))
    documents = [(file, open_chosen(options, file, console)) for file in files]
    if len(documents) == 1:
        return documents[0][1]
    chapters = [
        replace(chapter, title=chapter.title or (Path(file).stem if len(document.chapters) == 1 else None))
        for file, document in documents
        for chapter in document.chapters
    ]
    return replace(documents[0][1], chapters=tuple(chapters))


def make_book(
    manuscript: Manuscript, options: BookOptions, target: BookTarget, report: BookReport, check: Callable[[], None]
) -> None:
    """Make what is missing of a book, and write it.

    Args:
        check: raises if the work has to stop.

    Raises:
        VoxError: something failed. What was made is kept in the work folder.
    """
    folder = WorkFolder.beside(target.path)
    _check_place(target, folder, partial=options.partial)
    model = engine_name(manuscript.job.engine)
    with folder:
        targets = _targets_beside(manuscript.job.targets, folder)
        folder.keep(book=manuscript.about.title)
        engine = open_batch_engine(manuscript.job.engine, options.jobs, report.loading(model), check)
        with closing(engine):
            book = _begin(manuscript, engine, folder, model)
            report.started(book, str(folder.path))
            if not options.partial:
                book.make(report.sentence, check, jobs=options.jobs or engine.slots)
                folder.keep(draws_voices=engine.draws_voices)
            tags = _tags(manuscript, target, book, engine, model)
        folder.keep(written=True)
        with open_sink(targets) if targets else nullcontext() as beside:
            written = write_book(
                book,
                _writer(target, tags, len(book.chapters)),
                lufs=options.loudness,
                beside=beside,
                only_made=options.partial,
                on_progress=report.writing,
                check=check,
            )
        if not options.partial:
            folder.remove()
    report.done(written, model, partial=options.partial)


@contextmanager
def open_book_report(
    console: Console, events: TextIO | None, shutdown: GracefulShutdown | None
) -> Iterator[BookReport]:
    """Report as text, or as events on a stream if there is one. Errors then become events too."""
    report: BookReport = EventsBookReport(events) if events else TextBookReport(console, shutdown)
    try:
        yield report
    except (VoxError, KeyboardInterrupt, Terminated) as error:
        report.failed(error)
        if events:
            raise typer.Exit(exit_code(error)) from error
        raise
    finally:
        report.close()


def _check_place(target: BookTarget, folder: WorkFolder, *, partial: bool) -> None:
    """Raise the errors that can be found before any work is done."""
    path = target.path
    if partial and not folder.exists:
        raise RequestError(f"There is nothing of {path} yet: no {folder.path}.", on_command_line="Leave --partial out.")
    if not target.folder and path.is_dir():
        raise RequestError(f"Cannot write {path}: it is a directory.", on_command_line=f"For a folder: -o {path}/")
    if target.folder and path.exists() and not path.is_dir():
        raise RequestError(f"Cannot write into {path}: it is not a directory.")
    if not path.parent.is_dir():
        raise RequestError(f"Cannot write {path}: there is no directory {path.parent}.")
    there = path.is_dir() and any(path.glob(f"*.{target.format}")) if target.folder else path.exists()
    if there and not target.overwrite and not folder.exists:
        what = f"There are .{target.format} files in {path}." if target.folder else f"{path} already exists."
        raise RequestError(what, on_command_line="Use --force to overwrite, or name another place.")


def _targets_beside(targets: list[Target], folder: WorkFolder) -> list[Target]:
    """Return the targets besides the book. Those that an earlier run has begun are overwritten."""
    ours = bool(folder.kept.get("written"))
    files = [replace(target, overwrite=target.overwrite or ours) for target in targets if isinstance(target, ToFile)]
    for file in files:
        if file.path.exists() and not file.overwrite:
            raise RequestError(
                f"{file.path} already exists.", on_command_line="Use --force to overwrite it, or name another file."
            )
    return [*files, *(target for target in targets if not isinstance(target, ToFile))]


def _begin(manuscript: Manuscript, engine: Engine, folder: WorkFolder, model: str) -> Book:
    """Return the book as it is to be spoken, with the seed of earlier runs and with voices that stay the same."""
    job = manuscript.job
    if job.delivery.sampling.seed is None and folder.kept.get("seed") is not None:
        sampling = replace(job.delivery.sampling, seed=folder.kept["seed"])
        job = replace(job, delivery=replace(job.delivery, sampling=sampling))
    delivery, speakers = prepared(job, engine, model)
    if delivery.sampling.seed is not None:
        folder.keep(seed=delivery.sampling.seed)
    chapters = manuscript.plan(abilities_of(engine))
    sentences = [sentence for chapter in chapters for sentence in chapter.sentences]
    if not sentences:
        raise RequestError("There is nothing to say: the text has no words.")
    sample = " ".join(sentences[len(sentences) // 2 :][:_SAMPLE_SENTENCES])
    delivery = steady_delivery(engine, delivery, folder, "", sample)
    speakers = {name: steady_delivery(engine, one, folder, name, sample) for name, one in speakers.items()}
    return Book(chapters, BookSounds(engine, folder, model), delivery, speakers)


def _writer(target: BookTarget, tags: BookTags, chapters: int) -> BookWriter:
    if target.format is None:
        return BookFile(target.path, tags)
    if target.folder:
        return BookFolder(target.path, target.format, tags, chapters)
    return SoundFile(target.path, target.format, tags)


def _tags(manuscript: Manuscript, target: BookTarget, book: Book, engine: Engine, model: str) -> BookTags:
    job, about = manuscript.job, manuscript.about
    assert job.provenance
    job.provenance.begin(engine, model, book.delivery, book.speakers, job.reading)
    made = job.provenance()  # now, while the engine can be asked
    return BookTags(
        title=about.title or target.path.stem,
        author=about.author,
        narrator=target.narrator or job.delivery.voice.name or made.model.name,
        language=three_letter_code(about.language) if about.language else None,
        cover=about.cover.data if about.cover else None,
        provenance=lambda: made,
        only_mark=target.only_mark,
    )
