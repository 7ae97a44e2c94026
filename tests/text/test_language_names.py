"""Names of languages are those of languages that exist, and none of two."""

import unicodedata

from voxcli.engines.espeak.languages import find_language
from voxcli.engines.espeak.library import load_espeak
from voxcli.text.language_names import _NAMES, language_code, language_names


def test_every_name_is_that_of_one_language_which_the_built_in_voice_speaks() -> None:
    names = [name for line in _NAMES.strip().splitlines() for name in line.split()[1:]]
    assert len(names) == len(set(names))
    voices = load_espeak().voices
    for name in language_names():
        code = language_code(name)
        assert code
        assert find_language(code, voices)


def test_names_are_found_in_any_spelling() -> None:
    for name in ("Brazilian Portuguese", "GERMAN", "Deutsch", "中文", "ger", "  japanese "):
        assert language_code(name), name
    for name in ("fr", "zh-cn", "klingonish", ""):
        assert language_code(name) is None
    assert all(name == unicodedata.normalize("NFC", name.casefold()) for name in language_names())
