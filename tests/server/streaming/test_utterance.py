"""Texts that are spoken while they are being written."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.tone import ToneEngine, until
from voxcli.audio.chunk import AudioChunk
from voxcli.errors import ModelError, RequestError, VoxError
from voxcli.server.errors import Refusal
from voxcli.server.model_lifecycle import ModelLifecycle
from voxcli.server.service import Service
from voxcli.server.settings import ServerSettings
from voxcli.server.streaming.utterance import Flushed, StreamedUtterance, UtterancePiece, UtteranceSettings
from voxcli.server.utterances import Caller
from voxcli.synthesis.pipeline import Delivery, synthesize
from voxcli.synthesis.request import SentenceMark, Voice
from voxcli.text.parts import read_parts
from voxcli.voices import VoiceLibrary

pytestmark = pytest.mark.anyio
CALLER = Caller("tests")
PLAIN = UtteranceSettings(delivery=Delivery(voice=Voice(name="tone")))


@asynccontextmanager
async def serving(engine: ToneEngine, folder: Path, **settings: Any) -> AsyncIterator[Service]:
    chosen = ServerSettings(voices=folder, **settings)
    service = Service(chosen, VoiceLibrary(folder), ModelLifecycle("tone", lambda: engine, chosen))
    await service.start()
    try:
        yield service
    finally:
        engine.go.set()
        await service.close()


async def all_of(utterance: StreamedUtterance) -> list[UtterancePiece]:
    return [piece async for piece in utterance.pieces()]


def samples_of(pieces: Iterable[Any]) -> bytes:
    return b"".join(piece.samples.tobytes() for piece in pieces if isinstance(piece, AudioChunk))


@pytest.mark.parametrize("cut", [1, 3, 1000])
async def test_pieces_of_a_text_sound_as_the_whole(tmp_path: Path, cut: int) -> None:
    engine, text = ToneEngine(), "Hello there, you. This is the second one! And a third"
    async with serving(engine, tmp_path) as service, service.utterance("test", CALLER, PLAIN) as utterance:
        for at in range(0, len(text), cut):
            utterance.append(text[at : at + cut])
        utterance.finish()
        pieces = await all_of(utterance)
    whole = synthesize(ToneEngine(), read_parts([text], markdown=False), PLAIN.delivery)
    assert samples_of(pieces) == samples_of(whole)
    spans = [piece.span for piece in pieces if isinstance(piece, SentenceMark) and piece.end is not None]
    assert [text[slice(*span)] for span in spans if span] == [
        "Hello there, you.",
        "This is the second one!",
        "And a third",
    ]
    assert utterance.spoken.position == len(text)


async def test_a_sentence_is_spoken_before_the_next_is_written(tmp_path: Path) -> None:
    engine = ToneEngine()
    async with serving(engine, tmp_path) as service, service.utterance("test", CALLER, PLAIN) as utterance:
        pieces = utterance.pieces()
        utterance.append("The first is complete. The sec")
        mark = await anext(pieces)
        assert isinstance(mark, SentenceMark)
        assert mark.text == "The first is complete."
        utterance.append("ond follows.")
        utterance.finish()
        rest = [piece async for piece in pieces]
        assert [piece.text for piece in rest if isinstance(piece, SentenceMark)][-1] == "The second follows."
        assert service.admission.used == 1
    assert service.admission.used == 0


async def test_a_flush_is_told_once_all_before_it_was_spoken(tmp_path: Path) -> None:
    async with serving(ToneEngine(), tmp_path) as service, service.utterance("test", CALLER, PLAIN) as utterance:
        utterance.append("Not complete, but")
        assert utterance.flush() == 1
        seen: list[UtterancePiece] = []
        async for piece in utterance.pieces():
            seen.append(piece)
            if piece == Flushed(1):
                utterance.append(" this is more.")
                utterance.finish()
        at = seen.index(Flushed(1))
        assert isinstance(seen[at - 1], SentenceMark)
        assert seen[at - 1].text == "Not complete, but"  # type: ignore[union-attr]
        assert seen[-1].text == "this is more."  # type: ignore[union-attr]


async def test_a_cancelled_utterance_ends_at_once_and_its_engine_within_a_chunk(tmp_path: Path) -> None:
    engine = ToneEngine(chunks=1000, hold_at=3)
    async with serving(engine, tmp_path) as service:
        async with service.utterance("test", CALLER, PLAIN) as utterance:
            utterance.append("One long sentence without an end. And another.")
            pieces = utterance.pieces()
            for _ in range(4):  # the mark and three chunks
                await anext(pieces)
            waiting = asyncio.ensure_future(anext(pieces, None))
            await asyncio.sleep(0)
            cancelling = asyncio.create_task(utterance.cancel())
            assert await waiting is None  # though the engine still works on its chunk
            engine.go.set()
            spoken = await cancelling
            assert spoken.seconds == pytest.approx(3 * 0.08)
            assert engine.running == 0
        assert engine.made <= 4
        assert service.admission.used == 0
        text = service.metrics.text().decode()
    assert 'voxcli_utterances_total{ending="cancelled",protocol="test"} 1.0' in text
    assert "voxcli_cancel_seconds_count 1.0" in text


async def test_an_utterance_that_waits_for_text_is_cancelled(tmp_path: Path) -> None:
    threads = threading.active_count()
    async with serving(ToneEngine(), tmp_path) as service:
        async with service.utterance("test", CALLER, PLAIN) as utterance:
            await utterance.cancel()
            assert await all_of(utterance) == []
        assert service.admission.used == 0
    until(lambda: threading.active_count() <= threads)


async def test_a_slow_reader_holds_up_the_engine(tmp_path: Path) -> None:
    engine = ToneEngine(chunks=1000)
    async with serving(engine, tmp_path) as service, service.utterance("test", CALLER, PLAIN) as utterance:
        utterance.append("A sentence of eighty seconds.")
        utterance.finish()
        await anext(utterance.pieces())
        await asyncio.sleep(0.1)
        assert engine.made < 30


async def test_errors_of_the_engine_and_of_the_text_come_out_of_the_pieces(tmp_path: Path) -> None:
    async with serving(ToneEngine(fail_at=1), tmp_path) as service:
        async with service.utterance("test", CALLER, PLAIN) as utterance:
            utterance.append("This breaks.")
            utterance.finish()
            with pytest.raises(ModelError):
                await all_of(utterance)
        for text, error in (("🙂 …", Refusal), ("", Refusal), ("Half a \ud83d.", RequestError)):
            async with service.utterance("test", CALLER, PLAIN) as utterance:
                utterance.append(text)
                utterance.finish()
                with pytest.raises(error):
                    await all_of(utterance)
        assert service.admission.used == 0


async def test_a_character_in_two_halves_is_one(tmp_path: Path) -> None:
    engine = ToneEngine()
    async with serving(engine, tmp_path) as service, service.utterance("test", CALLER, PLAIN) as utterance:
        utterance.append("Here is \ud835")
        utterance.append("\udc00 letter.")
        utterance.finish()
        await all_of(utterance)
    assert engine.requests[0].text == "Here is A letter."


async def test_a_text_that_is_too_long_is_refused_and_the_utterance_goes_on(tmp_path: Path) -> None:
    settings = UtteranceSettings(delivery=PLAIN.delivery, most_characters=20)
    async with serving(ToneEngine(), tmp_path) as service, service.utterance("test", CALLER, settings) as utterance:
        utterance.append("Ten chars.")
        with pytest.raises(Refusal):
            utterance.append("Twelve chars")
        utterance.finish()
        with pytest.raises(Refusal):
            utterance.append("late")
        await all_of(utterance)
        assert utterance.spoken.text == "Ten chars."


async def test_chunks_come_at_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    settings = UtteranceSettings(delivery=PLAIN.delivery, sample_rate=24000)
    async with serving(ToneEngine(), tmp_path) as service, service.utterance("test", CALLER, settings) as utterance:
        utterance.append("Two sentences. Both of them.")
        utterance.finish()
        chunks = [piece for piece in await all_of(utterance) if isinstance(piece, AudioChunk)]
    assert {chunk.sample_rate for chunk in chunks} == {24000}
    assert sum(len(chunk.samples) for chunk in chunks) == 2 * 5 * 0.08 * 24000


@pytest.mark.parametrize("rate", [None, 24000])
async def test_a_long_chunk_is_cut_so_that_no_message_is_long(tmp_path: Path, rate: int | None) -> None:
    engine, settings = ToneEngine(chunks=1, chunk_seconds=9.0), replace(PLAIN, sample_rate=rate)
    async with serving(engine, tmp_path) as service, service.utterance("test", CALLER, settings) as utterance:
        utterance.append("Hello there, you.")
        utterance.finish()
        lengths = [len(piece.samples) for piece in await all_of(utterance) if isinstance(piece, AudioChunk)]
    assert sum(lengths) == 9 * (rate or 16000)
    assert max(lengths) <= 2**14


async def test_a_server_that_ends_waits_for_utterances_and_then_aborts_them(tmp_path: Path) -> None:
    async with serving(ToneEngine(), tmp_path, drain_seconds=0.05) as service:
        async with service.utterance("test", CALLER, PLAIN) as utterance:
            utterance.append("This writer")
            draining = asyncio.create_task(service.drain())
            with pytest.raises(VoxError, match="shutting down"):
                await all_of(utterance)
            assert not await draining
        with pytest.raises(Refusal):
            async with service.utterance("test", CALLER, PLAIN):
                pass


async def test_a_voice_that_is_drawn_stays_the_same_for_the_whole_utterance(tmp_path: Path) -> None:
    engine = ToneEngine()
    engine.draws_voices = True
    settings = UtteranceSettings(delivery=Delivery())
    async with serving(engine, tmp_path) as service, service.utterance("test", CALLER, settings) as utterance:
        utterance.append("The first sentence here. ")
        utterance.flush()
        utterance.append("The second one.")
        utterance.finish()
        await all_of(utterance)
    assert engine.requests[0].voice.prompt is None
    assert engine.requests[1].voice.prompt is not None


async def test_what_was_heard_is_told_by_the_sample(tmp_path: Path) -> None:
    engine = ToneEngine(chunks=10, chunk_seconds=0.1)
    async with serving(engine, tmp_path) as service, service.utterance("test", CALLER, PLAIN) as utterance:
        utterance.append("One two three four five. Six seven.")
        utterance.finish()
        await all_of(utterance)
    assert utterance.spoken_by(0).text == ""
    assert utterance.spoken_by(engine.sample_rate // 2).text == "One two"
    assert utterance.spoken_by(2 * engine.sample_rate).position == len("One two three four five. Six seven.")
    assert np.isclose(utterance.seconds, 2.0)
