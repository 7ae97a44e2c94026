"""Benchmark texts: the standard ones, files, and texts from the command line."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from voxcli.errors import RequestError

LENGTHS = ("short", "medium", "long")
LANGUAGES = ("zh", "en")
"""Languages of the standard texts. The Chinese ones are those of neosun100/voxcpm-docker, so that results can be
compared with its measurements; the English ones are translations."""

_FILE_MARK = "@"
_LABEL_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Text:
    """A text and its name."""

    name: str
    text: str


def choose_texts(chosen: Sequence[str], language: str, read_file: Callable[[str], str]) -> list[Text]:
    """Return the texts that the user chose; by default short, medium and long.

    Args:
        chosen: "short", "medium", "long", "@" and a file name, or a text.
        language: of the standard texts, one of `LANGUAGES`.
        read_file: returns the content of a file.

    Raises:
        RequestError: a text is empty, or occurs twice.
    """
    known: dict[str, str] = json.loads(files("voxcli.bench.measure").joinpath("texts.json").read_text("utf-8"))[
        language
    ]
    texts: list[Text] = []
    for choice in chosen or LENGTHS:
        text = _find_text(choice, known, read_file)
        if not text.text.strip():
            raise RequestError(f"The text {text.name!r} is empty.")
        if any(text.text == other.text for other in texts):
            raise RequestError(f"The text {text.name!r} occurs twice. Name it once, and raise --runs.")
        if any(text.name == other.name for other in texts):
            text = replace(text, name=f"{text.name} ({len(texts) + 1})")
        texts.append(text)
    return texts


def _find_text(choice: str, known: dict[str, str], read_file: Callable[[str], str]) -> Text:
    if choice in known:
        return Text(choice, known[choice])
    if choice.startswith(_FILE_MARK):
        name = choice.removeprefix(_FILE_MARK)
        return Text(name, read_file(name).strip())
    return Text(_label(choice), choice)


def _label(text: str) -> str:
    """Return the beginning of a text as its name."""
    line = " ".join(text.split())
    return line if len(line) <= _LABEL_CHARACTERS else f"{line[: _LABEL_CHARACTERS - 1].rstrip()}…"
