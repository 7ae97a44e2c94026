"""GPT-SoVITS's rules for cutting a text into pieces, and its language codes.

The rules, cut0 to cut5, are those of github.com/RVC-Boss/GPT-SoVITS, text_segmentation_method.py and
TextPreprocessor.py of 2026; lengths count characters. Rules that only serve its models are left out: the mark
before a short first word, and merging runs of marks.
"""

import re
from collections.abc import Callable, Iterable

from voxcli.errors import RequestError

_ENDS = frozenset("，。？！,.?!~:：—…")
_NO_WORDS = frozenset("!?…,.- ")
_CUT5_MARKS = frozenset(",.;?!、，。？！：…")
_FULL_STOP = re.compile(r"(?<!\d)\.(?!\d)")
_WORDS = re.compile(r"\w")

_GROUP = 4
_ABOUT = 50
_LEAST = 5
_MOST = 510


def cut(text: str, method: str, *, english: bool = False) -> list[str]:
    """Return the pieces of a text, each with at least one word.

    Args:
        method: one of `METHODS`.
        english: whether a piece without end punctuation gets an English full stop.
    """
    lines = METHODS[method](text.strip("\n"))
    pieces = _merged(line for line in "\n".join(lines).split("\n") if line not in ("", " "))
    spoken = [piece for piece in pieces if is_spoken(piece)]
    return [part for piece in spoken for part in _shortened(_ended(piece, "." if english else "。"))]


def is_spoken(text: str) -> bool:
    """Tell whether there is a letter or a digit in a text."""
    return bool(_WORDS.search(text))


def _uncut(text: str) -> list[str]:
    return _worded([text])


def _by_fours(text: str) -> list[str]:
    """Cut after every fourth end mark; the last piece takes the rest, up to eight."""
    segments = _segments(text)
    starts = range(0, max(len(segments) - _GROUP, 1), _GROUP)
    if len(segments) <= _GROUP:
        return [text]
    return _worded("".join(segments[start : start + _GROUP if start != starts[-1] else None]) for start in starts)


def _by_fifties(text: str) -> list[str]:
    """Cut at the first end mark beyond fifty characters; a short last piece is joined to the previous one."""
    segments = _segments(text)
    if len(segments) < 2:
        return [text]
    pieces = [""]
    for segment in segments:
        if len(pieces[-1]) > _ABOUT:
            pieces.append("")
        pieces[-1] += segment
    if len(pieces) > 1 and len(pieces[-1]) < _ABOUT:
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    return _worded(pieces)


def _by_chinese_stops(text: str) -> list[str]:
    return _worded(text.strip("。").split("。"))


def _by_english_stops(text: str) -> list[str]:
    return _worded(_FULL_STOP.split(text.strip(".")))


def _by_marks(text: str) -> list[str]:
    """Cut after every mark except the decimal point of a number."""
    pieces = [""]
    for index, char in enumerate(text):
        pieces[-1] += char
        in_number = char == "." and text[index - 1 : index].isdigit() and text[index + 1 : index + 2].isdigit()
        if char in _CUT5_MARKS and not in_number:
            pieces.append("")
    return [piece for piece in pieces if not _CUT5_MARKS.issuperset(piece)]


METHODS: dict[str, Callable[[str], list[str]]] = {
    "cut0": _uncut,
    "cut1": _by_fours,
    "cut2": _by_fifties,
    "cut3": _by_chinese_stops,
    "cut4": _by_english_stops,
    "cut5": _by_marks,
}


def _segments(text: str) -> list[str]:
    """Cut after every end mark."""
    text = _ended(text.replace("……", "。").replace("——", "，"), "。")
    segments = [""]
    for char in text:
        segments[-1] += char
        if char in _ENDS:
            segments.append("")
    return segments[:-1]


def _worded(pieces: Iterable[str]) -> list[str]:
    return [piece for piece in pieces if not _NO_WORDS.issuperset(piece)]


def _merged(pieces: Iterable[str]) -> list[str]:
    """Join pieces that are too short to the following piece, or the last one to the previous piece."""
    merged: list[str] = []
    waiting = ""
    for piece in pieces:
        waiting += piece
        if len(waiting) >= _LEAST:
            merged.append(waiting)
            waiting = ""
    if waiting and merged:
        merged[-1] += waiting
    elif waiting:
        merged.append(waiting)
    return merged


def _ended(text: str, mark: str) -> str:
    return text if text[-1:] in _ENDS else text + mark


def _shortened(piece: str) -> list[str]:
    """Cut a piece that is too long after end punctuation, if it has any."""
    if len(piece) <= _MOST:
        return [piece]
    parts = [""]
    for segment in re.split(f"(?<=[{''.join(_ENDS)}])(?!$)", piece):
        if parts[-1] and len(parts[-1]) + len(segment) > _MOST:
            parts.append("")
        parts[-1] += segment
    return parts


CODES = (
    *("auto", "auto_yue", "en", "zh", "ja", "yue", "ko"),
    *("all_zh", "all_ja", "all_yue", "all_ko"),
)
"""Languages of its models from v2 on."""
_AUTO = "auto"
_OTHER_NAMES = {"cmn": "zh"}


def to_code(language: str | None) -> str:
    """Return the code of a language, such as "zh" for "zh-CN". A code is returned unchanged.

    Raises:
        RequestError: GPT-SoVITS does not speak it.
    """
    if language is None:
        return _AUTO
    written = language.strip().lower()
    if written in CODES:
        return written
    primary = re.split("[-_]", written)[0]
    code = _OTHER_NAMES.get(primary, primary)
    if code not in CODES or code == _AUTO:
        raise RequestError(
            f"GPT-SoVITS does not speak {language!r}. It speaks {', '.join(CODES)}.",
            on_command_line="Choose one with --language, or leave it out.",
        )
    return code


def from_code(code: str) -> str | None:
    """Return the language of one of `CODES`; None to detect it from the text."""
    if code == _AUTO:
        return None
    return code.removeprefix("all_").removeprefix("auto_")
