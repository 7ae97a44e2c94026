"""Elements and attributes of SSML that are spoken, and the values of the attributes in seconds and factors."""

import re
from collections.abc import Mapping

from voxcli.text.phonemes import Alphabet

STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}
"""Seconds."""
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.75}
_VOLUMES = {"silent": 0.0, "x-soft": 0.25, "soft": 0.5, "medium": 1.0, "default": 1.0, "loud": 1.5, "x-loud": 2.0}
ALPHABETS = {
    **dict.fromkeys(("", "ipa"), Alphabet.IPA),
    **dict.fromkeys(("arpabet", "x-arpabet", "cmu-arpabet", "x-cmu-arpabet"), Alphabet.ARPABET),
    **dict.fromkeys(("pinyin", "x-pinyin", "x-amazon-pinyin"), Alphabet.PINYIN),
}
ELEMENTS: Mapping[str, tuple[str, ...]] = {
    "speak": ("version", "onlangfailure", "schemaLocation"),
    "p": (),
    "s": (),
    "break": ("time", "strength"),
    "sub": ("alias",),
    "say-as": ("interpret-as", "format", "detail"),
    "phoneme": ("alphabet", "ph"),
    "prosody": ("rate", "volume"),
    "voice": ("name",),
    "lang": (),
    "mark": ("name",),
}
"""The elements that are spoken, with their attributes besides those of `xml:`."""
WITH_LANGUAGE = ("speak", "p", "s", "voice", "lang")
TEXT_ONLY = ("sub", "say-as", "phoneme")
EMPTY = ("break", "mark")
NEEDED = {
    "sub": "alias",
    "say-as": "interpret-as",
    "phoneme": "ph",
    "mark": "name",
    "lang": "lang",
    "voice": "name",
}
"""The attribute without which an element means nothing."""


def read_rate(value: str) -> float | None:
    if value in _RATES:
        return _RATES[value]
    found = re.fullmatch(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(%?)", value)
    if not found or (found[1] and not found[3]):
        return None
    number = float(found[2]) / (100 if found[3] else 1)
    if found[1]:
        return 1 + number if found[1] == "+" else 1 - number
    return number


def read_gain(value: str) -> float | None:
    if value in _VOLUMES:
        return _VOLUMES[value]
    if found := re.fullmatch(r"([+-]?\d+(?:\.\d*)?)db", value):
        return float(10 ** (float(found[1]) / 20))
    found = re.fullmatch(r"([+-]?)(\d+(?:\.\d*)?)(%?)", value)
    if not found:
        return None
    share = float(found[2]) / 100
    if found[1] and found[3]:
        return max(0.0, 1 + share if found[1] == "+" else 1 - share)
    return share if not found[1] and share <= 1 else None
