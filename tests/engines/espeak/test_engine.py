"""The built-in voice as an engine."""

import itertools
import logging
import threading
from contextlib import closing

import numpy as np
import pytest

from voxcli.audio.chunk import AudioChunk
from voxcli.engines import open_engine
from voxcli.engines.espeak.engine import BuiltinEngine
from voxcli.engines.espeak.library import Espeak, load_espeak
from voxcli.errors import NotFound, RequestError
from voxcli.synthesis.request import Clip, Prompt, SynthesisRequest, Voice


def speak(text: str, **details: object) -> list[AudioChunk]:
    with closing(open_engine()) as engine:
        return list(engine.stream(SynthesisRequest(text=text, **details)))  # type: ignore[arg-type]


def seconds(chunks: list[AudioChunk]) -> float:
    return sum(chunk.seconds for chunk in chunks)


class Eavesdropper(Espeak):
    """The real library, with a note of who read what."""

    def __init__(self) -> None:
        self.library = load_espeak()
        self.version = self.library.version
        self.sample_rate, self.voices, self.variants = (
            self.library.sample_rate,
            self.library.voices,
            self.library.variants,
        )
        self.readings: list[tuple[str, str]] = []

    def speak(self, text: str, voice: str, *rest: object, **more: object) -> None:
        self.readings.append((voice, text))
        self.library.speak(text, voice, *rest, **more)  # type: ignore[arg-type]


def readings(text: str, **details: object) -> list[tuple[str, str]]:
    espeak = Eavesdropper()
    list(BuiltinEngine(espeak).stream(SynthesisRequest(text=text, **details)))  # type: ignore[arg-type]
    return espeak.readings


def test_it_speaks_in_small_chunks_of_one_rate() -> None:
    chunks = speak("Hello, world. 你好，世界。")
    assert len(chunks) > 20
    assert {chunk.sample_rate for chunk in chunks} == {22050}
    assert all(chunk.samples.dtype == np.float32 and chunk.samples.ndim == 1 for chunk in chunks)
    assert 2 < seconds(chunks) < 6


def test_each_run_of_script_is_read_by_its_voice() -> None:
    assert readings("我用API登录。Then 안녕!") == [
        ("sit/cmn", "我用"),
        ("gmw/en-US", "API"),
        ("sit/cmn", "登录。"),
        ("gmw/en-US", "Then "),
        ("ko", "안녕!"),
    ]


def test_runs_within_a_sentence_follow_each_other_without_a_pause() -> None:
    mixed, apart = speak("我用API登录。"), [*speak("我用"), *speak("API"), *speak("登录。")]
    assert seconds(apart) - seconds(mixed) > 0.4


def test_a_language_fixes_who_reads() -> None:
    assert readings("你好 hello", language="yue") == [("sit/yue", "你好 hello")]


def test_a_voice_fixes_it_too_and_a_variant_only_colours() -> None:
    assert readings("你好 hello", voice=Voice(name="fr")) == [("roa/fr", "你好 hello")]
    assert readings("你好 hello", voice=Voice(name="+f3")) == [("sit/cmn+f3", "你好 "), ("gmw/en-US+f3", "hello")]


def test_kanji_are_warned_about_once_and_read_as_chinese(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert ("sit/cmn", "今日") in readings("今日は晴れです。明日も晴れます。")
    assert [record.getMessage()[:55] for record in caplog.records] == [
        "The built-in voice cannot read Japanese kanji, such as "
    ]
    assert "今日" in caplog.records[0].getMessage()


def test_kanji_are_warned_about_when_japanese_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    readings("東京", language="ja")
    assert "東京" in caplog.text


def test_chinese_is_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    readings("今日天气晴。")
    assert caplog.records == []


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.5, 2.0, 4.0])
def test_speed_changes_the_length(speed: float) -> None:
    text = "The quick brown fox jumps over the lazy dog, and then it does so again and again."
    assert seconds(speak(text, speed=speed)) == pytest.approx(seconds(speak(text)) / speed, rel=0.12)


@pytest.mark.parametrize(
    "voice",
    [
        Voice(reference=Clip(b"x")),
        Voice(prompt=Prompt(Clip(b"x"), "words")),
    ],
)
def test_what_it_cannot_do_it_refuses_and_says_who_can(voice: Voice) -> None:
    with pytest.raises(RequestError, match="VoxCPM"):
        speak("hello", voice=voice)


def test_unknown_languages_voices_and_models_are_refused() -> None:
    with pytest.raises(NotFound, match="such as en-us"):
        speak("hello", language="xx")
    with pytest.raises(NotFound, match="cmn"):
        speak("hello", voice=Voice(name="nobody"))
    with pytest.raises(NotFound, match="espeak"):
        open_engine("espeek")


def test_a_voice_goes_with_its_own_language_only() -> None:
    assert readings("hello", voice=Voice(name="fr+f3"), language="fr") == [("roa/fr+f3", "hello")]
    with pytest.raises(RequestError, match="does not speak 'en'"):
        speak("hello", voice=Voice(name="fr"), language="en")


def test_closing_it_stops_the_work_at_once() -> None:
    with closing(open_engine()) as engine:
        chunks = engine.stream(SynthesisRequest(text="word " * 20000))
        assert len(list(itertools.islice(chunks, 3))) == 3
        chunks.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "espeak"]
        assert list(engine.stream(SynthesisRequest(text="Next.")))


def test_a_listener_who_dawdles_keeps_nobody_waiting() -> None:
    with closing(open_engine()) as engine:
        slow = engine.stream(SynthesisRequest(text="One sentence. Another sentence."))
        next(slow)
        assert list(engine.stream(SynthesisRequest(text="Me first.")))
        assert seconds(list(slow)) > 1


def test_many_threads_may_speak_at_once() -> None:
    with closing(open_engine()) as engine:
        lengths: list[float] = []

        def work() -> None:
            lengths.append(seconds(list(engine.stream(SynthesisRequest(text="你好, hello, 안녕")))))

        threads = [threading.Thread(target=work) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(lengths) == 12
    assert max(lengths) == pytest.approx(min(lengths), rel=0.02)


def test_an_error_of_the_speaking_thread_reaches_the_consumer() -> None:
    class Broken(Eavesdropper):
        def speak(self, text: str, voice: str, *rest: object, **more: object) -> None:
            raise ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError, match="broken"):
        list(BuiltinEngine(Broken()).stream(SynthesisRequest(text="Hello")))


@pytest.mark.parametrize(
    ("text_language", "voice"),
    [("zh", "sit/cmn"), ("ja", "jpx/ja"), ("ru", "zle/ru"), ("de", "gmw/en-US"), (None, "gmw/en-US")],
)
def test_a_number_alone_is_read_by_the_voice_of_its_text(text_language: str | None, voice: str) -> None:
    assert readings("12306.", text_language=text_language) == [(voice, "12306.")]


def test_thousands_parted_by_a_narrow_space_are_one_number() -> None:
    assert [text for _, text in readings("It is 12\u202f500 km.")] == ["It is 12500 km."]


def test_a_voice_tells_its_language_and_a_name_all_of_them() -> None:
    engine = BuiltinEngine()
    assert engine.languages_of("de") == ("de",)
    assert {"de", "en-us", "cmn"} <= set(engine.languages_of("alloy"))


def test_phonemes_in_braces_are_said_as_they_are() -> None:
    by_ipa, by_arpabet = (speak(text) for text in ("Say {/təˈmeɪtoʊ/} now.", "Say {T AH0 M EY1 T OW0} now."))
    np.testing.assert_array_equal(
        np.concatenate([chunk.samples for chunk in by_ipa]), np.concatenate([chunk.samples for chunk in by_arpabet])
    )
    assert readings("Say {/təˈmeɪtoʊ/} [[now]].") == [("gmw/en-US", "Say  [[t@m'eItoU]]  [ [now]].")]
    assert abs(seconds(by_ipa) - seconds(speak("Say tomato now."))) < 0.2
    assert ("sit/cmn", "ni3 hao3") in readings("A {ni3}{hao3} greeting.", language="en")


def test_double_brackets_in_a_text_are_text() -> None:
    assert seconds(speak("A [[t]] b.")) > seconds(speak("A b."))
