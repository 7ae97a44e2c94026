"""Run of `voxcli batch`: a list is checked, its rows are made, and what failed is tried again."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.audio.format import SubtitleFormat
from voxcli.batch.lines import Mistake
from voxcli.batch.manifest import Manifest, hash_of
from voxcli.batch.rows import BatchRow, RowResult, Unwritable, Way
from voxcli.batch.work import DRAFTS, REPLACES, WORK_FOLDER, BatchWork
from voxcli.cli.commands.batch.checking import Checked, ListSource, NamesTaken, check_list
from voxcli.cli.commands.batch.preparing import RowPreparer, check_voices, open_batch_engine
from voxcli.cli.commands.batch.row_reader import RowReader
from voxcli.cli.commands.batch.view import BatchReport, Progress
from voxcli.cli.commands.chosen import engine_name
from voxcli.cli.exits import ExitCode, GracefulShutdown, exit_code
from voxcli.cli.options.metadata import MetadataOptions
from voxcli.cli.settings.files import find_user_places
from voxcli.errors import DeviceError, NotFound, RequestError, VoxError
from voxcli.files import is_staged
from voxcli.synthesis.identity import identity_of
from voxcli.synthesis.request import Engine

if TYPE_CHECKING:
    from voxcli.text.lexicon import Lexicon

MANIFEST = "manifest.jsonl"
SPEED = "speed"
"""In the first line of the manifest: seconds of sound in a second, for the next estimate."""
_LOCK = "lock"
_POLL_SECONDS = 0.1
_FIRST_WAIT_SECONDS = 1.0
_MOST_IN_A_ROW = 10
"""Failures one after another, none of them the fault of its row, after which the rest is not tried."""
_FAULTS_OF_ROWS = (RequestError, NotFound)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """Everything that `voxcli batch` was asked to do."""

    source: ListSource
    list_name: str
    """For messages."""
    reader: RowReader
    folder: Path
    header: Mapping[str, Any]
    """For the manifest: the list and the options, so that the work can be resumed without naming them."""
    metadata: MetadataOptions = MetadataOptions()  # noqa: RUF009 - immutable
    lexicon: "Lexicon | None" = None
    also: tuple[SubtitleFormat, ...] = ()
    """Further files of each row."""
    overwrite: bool = False
    resume: bool = False
    prune: bool = False
    jobs: int | None = None
    keep_going: bool = True
    retry: int = 0
    cache: bool | None = None
    """Whether speech is kept between lists; None keeps it within this one."""


def check_batch(job: BatchJob, manifest: Manifest, report: BatchReport) -> Checked:
    """Check a whole list, and report what is wrong with it."""
    checked = Checked()
    suffixes = tuple(f".{format}" for format in job.also)
    names = NamesTaken(job.folder, manifest, overwrite=job.overwrite)
    for rows in check_list(job.source, job.reader, names, suffixes, checked):
        if rows % 100 == 0:
            report.checking(rows)
    report.checked(checked, job.list_name, list(job.reader.columns.unknown))
    return checked


def run_batch(job: BatchJob, manifest: Manifest, checked: Checked, report: BatchReport, check: Any) -> ExitCode:
    """Make the rows of a list that has been checked.

    check: raises if the work has to stop, while a model is loaded.

    Raises:
        VoxError: nothing could be made, or nothing more.
        KeyboardInterrupt, Terminated: the user stopped the work.
    """
    with ExitStack() as held:
        held.enter_context(_locked(job.folder))
        model = engine_name(job.reader.engine)
        engine = open_batch_engine(job.reader.engine, job.jobs, report.loading(model), check)
        held.enter_context(closing(engine))
        if mistake := check_voices(engine, model, job.reader.voices):
            raise NotFound(f"{job.list_name}, {mistake}")
        return _BatchRun(job, manifest, checked, engine, model, report).run()


class _BatchRun:
    """The state of one run."""

    def __init__(
        self, job: BatchJob, manifest: Manifest, checked: Checked, engine: Engine, model: str, report: BatchReport
    ) -> None:
        self._job, self._manifest, self._engine, self._report = job, manifest, engine, report
        identity = identity_of(engine, model)
        self._preparer = RowPreparer(
            engine, job.reader.engine, identity, metadata=job.metadata, also=job.also, lexicon=job.lexicon
        )
        self._progress = Progress(checked)
        self._files: list[str] = []
        """Of all rows, in the order of the list."""
        self._failure: VoxError | None = None
        self._in_a_row = 0
        speech = find_user_places().speech if job.cache else None
        self._work = BatchWork(engine, manifest, identity, speech=speech, repeats=job.cache is not False)

    def run(self) -> ExitCode:
        job, work = self._job, self._work
        header = {**job.header}
        if job.resume and self._manifest.header.get("digest") != header.get("digest"):
            for row in self._rows():
                work.save_moved(row)
        if not job.resume:
            self._manifest.rewrite(header, [])
        elif {**self._manifest.header, SPEED: None} != {**header, SPEED: None}:
            self._manifest.begin(header)
        with GracefulShutdown(work.stop) as shutdown:
            self._report.started(shutdown)
            self._make_all()
            for attempt in range(job.retry):
                if not self._progress.failed_rows or not self._wait(_FIRST_WAIT_SECONDS * 2**attempt):
                    break
                self._make_all(only=frozenset(self._progress.failed_rows))
        work.close()
        complete = self._progress.counts[Way.FAILED] == 0 and self._progress.done == self._progress.rows
        notes = self._end(complete=complete)
        self._report.done(self._progress, str(job.folder), notes)
        if shutdown.interrupted:
            raise shutdown.interrupted
        return self._exit_code()

    def _make_all(self, only: frozenset[int] | None = None) -> None:
        progress, work = self._progress, self._work
        jobs = self._job.jobs or self._engine.slots
        with closing(work.run(self._rows(only), jobs)) as results:
            for result in results:
                progress.made_seconds = work.made_seconds
                if result:
                    progress.note(result)
                    self._report.row(result)
                    self._note_failure(result)
                self._report.progress(progress)

    def _note_failure(self, result: RowResult) -> None:
        """Stop where the other rows would fail too, or where the user wants it."""
        error = result.error
        if error is None or isinstance(error, _FAULTS_OF_ROWS):
            self._in_a_row = 0
        else:
            self._in_a_row += 1
        if error is None:
            return
        hopeless = isinstance(error, Unwritable) or self._in_a_row >= max(_MOST_IN_A_ROW, 2 * self._engine.slots)
        if self._failure is None and (hopeless or not self._job.keep_going):
            self._failure = error
            self._work.stop()

    def _exit_code(self) -> ExitCode:
        """Return how it ended.

        Raises:
            VoxError: nothing more can be made.
        """
        if isinstance(self._failure, Unwritable):
            raise self._failure
        if self._failure is not None:
            return exit_code(self._failure)
        return ExitCode.PARTLY if self._progress.failed_rows else ExitCode.OK

    def _rows(self, only: frozenset[int] | None = None) -> Iterator[BatchRow]:
        """Yield the rows, or only those of some numbers."""
        files: list[str] = []
        for listed in self._job.source.rows():
            if isinstance(listed, Mistake) or (only is not None and listed.number not in only):
                continue
            row = self._job.reader.read(listed)
            if isinstance(row, list):
                raise RequestError(f"{self._job.list_name} has changed meanwhile: {row[0]}")
            ready = self._preparer.ready(row)
            files += [output.file for output in ready.outputs]
            yield ready
        if only is None:
            self._files = files

    def _wait(self, seconds: float) -> bool:
        """Wait before failed rows are tried again; return whether they are to be."""
        until = time.monotonic() + seconds
        while not (stop := self._work.stopping) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        return not stop

    def _end(self, *, complete: bool) -> Sequence[str]:
        """Leave the manifest in the order of the list, and nothing of the work if all is done. Return notes."""
        notes = []
        job, manifest = self._job, self._manifest
        if complete:
            listed = frozenset(self._files)
            others = [entry.file for entry in manifest.entries() if entry.file not in listed]
            if job.prune:
                self._remove(others)
            elif others:
                notes.append(
                    f"{len(others)} files of earlier rows stay, such as {others[0]}. To delete them: --resume --prune"
                )
            kept = [] if job.prune else others
            entries = (entry for file in [*self._files, *kept] if (entry := manifest.find(file)))
            speed = {SPEED: round(self._progress.speed, 3)} if self._progress.speed else {}
            with suppress(DeviceError):  # it is complete, though in another order
                manifest.rewrite({**manifest.header, **speed}, entries)
            shutil.rmtree(job.folder / WORK_FOLDER, ignore_errors=True)
        elif self._progress.done < self._progress.rows or self._progress.failed_rows:
            notes.append(f"To go on: voxcli batch --resume -d {job.folder}")
        return notes

    def _remove(self, files: Sequence[str]) -> None:
        """Delete files that were made here and have not been changed since."""
        for file in files:
            entry, path = self._manifest.find(file), self._job.folder / file
            with suppress(OSError):
                if entry and (entry.is_intact(self._job.folder) or hash_of(path) == entry.more.get(REPLACES)):
                    path.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from working on the same folder, and remove what a killed one has left.

    Raises:
        DeviceError: another one does, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    work, is_new = folder / WORK_FOLDER, not folder.exists()
    lock = FileLock(work / _LOCK, timeout=0)
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise DeviceError(
            f"Another process is making files in {folder}. Wait until it is done, or choose another folder."
        ) from None
    except (OSError, NotImplementedError) as error:  # NotImplementedError: the file system has no locks
        raise DeviceError(f"Cannot write into {folder}: {error}.") from error
    try:
        _remove_drafts(folder)
        yield
        if {path.name for path in work.glob("*")} <= {_LOCK}:  # otherwise something is kept for the next run
            shutil.rmtree(work, ignore_errors=True)
    finally:
        lock.release()
        if is_new:
            with suppress(OSError):  # something was made
                (work / _LOCK).unlink(missing_ok=True)
                work.rmdir()
                folder.rmdir()


def _remove_drafts(folder: Path) -> None:
    """Remove what a process that was killed had begun to write."""
    shutil.rmtree(folder / WORK_FOLDER / DRAFTS, ignore_errors=True)
    for path in folder.glob(".*"):
        if is_staged(path):
            with suppress(OSError):
                path.unlink()
