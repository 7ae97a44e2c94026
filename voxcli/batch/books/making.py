"""Making of a book: what is missing of its sentences, on all slots of an engine, and all of them joined."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from voxcli.audio.chunk import AudioChunk
from voxcli.audio.pcm import concatenated
from voxcli.batch.books.sounds import BookSounds
from voxcli.batch.books.voice import DriftMeter
from voxcli.synthesis.pipeline import NO_SPEAKERS, Delivery, Speakers, delivery_of, synthesize
from voxcli.synthesis.request import Piece, SynthesisRequest
from voxcli.text.marks import Part, Pause

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class BookChapter:
    """A chapter as it is spoken."""

    title: str
    parts: tuple[Part, ...]

    @property
    def sentences(self) -> Iterator[str]:
        return (part for part in self.parts if not isinstance(part, Pause))


@dataclass(frozen=True, slots=True)
class ChapterStart:
    """A chapter begins here in the sound."""

    index: int
    """From 0."""
    title: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BookPosition:
    """How far the making has come."""

    chapter: int
    """From 0, of the sentence that was made last."""
    done: int
    """Characters."""
    total: int
    made: int
    """Characters that were made now, and not before."""
    sentences: int
    """That are there."""


@dataclass(slots=True)
class Book:
    """A book that is spoken."""

    chapters: Sequence[BookChapter]
    sounds: BookSounds
    delivery: Delivery
    """With a voice that stays the same."""
    speakers: Speakers = field(default_factory=lambda: NO_SPEAKERS)

    @property
    def sentence_count(self) -> int:
        return sum(1 for chapter in self.chapters for _ in chapter.sentences)

    def make(self, on_sentence: Callable[[BookPosition], None], check: Callable[[], None], *, jobs: int = 1) -> None:
        """Make the sentences that are missing.

        Args:
            on_sentence: called after each sentence that is there, on this thread.
            check: raises if the work has to stop. The sentences that are being made are then finished and kept.
            jobs: sentences made at once.

        Raises:
            VoxError: the engine, or the disk, failed. Everything before is kept.
        """
        total = sum(len(sentence) for chapter in self.chapters for sentence in chapter.sentences)
        done = made = sentences = 0
        work, begun = self._work(), set[str]()
        with ThreadPoolExecutor(jobs, thread_name_prefix="book") as pool:
            running: dict[Future[None], tuple[int, str]] = {}
            try:
                while True:
                    for index, sentence in islice(work, max(0, 2 * jobs - len(running))):
                        request = self.request(sentence)
                        key = self.sounds.key(request)
                        if key in begun or self.sounds.is_made(request):
                            done, sentences = done + len(sentence), sentences + 1
                            on_sentence(BookPosition(index, done, total, made, sentences))
                        else:
                            running[pool.submit(self.sounds.make, request)] = (index, sentence)
                        begun.add(key)
                        check()
                    if not running and sentences == self.sentence_count:
                        return
                    finished, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
                    for future in finished:
                        index, sentence = running.pop(future)
                        future.result()
                        done, made, sentences = done + len(sentence), made + len(sentence), sentences + 1
                        on_sentence(BookPosition(index, done, total, made, sentences))
                    check()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _work(self) -> Iterator[tuple[int, str]]:
        for index, chapter in enumerate(self.chapters):
            for sentence in chapter.sentences:
                yield index, sentence

    def request(self, sentence: str) -> SynthesisRequest:
        """Return what the pipeline asks the engine for."""
        return delivery_of(sentence, self.delivery, self.speakers).request(sentence)

    def stream(self, meter: DriftMeter | None = None, *, only_made: bool = False) -> Generator[Piece | ChapterStart]:
        """Yield the whole sound, with marks, and where each chapter begins.

        Args:
            meter: is given the sentences that it wants.
            only_made: end before the first sentence that is missing.
        """
        chapter_of = {id(sentence): index for index, sentence in self._work()}
        begun, number = -1, 0
        sentence: list[AudioChunk] = []
        pieces = synthesize(self.sounds, self._parts(only_made=only_made), self.delivery, speakers=self.speakers)
        with closing(pieces):
            for piece in pieces:
                if isinstance(piece, AudioChunk):
                    if meter and meter.wants(number):
                        sentence.append(piece)
                elif piece.end is None:
                    if (index := chapter_of[id(piece.text)]) > begun:
                        begun = index
                        yield ChapterStart(index, self.chapters[index].title, piece.start if number else 0.0)
                    sentence = []
                else:
                    if meter and sentence:
                        meter.add(number, concatenated(sentence))
                    sentence, number = [], number + 1
                yield piece

    def _parts(self, *, only_made: bool) -> Iterator[Part]:
        for chapter in self.chapters:
            for part in chapter.parts:
                if only_made and not isinstance(part, Pause) and not self.sounds.is_made(self.request(part)):
                    return
                yield part
