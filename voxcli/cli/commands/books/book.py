"""Books, for `voxcli say`: a document spoken into one file with chapters, or into a folder of files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import typer

from voxcli.batch.books.folder import BookFolder
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
from voxcli.cli.text_source import FromDocument
from voxcli.documents import Chapter, Document
from voxcli.errors import RequestError, VoxError
from voxcli.sinks import open_sink
from voxcli.synthesis.request import Abilities, Engine, abilities_of
from voxcli.text.language_names import three_letter_code
from voxcli.text.marks import Pause


def say_book(
    words: list[str],
    files: list[str],
    options: BookOptions,
    target: BookTarget,
    job_of: Callable[[FromDocument], SpeakJob],
    console: Console,
    events: TextIO | None,
    shutdown: GracefulShutdown,
) -> None:
    """Make a book, or what is missing of one, and report.

    Args:
        words: of the text, if it is not in files.
        job_of: returns the job of speaking a text.
        events: for programs; None reports to people.
    """
    if words and files:
        raise typer.BadParameter("Give the text or a file, not both: -f reads a text.", param_hint="-f")
    with open_book_report(console, events, shutdown) as report:
        document = _read(options, words, files or [STDIN], console)
        job = job_of(FromDocument(document.spoken(options.pauses)))
        make_book(job, document, options, target, report, shutdown.raise_if_interrupted)


def _read(options: BookOptions, words: Sequence[str], files: Sequence[str], console: Console) -> Document:
    """Return what a book is made of: a document, several one after another, or a text."""
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
    job: SpeakJob,
    document: Document,
    options: BookOptions,
    target: BookTarget,
    report: BookReport,
    check: Callable[[], None],
) -> None:
    """Make what is missing of a book, and write it.

    Args:
        job: with the whole document as its text, and with its provenance.
        check: raises if the work has to stop.

    Raises:
        VoxError: something failed. What was made is kept in the work folder.
    """
    folder = WorkFolder.beside(target.path)
    _check_place(target, folder, partial=options.partial)
    model = engine_name(job.engine)
    with folder:
        folder.keep(book=document.title)
        if job.delivery.sampling.seed is None and folder.kept.get("seed") is not None:
            sampling = replace(job.delivery.sampling, seed=folder.kept["seed"])
            job = replace(job, delivery=replace(job.delivery, sampling=sampling))
        engine = open_batch_engine(job.engine, options.jobs, report.loading(model), check)
        with closing(engine):
            book = _begin(job, document, options, engine, folder, model)
            report.started(book, str(folder.path))
            if not options.partial:
                book.make(report.sentence, check, jobs=options.jobs or engine.slots)
                folder.keep(draws_voices=engine.draws_voices)
            tags = _tags(job, document, target, book, engine, model)
        writer = _writer(target, tags, len(book.chapters))
        with open_sink(job.targets) if job.targets else nullcontext() as beside:
            folder.keep(writing=not options.partial)
            written = write_book(
                book,
                writer,
                lufs=options.loudness,
                beside=beside,
                only_made=options.partial,
                on_progress=report.writing,
                check=check,
            )
        if options.partial:
            folder.keep(partial=True)
        else:
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
    if target.format is None and path.is_dir():
        raise RequestError(f"Cannot write {path}: it is a directory.", on_command_line=f"For a folder: -o {path}/")
    if target.format is not None and path.exists() and not path.is_dir():
        raise RequestError(f"Cannot write into {path}: it is not a directory.")
    if not path.parent.is_dir():
        raise RequestError(f"Cannot write {path}: there is no directory {path.parent}.")
    there = path.exists() if target.format is None else path.is_dir() and any(path.glob(f"*.{target.format}"))
    if there and not target.overwrite and not folder.exists:
        what = f"{path} already exists." if target.format is None else f"There are .{target.format} files in {path}."
        raise RequestError(what, on_command_line="Use --force to overwrite, or name another place.")


def _begin(
    job: SpeakJob, document: Document, options: BookOptions, engine: Engine, folder: WorkFolder, model: str
) -> Book:
    """Return the book as it is to be spoken, with voices that stay the same."""
    delivery, speakers = prepared(job, engine, model)
    if delivery.sampling.seed is not None:
        folder.keep(seed=delivery.sampling.seed)
    sample = document.chapters[len(document.chapters) // 2].text
    delivery = steady_delivery(engine, delivery, folder, "", sample)
    speakers = {name: steady_delivery(engine, one, folder, name, sample) for name, one in speakers.items()}
    chapters = _plan(job, document, options, abilities_of(engine))
    if not any(True for chapter in chapters for _ in chapter.sentences):
        raise RequestError("There is nothing to say: the document has no words.")
    return Book(chapters, BookSounds(engine, folder, model), delivery, speakers)


def _plan(job: SpeakJob, document: Document, options: BookOptions, abilities: Abilities) -> list[BookChapter]:
    planned = []
    for number, chapter in enumerate(document.chapters, start=1):
        text = replace(job, text=FromDocument(options.pauses.spoken(chapter)))
        parts = list(text.parts(lambda: None, abilities, lambda: 0.0))
        if options.chapter_pause and number < len(document.chapters):
            parts.append(Pause(options.chapter_pause))
        planned.append(BookChapter(chapter.title or str(number), tuple(parts)))
    return planned


def _writer(target: BookTarget, tags: BookTags, chapters: int) -> BookWriter:
    if target.format is None:
        return BookFile(target.path, tags)
    return BookFolder(target.path, target.format, tags, chapters)


def _tags(job: SpeakJob, document: Document, target: BookTarget, book: Book, engine: Engine, model: str) -> BookTags:
    assert job.provenance
    job.provenance.begin(engine, model, book.delivery, book.speakers, job.reading)
    made = job.provenance()  # now, while the engine can be asked
    return BookTags(
        title=document.title or target.path.stem,
        author=document.author,
        narrator=target.narrator or job.delivery.voice.name or made.model.name,
        language=three_letter_code(document.language) if document.language else None,
        cover=document.cover.data if document.cover else None,
        provenance=lambda: made,
        only_mark=target.only_mark,
    )
