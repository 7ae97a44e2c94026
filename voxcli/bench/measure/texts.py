"""The texts that are measured: those that everybody uses, a file, or whatever is written on the command line."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from voxcli.errors import RequestError

LENGTHS = ("short", "medium", "long")
LANGUAGES = ("zh", "en")
"""Of the texts that go by their length. The Chinese ones are those of neosun100/voxcpm-docker, so that its
measurements can be compared; the English ones say the same."""

_FILE_MARK = "@"
_LABEL_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Text:
    """What is said, and what it is called."""

    name: str
    text: str


def choose_texts(words: Sequence[str], language: str, read_file: Callable[[str], str]) -> list[Text]:
    """Turn what the user names into texts; nothing named means short, medium and long.

    Args:
        words: "short", "medium", "long", "@" and the name of a file, or a text.
        language: one of `LANGUAGES`, for those named by their length.
        read_file: returns what is in a file.

    Raises:
        RequestError: one is empty, or named twice.
    """
    known: dict[str, str] = json.loads(files("voxcli.bench.measure").joinpath("texts.json").read_text("utf-8"))[
        language
    ]
    texts: list[Text] = []
    for word in words or LENGTHS:
        text = _find_text(word, known, read_file)
        if not text.text.strip():
            raise RequestError(f"The text {text.name!r} is empty: there is nothing to say.")
        if any(text.text == other.text for other in texts):
            raise RequestError(f"The text {text.name!r} is there twice. Name it once, and ask for more --runs.")
        if any(text.name == other.name for other in texts):
            text = replace(text, name=f"{text.name} ({len(texts) + 1})")
        texts.append(text)
    return texts


def _find_text(word: str, known: dict[str, str], read_file: Callable[[str], str]) -> Text:
    if word in known:
        return Text(word, known[word])
    if word.startswith(_FILE_MARK):
        name = word.removeprefix(_FILE_MARK)
        return Text(name, read_file(name).strip())
    return Text(_label(word), word)


def _label(text: str) -> str:
    """Name a text by how it begins."""
    line = " ".join(text.split())
    return line if len(line) <= _LABEL_CHARACTERS else f"{line[: _LABEL_CHARACTERS - 1].rstrip()}…"
