"""Work on a list: each row through the pipeline into files of its own, on several threads, with a manifest."""

import secrets
import shutil
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from itertools import chain
from pathlib import Path, PurePosixPath
from queue import Empty, Queue

from voxcli.audio.chunk import AudioChunk
from voxcli.batch.manifest import Manifest, ManifestEntry, State
from voxcli.batch.rows import BatchRow, NamedSink, RowOutput, RowResult, Way, link_or_copy, naming, sync
from voxcli.errors import DeviceError, RequestError, VoxError
from voxcli.sinks import open_sink
from voxcli.synthesis.identity import ModelIdentity
from voxcli.synthesis.pipeline import synthesize
from voxcli.synthesis.request import Engine, Piece, abilities_of
from voxcli.synthesis.speech_cache import MOST_BYTES, OneAtATime, SpeechCache
from voxcli.text.marks import Part, Pause

_POLL_SECONDS = 0.1
"""Longest single wait: on Windows, a wait on a queue cannot be interrupted by Ctrl-C."""
_RESULTS_AHEAD = 1000
WORK_FOLDER = ".voxcli-batch"
"""Below the folder of the results: what is under way, and sentences of rows that are not complete."""
REPLACES = "replaces"
"""In the manifest: the hash of the version of a file before."""
DRAFTS, _MOVED, _SENTENCES = "drafts", "moved", "sentences"
_MOST_BYTES_OF_SENTENCES = 2**29


class _Stopped(Exception):
    """The work is to stop, and this row is not complete."""


class BatchWork:
    """Makes the rows of a list, each in an order of its own, and knows which are there already."""

    def __init__(
        self,
        engine: Engine,
        manifest: Manifest,
        model: ModelIdentity,
        *,
        speech: Path | None = None,
        repeats: bool = True,
    ) -> None:
        """
        Args:
            manifest: lies in the folder of the results.
            model: of the engine.
            speech: folder of a cache for all sentences; None keeps those of rows that have several, until all rows
                are complete, so that a row which was stopped goes on at its next sentence.
            repeats: whether a row that equals another one is a copy of its files.
        """
        self.stopping = False
        self.made_seconds = 0.0
        """Of sound so far, with that of rows under way."""
        self._engine, self._manifest, self._repeats = engine, manifest, repeats
        self._folder = manifest.path.parent
        self._work = self._folder / WORK_FOLDER
        self._keeps_all = speech is not None
        self._cache = SpeechCache(
            speech or self._work / _SENTENCES,
            model,
            most_bytes=MOST_BYTES if speech else _MOST_BYTES_OF_SENTENCES,
            check=self._raise_if_stopping,
        )
        self._making = OneAtATime()

    def stop(self) -> None:
        """Stop each row before its next sentence; a row that has made no sound yet stops at once.

        May be called by the handler of a signal, so it takes no lock.
        """
        self.stopping = True

    def run(self, rows: Iterator[BatchRow], jobs: int) -> Generator[RowResult | None]:
        """Make rows on several threads, and yield the results as they come, and None while none comes.

        Rows are taken from the iterator when a thread is free, one at a time. Closing the generator stops the work at
        the ends of sentences, as `stop` does.
        """
        results: Queue[RowResult | BaseException | None] = Queue(_RESULTS_AHEAD)
        taking = threading.Lock()

        def work() -> None:
            try:
                while not self.stopping:
                    with taking:
                        row = next(rows, None)
                    if row is None:
                        break
                    with suppress(_Stopped):
                        results.put(self.make(row))
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that reads the results
                results.put(error)
            finally:
                results.put(None)

        threads = [threading.Thread(target=work, name=f"row {number}", daemon=True) for number in range(jobs)]
        for thread in threads:
            thread.start()
        running = jobs
        try:
            while running:
                try:
                    result = results.get(timeout=_POLL_SECONDS)
                except Empty:
                    yield None
                    continue
                if isinstance(result, BaseException):
                    raise result
                running -= result is None
                if result:
                    yield result
        finally:
            if running:
                self.stop()
            while running:
                with suppress(Empty):
                    running -= results.get(timeout=_POLL_SECONDS) is None

    def key(self, row: BatchRow, output: RowOutput) -> str:
        """Return what a file is made from."""
        return f"{row.key} {output.kind}"

    def is_there(self, row: BatchRow) -> bool:
        """Whether all files of a row are there, made from the same, and intact."""
        return all(
            (entry := self._manifest.find(output.file)) is not None
            and entry.key == self.key(row, output)
            and entry.is_intact(self._folder)
            for output in row.outputs
        )

    def make(self, row: BatchRow) -> RowResult:
        """Make a row, unless its files are there or can be copied.

        Raises:
            _Stopped: before it was complete.
        """
        try:
            with self._alone(row.key):
                if self.is_there(row) and (entry := self._manifest.find(row.file)):
                    return RowResult(row=row, way=Way.KEPT, seconds=entry.seconds)
                drafts = self._new_drafts(row)
                try:
                    seconds = self._copied(row, drafts)
                    way = Way.MADE if seconds is None else Way.COPIED
                    seconds = self._spoken(row, drafts) if seconds is None else seconds
                    self._finish(row, drafts, seconds)
                finally:
                    for draft in drafts:
                        with suppress(OSError):
                            draft.unlink(missing_ok=True)
            return RowResult(row=row, way=way, seconds=seconds)
        except VoxError as error:
            self._note_failure(row, error)
            return RowResult(row=row, way=Way.FAILED, error=error)

    def close(self) -> None:
        """Remove what is too much in the cache."""
        self._cache.close()

    def save_moved(self, row: BatchRow) -> None:
        """Put aside the files from which a row can be copied, as they may get another content before it is its turn."""
        for output in row.outputs:
            key = self.key(row, output)
            entry, there = self._manifest.find_key(key), self._manifest.find(output.file)
            if entry and (there is None or there.key != key) and entry.is_intact(self._folder):
                kept = self._moved(key, output)
                with naming(kept):
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    if not kept.exists():
                        link_or_copy(self._folder / entry.file, kept)

    def _moved(self, key: str, output: RowOutput) -> Path:
        name = key.replace(" ", "-")
        return self._work / _MOVED / f"{name}{PurePosixPath(output.file).suffix}"

    def _alone(self, key: str) -> AbstractContextManager[None]:
        """Wait until no other thread makes an equal row, of which this one becomes a copy."""
        return self._making.alone(key, self._raise_if_stopping) if self._repeats else nullcontext()

    def _new_drafts(self, row: BatchRow) -> list[Path]:
        folder, name = self._work / DRAFTS, secrets.token_hex(8)
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return [folder / f"{name}{PurePosixPath(output.file).suffix}" for output in row.outputs]

    def _copied(self, row: BatchRow, drafts: Sequence[Path]) -> float | None:
        """Copy the files of a row from those that were made from the same; None if they are not all there."""
        seconds = 0.0
        for output, draft in zip(row.outputs, drafts, strict=True):
            key = self.key(row, output)
            entry = self._manifest.find_key(key) if self._repeats else None
            if entry is None:
                return None
            moved = self._moved(key, output)
            source = moved if moved.exists() else self._folder / entry.file
            with naming(draft):
                try:
                    shutil.copyfile(source, draft)
                except FileNotFoundError:
                    return None
                if ManifestEntry.of(draft, file=output.file, key=key, seconds=0).hash != entry.hash:
                    return None  # damaged
            seconds = entry.seconds
        return seconds

    def _spoken(self, row: BatchRow, drafts: Sequence[Path]) -> float:
        """Speak a row into its drafts, and return the seconds of sound."""
        parts = self._until_stopped(row.parts(abilities_of(self._engine)))
        ahead = [part for _, part in zip(range(3), parts, strict=False)]
        several = sum(not isinstance(part, Pause) for part in ahead) > 1
        cache = self._cache if several or self._keeps_all else None
        targets = [output.to_target(draft) for output, draft in zip(row.outputs, drafts, strict=True)]
        through = cache.stream if cache else None
        pieces = synthesize(self._engine, chain(ahead, parts), row.delivery, speakers=row.speakers, through=through)
        seconds = 0.0
        with closing(pieces), NamedSink(open_sink(targets), self._folder / row.file) as sink:
            for piece in pieces:
                seconds += self._write(piece, sink, begun=seconds > 0)
        if not seconds:
            raise RequestError("There is nothing to say: the text has no words.")
        return seconds

    def _until_stopped(self, parts: Iterable[Part]) -> Iterator[Part]:
        """Yield the parts of a row, until the work is to stop before the next one."""
        for part in parts:
            self._raise_if_stopping()
            yield part

    def _write(self, piece: Piece, sink: NamedSink, *, begun: bool) -> float:
        """Write a piece, and return its seconds."""
        if not isinstance(piece, AudioChunk):
            sink.mark(piece)
            return 0.0
        if not begun:
            self._raise_if_stopping()
        sink.write(piece)
        self.made_seconds += piece.seconds
        return piece.seconds

    def _finish(self, row: BatchRow, drafts: Sequence[Path], seconds: float) -> None:
        """Enter the files into the manifest, and then give them their names.

        In this order, a file with a name is always one that the manifest tells of.
        """
        with naming(self._folder / row.file):
            for output, draft in zip(row.outputs, drafts, strict=True):
                more = {"row": row.number, **({"id": row.id} if row.id else {}), **self._replaced(output.file)}
                sync(draft)
                entry = ManifestEntry.of(draft, file=output.file, key=self.key(row, output), seconds=seconds, more=more)
                self._manifest.append(entry)
                path = self._folder / output.file
                path.parent.mkdir(parents=True, exist_ok=True)
                draft.replace(path)

    def _note_failure(self, row: BatchRow, error: VoxError) -> None:
        entry = ManifestEntry(
            file=row.file,
            key=self.key(row, row.outputs[0]),
            state=State.FAILED,
            more={"row": row.number, "error": str(error), **self._replaced(row.file)},
        )
        with suppress(DeviceError):
            self._manifest.append(entry)

    def _replaced(self, file: str) -> dict[str, str]:
        """Tell of the file that is there until its new version takes its name, so that it is known as one of ours."""
        before = self._manifest.find(file)
        digest = before and (before.hash or before.more.get(REPLACES))
        return {REPLACES: str(digest)} if digest else {}

    def _raise_if_stopping(self) -> None:
        if self.stopping:
            raise _Stopped
