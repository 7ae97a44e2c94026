"""Books: whatever stops the making, and whatever is edited meanwhile, the book is the same as one made in one go."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutagen.id3 import ID3
from mutagen.mp4 import MP4

from tests.documents.made import PNG
from tests.server.tone import ToneEngine
from voxcli.audio.chunk import AudioChunk
from voxcli.audio.decode import decode
from voxcli.audio.format import AudioFormat
from voxcli.audio.loudness import loudness
from voxcli.batch.books.folder import BookFolder, chapter_name
from voxcli.batch.books.m4b import BookFile
from voxcli.batch.books.making import Book, BookChapter, BookPosition
from voxcli.batch.books.sounds import BookSounds, WorkFolder
from voxcli.batch.books.tags import BookTags
from voxcli.batch.books.voice import DriftMeter, VoiceDrift, median_pitch, steady_delivery
from voxcli.batch.books.writing import WrittenBook, write_book
from voxcli.errors import DeviceError, RequestError
from voxcli.synthesis.identity import ModelIdentity
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.provenance import Provenance
from voxcli.synthesis.request import Sampling
from voxcli.text.marks import Pause, Sentence

MADE = Provenance(model=ModelIdentity(name="tone"))
TAGS = BookTags(title="A Book", author="Ann", narrator="Tone", language="eng", cover=PNG, provenance=lambda: MADE)


class Killed(BaseException):
    """Stands for a signal."""


def chapters_of(texts: Sequence[Sequence[str]]) -> list[BookChapter]:
    """Return chapters with a pause after each sentence."""
    return [
        BookChapter(
            f"Chapter {number}", tuple(part for text in chapter for part in (Sentence(text, "en"), Pause(0.05)))
        )
        for number, chapter in enumerate(texts, start=1)
    ]


def engine(**how: object) -> ToneEngine:
    return ToneEngine(**{"chunks": 2, "chunk_seconds": 0.03, **how})  # type: ignore[arg-type]


def make(
    target: Path,
    texts: Sequence[Sequence[str]],
    *,
    speaking: ToneEngine | None = None,
    stop_after: int | None = None,
    format: AudioFormat | None = None,
    lufs: float | None = None,
    only_made: bool = False,
    jobs: int = 1,
) -> WrittenBook:
    """Make what is missing of a book, and write it.

    stop_after: sentences after which the making is stopped.
    """
    speaking = speaking or engine()
    with WorkFolder.beside(target) as folder:
        folder.keep(book="A Book")
        delivery = steady_delivery(speaking, Delivery(sampling=Sampling(seed=5)), folder, "", "The text is English.")
        book = Book(chapters_of(texts), BookSounds(speaking, folder, "tone"), delivery)

        def on_sentence(position: BookPosition) -> None:
            if stop_after is not None and position.sentences > stop_after:
                raise Killed

        if not only_made:
            book.make(on_sentence, lambda: None, jobs=jobs)
        writer = BookFile(target, TAGS) if format is None else BookFolder(target, format, TAGS, len(texts))
        written = write_book(book, writer, lufs=lufs, only_made=only_made)
        if not only_made:
            folder.remove()
    return written


def content(target: Path) -> dict[str, bytes]:
    """Return all files of a book."""
    files = [target] if target.is_file() else sorted(target.iterdir())
    return {file.name: file.read_bytes() for file in files}


def sound_of(path: Path) -> AudioChunk:
    return decode(path.read_bytes(), name=path.name)


SENTENCES = st.sampled_from(["One.", "Two is here.", "Three, which is longer.", "Four!", "Five?"])
BOOKS = st.lists(st.lists(SENTENCES, min_size=1, max_size=4), min_size=1, max_size=3)


@given(st.lists(st.tuples(BOOKS, st.integers(0, 8)), max_size=3), BOOKS, st.sampled_from([None, AudioFormat.FLAC]))
@settings(max_examples=6, deadline=None)
def test_a_book_that_was_stopped_and_edited_equals_one_made_in_one_go(
    stops: list[tuple[list[list[str]], int]], texts: list[list[str]], format: AudioFormat | None
) -> None:
    with TemporaryDirectory() as place:
        name = "book.m4b" if format is None else "book"
        (Path(place) / "a").mkdir()
        (Path(place) / "b").mkdir()
        resumed, whole = Path(place) / "a" / name, Path(place) / "b" / name
        for earlier, after in stops:
            if sum(map(len, earlier)) > after:
                with pytest.raises(Killed):
                    make(resumed, earlier, stop_after=after, format=format)
        make(resumed, texts, format=format)
        make(whole, texts, format=format)
        assert content(resumed) == content(whole)
        assert [path.name for path in resumed.parent.iterdir()] == [name]


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    first, second = engine(), engine()
    with pytest.raises(Killed):
        make(tmp_path / "b.m4b", [["One.", "Two.", "Three."]], speaking=first, stop_after=1)
    make(tmp_path / "b.m4b", [["One.", "New.", "Two.", "Two."], ["Three.", "One."]], speaking=second)
    before = {request.text for request in first.requests}
    assert {"One.", "Two."} <= before
    assert sorted(request.text for request in second.requests) == sorted({"New.", "Three."} - before)


@pytest.mark.parametrize("damage", ["file removed", "file cut", "line cut", "manifest removed"])
def test_what_a_kill_or_a_user_leaves_is_made_again(damage: str, tmp_path: Path) -> None:
    texts = [["One.", "Two."], ["Three."]]
    with pytest.raises(Killed):
        make(tmp_path / "b.m4b", texts, stop_after=2)
    folder = tmp_path / "b.m4b.parts"
    sound = sorted((folder / "sentences").iterdir())[0]
    manifest = folder / "manifest.jsonl"
    match damage:
        case "file removed":
            sound.unlink()
        case "file cut":
            sound.write_bytes(sound.read_bytes()[:-10])
        case "line cut":
            manifest.write_bytes(manifest.read_bytes()[:-7])
        case "manifest removed":
            manifest.unlink()
    (folder / "sentences" / "x.unfinished").write_bytes(b"half a sentence")
    make(tmp_path / "b.m4b", texts)
    make(tmp_path / "c.m4b", texts)
    assert (tmp_path / "b.m4b").read_bytes() == (tmp_path / "c.m4b").read_bytes()


def test_slots_make_sentences_at_once_and_the_book_is_the_same(tmp_path: Path) -> None:
    texts = [[f"Sentence {number}." for number in range(8)]]
    speaking = engine(slots=4, pace=0.2)
    make(tmp_path / "a.m4b", texts, speaking=speaking, jobs=4)
    make(tmp_path / "b.m4b", texts)
    assert speaking.most_running > 1
    assert (tmp_path / "a.m4b").read_bytes() == (tmp_path / "b.m4b").read_bytes()


def test_players_agree_on_chapters_length_and_tags(tmp_path: Path) -> None:
    path = tmp_path / "b.m4b"
    written = make(path, [["One.", "Two."], ["Three."], ["Four."]])
    starts = [start.seconds for start in written.starts]
    tagged = MP4(path)
    assert [(chapter.title, chapter.start) for chapter in tagged.chapters] == [
        (f"Chapter {number}", pytest.approx(start, abs=0.001)) for number, start in enumerate(starts, start=1)
    ]
    with av.open(str(path)) as container:
        found = [(one["metadata"]["title"], float(one["start"] * one["time_base"])) for one in container.chapters()]
        assert [title for title, _ in found] == ["Chapter 1", "Chapter 2", "Chapter 3"]
        assert [start for _, start in found] == pytest.approx(starts, abs=0.001)
        assert container.duration / 1e6 == pytest.approx(written.seconds, abs=0.001)
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples / 16000 == pytest.approx(written.seconds, abs=0.07)  # one frame more
    assert tagged.info.length == pytest.approx(written.seconds, abs=0.07)
    assert tagged.tags is not None
    shown = {name: tagged.tags[name][0] for name in ("\xa9nam", "\xa9ART", "\xa9alb", "\xa9gen", "\xa9wrt", "stik")}
    assert list(shown.values()) == ["A Book", "Ann", "A Book", "Audiobook", "Tone", 2]
    assert bytes(tagged.tags["covr"][0]) == PNG


def test_a_chapter_begins_in_the_sound_where_its_mark_says(tmp_path: Path) -> None:
    """After each chapter there is a pause, and before it: the start is where the silence ends."""
    path = tmp_path / "b.m4b"
    written = make(path, [["One."], ["Two."], ["Three."]])
    sound = sound_of(path)
    for start in written.starts[1:]:
        at = round(start.seconds * sound.sample_rate)
        assert np.abs(sound.samples[at - 400 : at - 80]).max() < 0.05
        assert np.abs(sound.samples[at + 80 : at + 400]).max() > 0.1


def test_a_folder_has_a_file_for_each_chapter_and_a_playlist(tmp_path: Path) -> None:
    folder = tmp_path / "novel"
    written = make(folder, [["One."], ["Two.", "Three."]], format=AudioFormat.MP3)
    names = ["01 Chapter 1.mp3", "02 Chapter 2.mp3", "A Book.m3u8"]
    assert [file.name for file in written.files] == sorted(file.name for file in folder.iterdir()) == names
    lines = (folder / names[2]).read_text("utf-8").splitlines()
    assert lines[:2] == ["#EXTM3U", "#PLAYLIST:A Book"]
    assert lines[3::2] == names[:2]
    tags = ID3(folder / names[1])
    assert [str(tags[name]) for name in ("TIT2", "TPE1", "TALB", "TRCK")] == ["Chapter 2", "Ann", "A Book", "2/2"]
    lengths = [sound_of(folder / name).seconds for name in names[:2]]
    assert sum(lengths) == pytest.approx(written.seconds, abs=0.3)


@pytest.mark.parametrize(
    ("title", "name"),
    [("1", "01.mp3"), ("A/B: C?", "01 A B C.mp3"), ("Ende.", "01 Ende.mp3"), ("章" * 90, f"01 {'章' * 40}.mp3")],
)
def test_titles_become_names_that_every_system_allows(title: str, name: str) -> None:
    assert chapter_name(1, 20, title, AudioFormat.MP3) == name


def test_a_book_is_brought_to_a_loudness_without_clipping(tmp_path: Path) -> None:
    loud = make(tmp_path / "b", [["One.", "Two."] * 4, ["Three."] * 4], format=AudioFormat.FLAC, lufs=-23)
    sounds = [sound_of(file) for file in loud.files[:2]]
    joined = np.concatenate([sound.samples for sound in sounds])
    assert loudness(AudioChunk(joined, sounds[0].sample_rate)) == pytest.approx(-23, abs=0.1)
    plain = make(tmp_path / "c", [["One.", "Two."] * 4, ["Three."] * 4], format=AudioFormat.FLAC)
    assert plain.seconds == loud.seconds
    peak = make(tmp_path / "d", [["One."] * 4], format=AudioFormat.FLAC, lufs=-5)
    assert np.abs(sound_of(peak.files[0]).samples).max() < 0.9


def test_a_part_of_a_book_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "b.m4b"
    texts = [["One.", "Two."], ["Three.", "Four."]]
    with pytest.raises(Killed):
        make(path, texts, stop_after=1)
    written = make(path, texts, only_made=True)
    assert 1 <= len(written.starts) <= 2
    assert MP4(path).chapters
    make(path, texts)
    make(tmp_path / "c.m4b", texts)
    assert path.read_bytes() == (tmp_path / "c.m4b").read_bytes()


class Drawing(ToneEngine):
    """Draws voices."""

    draws_voices = True


def test_a_drawn_voice_is_kept_and_every_sentence_is_in_it(tmp_path: Path) -> None:
    speaking = [Drawing(chunks=2, chunk_seconds=1.5) for _ in range(2)]
    with pytest.raises(Killed):
        make(tmp_path / "b.m4b", [["One.", "Two.", "Three."]], speaking=speaking[0], stop_after=1)
    make(tmp_path / "b.m4b", [["Other.", "One.", "Four."]], speaking=speaking[1])
    drawn, *later = speaking[0].requests
    assert drawn.voice.prompt is None
    voices = {request.voice for request in [*later, *speaking[1].requests]}
    assert len(voices) == 1
    assert voices.pop().prompt is not None


def test_a_second_process_is_refused_and_a_failure_keeps_what_was_made(tmp_path: Path) -> None:
    with WorkFolder.beside(tmp_path / "b.m4b"), pytest.raises(RequestError, match="Another voxcli works in"):
        make(tmp_path / "b.m4b", [["One."]])
    broken = engine(fail_at=0, error=DeviceError("The GPU is gone."))
    with pytest.raises(DeviceError, match="GPU"):
        make(tmp_path / "b.m4b", [["One.", "Two."]], speaking=broken)
    assert not (tmp_path / "b.m4b").exists()
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_in_the_work_folder_stay(tmp_path: Path) -> None:
    parts = tmp_path / "b.m4b.parts"
    parts.mkdir()
    (parts / "letter.txt").write_text("mine")
    with pytest.raises(RequestError, match="is in the way"):
        make(tmp_path / "b.m4b", [["One."]])
    assert [path.name for path in parts.iterdir()] == ["letter.txt"]
    parts.rename(tmp_path / "elsewhere")
    with pytest.raises(Killed):
        make(tmp_path / "b.m4b", [["One.", "Two."]], stop_after=0)
    (parts / "letter.txt").write_text("mine")
    make(tmp_path / "b.m4b", [["One.", "Two."]])
    assert [path.name for path in parts.iterdir()] == ["letter.txt"]


def test_a_full_disk_while_it_is_written_leaves_no_half_of_a_book(tmp_path: Path) -> None:
    target = tmp_path / "missing" / "b.m4b"
    with pytest.raises(DeviceError, match="Cannot write"), WorkFolder(tmp_path / "work") as folder:
        folder.keep(book="A Book")
        book = Book(chapters_of([["One."]]), BookSounds(engine(), folder, "tone"), Delivery())
        write_book(book, BookFile(target, TAGS))
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_silent_sentences_are_made_once_and_a_silent_book_is_refused(tmp_path: Path) -> None:
    silent = engine(chunks=0)
    with pytest.raises(RequestError, match="no sentence of the book has made a sound"):
        make(tmp_path / "b.m4b", [["One."]], speaking=silent)
    with pytest.raises(RequestError):
        make(tmp_path / "b.m4b", [["One."]], speaking=silent)
    assert len(silent.requests) == 1


def test_the_manifest_tells_what_is_in_the_work_folder(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        make(tmp_path / "b.m4b", [["One.", "Two."]], stop_after=0)
    lines = (tmp_path / "b.m4b.parts" / "manifest.jsonl").read_text("utf-8").splitlines()
    entry = json.loads(lines[1])
    assert (tmp_path / "b.m4b.parts" / entry["file"]).is_file()
    assert entry["seconds"] == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("drift", "heard"),
    [(VoiceDrift(decibels=0.4, semitones=0.1), False), (VoiceDrift(decibels=-6, semitones=None), True)],
)
def test_a_change_of_the_voice_is_told_in_words(drift: VoiceDrift, heard: bool) -> None:
    assert drift.is_heard is heard
    assert f"{abs(drift.decibels):.1f} dB" in str(drift)


def test_the_change_of_a_voice_is_measured() -> None:
    rate = 16000
    meter = DriftMeter(40)
    time = np.arange(rate) / rate
    for number in filter(meter.wants, range(40)):
        pitch, level = (100, 0.1) if number < 20 else (120, 0.2)
        wave = sum(np.sin(2 * np.pi * pitch * partial * time) / partial for partial in range(1, 10))
        meter.add(number, AudioChunk((level * wave).astype(np.float32), rate))
    drift = meter.result()
    assert drift is not None
    assert drift.decibels == pytest.approx(6.0, abs=0.5)
    assert drift.semitones == pytest.approx(12 * np.log2(1.2), abs=0.3)


@pytest.mark.parametrize("pitch", [80, 130, 220])
def test_the_pitch_of_a_voice_is_found(pitch: float) -> None:
    time = np.arange(16000) / 16000
    voiced = sum(np.sin(2 * np.pi * pitch * partial * time) / partial for partial in range(1, 12))
    assert median_pitch(AudioChunk((0.1 * voiced).astype(np.float32), 16000)) == pytest.approx(pitch, rel=0.02)
    noise = np.random.default_rng(1).standard_normal(16000) * 0.1
    assert median_pitch(AudioChunk(noise.astype(np.float32), 16000)) is None
    assert median_pitch(AudioChunk(np.zeros(16000, np.float32), 16000)) is None
