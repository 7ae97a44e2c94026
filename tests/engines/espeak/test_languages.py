"""Names of languages and voices."""

import re
import subprocess
import sys

import pytest

from voxcli.engines.espeak import languages
from voxcli.engines.espeak.languages import find_language, find_voice, language_names
from voxcli.engines.espeak.library import load_espeak
from voxcli.errors import NotFound

ESPEAK = load_espeak()


@pytest.mark.parametrize(
    ("language", "identifier"),
    [
        ("zh", "sit/cmn"),
        ("zh_CN", "sit/cmn"),
        ("ZH-TW", "sit/cmn"),
        ("zh-HK", "sit/yue"),
        ("yue", "sit/yue"),
        ("en", "gmw/en-US"),
        ("en-GB", "gmw/en"),
        ("ja", "jpx/ja"),
        ("ko", "ko"),
        ("fr", "roa/fr"),
        ("fr-fr", "roa/fr"),
        ("pt-BR", "roa/pt-BR"),
        ("de-AT", "gmw/de"),
    ],
)
def test_a_language_finds_its_voice(language: str, identifier: str) -> None:
    assert find_language(language, ESPEAK.voices).identifier == identifier


def test_every_listed_name_is_found() -> None:
    for name in language_names(ESPEAK.voices):
        assert find_language(name, ESPEAK.voices)


@pytest.mark.parametrize("language", ["xx", "", "zz-zh"])
def test_an_unknown_language_is_told_some_and_how_to_list_all(language: str) -> None:
    with pytest.raises(NotFound, match=r"languages, such as en-us, cmn,") as caught:
        find_language(language, ESPEAK.voices)
    assert len(str(caught.value)) < 150
    assert "voxcli" not in str(caught.value)
    assert caught.value.for_command_line.endswith("To list them all: voxcli voices --all")


@pytest.mark.parametrize("name", ["nobody", "en-us+nobody"])
def test_an_unknown_voice_is_told_some(name: str) -> None:
    with pytest.raises(NotFound, match=r"such as (en-us, cmn|f1, f2)") as caught:
        find_voice(name, ESPEAK)
    assert len(str(caught.value)) < 150


def test_the_languages_and_variants_that_messages_name_are_there() -> None:
    for name in re.split(", | and ", languages._SOME):
        assert name in ESPEAK.voices
    assert set(languages._SOME_VARIANTS) <= set(ESPEAK.variants)


def test_a_language_may_be_given_by_its_name() -> None:
    assert find_language("Chinese", ESPEAK.voices) == find_language("zh", ESPEAK.voices)


def test_a_near_miss_gets_a_suggestion() -> None:
    with pytest.raises(NotFound, match="Did you mean 'yue'"):
        find_language("yu", ESPEAK.voices)


def test_voices_come_with_variants() -> None:
    assert find_voice("en-us", ESPEAK) == ("gmw/en-US", "")
    assert find_voice("EN-US+f3", ESPEAK) == ("gmw/en-US", "+f3")
    assert find_voice("+f3", ESPEAK) == (None, "+f3")
    assert find_voice("", ESPEAK) == (None, "")


def test_an_unknown_variant_is_refused_though_the_library_would_take_it() -> None:
    with pytest.raises(NotFound, match=r"Did you mean 'f3'.*whisper"):
        find_voice("en-us+f33", ESPEAK)


def test_an_unknown_voice_is_refused_with_the_list() -> None:
    with pytest.raises(NotFound, match=r"no voice 'alloy'.*cmn"):
        find_voice("alloy", ESPEAK)


def test_threads_that_need_the_library_at_once_load_it_once() -> None:
    program = (
        "import threading; from voxcli.engines.espeak.library import load_espeak\n"
        "barrier, found = threading.Barrier(8), []\n"
        "def load(): barrier.wait(); found.append(load_espeak())\n"
        "threads = [threading.Thread(target=load) for _ in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "assert len(set(map(id, found))) == 1 and len(found) == 8\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
