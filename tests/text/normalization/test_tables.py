"""Tables of texts and how they are read, for native speakers to read and extend: tests/text/*.tsv."""

from pathlib import Path

from voxcli.text.language import CHINESE, ENGLISH
from voxcli.text.normalization.normalize import normalized

_TABLES = ("zh.tsv", "en.tsv", "other.tsv")


def _rows() -> list[tuple[str, str, str]]:
    """Return language, input and what is spoken of each row; `\\u` escapes stand for invisible characters."""
    rows = []
    for table in _TABLES:
        for line in (Path(__file__).parent.parent / table).read_text("utf-8").splitlines():
            if line and not line.startswith("#"):
                language, written, spoken = line.split("\t")
                rows.append((language, _unescaped(written), _unescaped(spoken)))
    return rows


def _unescaped(text: str) -> str:
    for escape, char in ((r"\u00a0", "\u00a0"), (r"\u202f", "\u202f"), (r"\u2009", "\u2009")):
        text = text.replace(escape, char)
    return text


ROWS = _rows()


def _read_aloud(language: str, written: str) -> str:
    return normalized(written, text_language=None if language == "-" else language)


def test_a_text_is_read_as_a_native_speaker_would() -> None:
    assert [(*row, _read_aloud(*row[:2])) for row in ROWS if _read_aloud(*row[:2]) != row[2]] == []


def test_what_is_spoken_is_not_changed_again() -> None:
    assert [(*row, _read_aloud(row[0], row[2])) for row in ROWS if _read_aloud(row[0], row[2]) != row[2]] == []


def test_there_are_many_rows_of_each_kind() -> None:
    languages = [language for language, _, _ in ROWS]
    assert len(ROWS) >= 300
    assert languages.count(CHINESE) >= 100
    assert languages.count(ENGLISH) >= 100
    assert len(set(ROWS)) == len(ROWS)
