"""Speakers of Kokoro: every language has one, and every voice name of OpenAI stands for one of the right gender."""

import re

import pytest

from voxcli.engines.kokoro.speakers import GAINS, SMALL, SPEAKERS_OF_NAMED, VOICES, speaker_of_named
from voxcli.voices.named import DEFAULT, NAMED_VOICES

LANGUAGES = {"zh", "en-us", "en-gb", "es", "fr", "it", "pt-br", "hi"}


def test_every_language_has_a_voice_and_chinese_two_of_each_gender() -> None:
    speakers = {(voice.language, voice.gender) for voice in VOICES.values()}
    assert {language for language, _ in speakers} == LANGUAGES
    for gender in ("female", "male"):
        assert len([voice for voice in VOICES.values() if (voice.language, voice.gender) == ("zh", gender)]) >= 2


def test_each_name_of_openai_is_another_voice_in_english() -> None:
    assert SPEAKERS_OF_NAMED.keys() == NAMED_VOICES.keys() - {DEFAULT}
    english = [speaker_of_named(name, "en") for name in SPEAKERS_OF_NAMED]
    assert len(set(english)) == len(SPEAKERS_OF_NAMED)
    assert all(VOICES[name].language.startswith("en-") for name in english)


@pytest.mark.parametrize("name", SPEAKERS_OF_NAMED)
def test_a_name_keeps_its_gender_in_all_languages(name: str) -> None:
    description = NAMED_VOICES[name].description
    said = "female" if "woman" in description else "male" if re.search(r"\bman\b", description) else None
    speakers = {language: VOICES[speaker_of_named(name, language)] for language in LANGUAGES}
    assert len({voice.gender for voice in speakers.values()}) == 1
    assert said in (None, speakers["zh"].gender)
    for language, voice in speakers.items():
        here = {other.gender for other in VOICES.values() if other.language[:2] == language[:2]}
        assert voice.language[:2] == (language[:2] if voice.gender in here else "en")


def test_the_british_storyteller_is_british() -> None:
    assert VOICES[speaker_of_named("fable", "en-us")].language == "en-gb"


def test_every_voice_and_the_small_model_have_a_level() -> None:
    assert set(GAINS) == {SMALL, *VOICES}
    assert all(abs(gain) < 7 for gain in GAINS.values())
