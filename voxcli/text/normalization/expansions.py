"""Expansions: short forms, addresses and Roman numerals in English words, before numbers are read."""

import re

from voxcli.text.normalization.english_words import MEASURED_SHORT_FORMS, REGNAL_NAMES, ROMAN_CONTEXTS, SHORT_FORMS
from voxcli.text.normalization.numerals import cardinal, digit_names, ordinal

_HOST = r"(?: [A-Za-z0-9-]{1,60} (?: \.[A-Za-z0-9-]{1,60} ){1,9} )"
_TOP_DOMAIN = "com|org|net|edu|gov|io|ai|cn|co|uk|de|fr|jp|dev|app|info|tv|xyz|eu|ru|gg|tech|cloud|hk|tw|nl|ch|ca|au"
_SUFFIX = (
    "pdf|txt|docx?|xlsx?|pptx?|csv|json|ya?ml|toml|py|js|ts|md|html?|css|png|jpe?g|gif|svg|mp[34]|wav|flac|ogg|opus|zip|"
    "tar|gz|exe|log|conf|cfg|ini|sh|bat|xml|sql|ipynb|epub|safetensors|gguf|pth|so|dll|cpp|rs|go|java"
)
_PATH = r"[A-Za-z0-9./?=&%\#~_:+-]{0,200}"
_ADDRESS = re.compile(
    rf"""
    (?<![A-Za-z0-9.@/\\_-])
    (?: (?: https?:// | ftp:// | www\. ) {_HOST} (?: :\d{{2,5}} )? (?: /{_PATH} )?
      | [A-Za-z0-9.+_-]{{1,60}}@{_HOST}
      | (?: [A-Za-z0-9-]{{1,60}}\. ){{1,6}}(?:{_TOP_DOMAIN})(?![A-Za-z0-9]) (?: :\d{{2,5}} )? (?: /{_PATH} )?
      | localhost:\d{{2,5}} (?: /{_PATH} )?
      | ~?(?: /[A-Za-z0-9_.+-]{{1,60}} ){{2,12}}/?
      | [A-Za-z]:\\[A-Za-z0-9_.\\-]{{1,200}}
      | (?: \.{{0,2}}/ )? (?: [A-Za-z0-9_-]{{1,60}}[/.] ){{1,12}}(?:{_SUFFIX})(?![A-Za-z0-9])
    )
    (?<! [.?:] ) (?! [A-Za-z0-9_] | [A-Za-z0-9.+_-]{{0,60}}@ )
    """,
    re.VERBOSE,
)
_ADDRESS_SIGNS = {
    ".": "dot",
    "@": "at",
    "/": "slash",
    "\\": "backslash",
    ":": "colon",
    "-": "dash",
    "_": "underscore",
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "%": "percent",
    "#": "hash",
    "~": "tilde",
    "+": "plus",
}
_ADDRESS_PIECE = re.compile(r"[A-Za-z]+|\d+|.")

_SHORT_FORM = re.compile(
    rf"\b(?:{'|'.join(map(re.escape, SHORT_FORMS))})|\b(?:{'|'.join(map(re.escape, MEASURED_SHORT_FORMS))})(?= ?\d)"
)
_ROMAN = r"(?=[IVXL])(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_NUMBERED = re.compile(rf"\b({'|'.join(ROMAN_CONTEXTS)}) ({_ROMAN})\b(?!['’.]\w)")
_REIGNING = re.compile(
    rf"\b({'|'.join(REGNAL_NAMES)}) (?!I\b(?! (?:of|was|ruled|died|reigned)\b))({_ROMAN})\b(?!['’.]\w)"
)
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}


def expanded(text: str) -> str:
    """Return the text with short forms such as "Dr.", Roman numerals, and web and mail addresses in words."""
    text = _SHORT_FORM.sub(lambda short: SHORT_FORMS.get(short[0]) or MEASURED_SHORT_FORMS[short[0]], text)
    text = text.replace("WWII", "World War II").replace("WWI ", "World War I ")
    text = _NUMBERED.sub(lambda name: f"{name[1]} {cardinal(_roman(name[2]))}", text)
    text = _REIGNING.sub(lambda name: f"{name[1]} the {ordinal(_roman(name[2]))}", text)
    return _ADDRESS.sub(_spelled_address, text)


def _roman(numeral: str) -> int:
    values = [_ROMAN_VALUES[letter] for letter in numeral]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


def _spelled_address(address: re.Match[str]) -> str:
    """Read the letters of an address as words, its digits one by one, and its signs by their names."""
    written = address[0].split("://")[-1].rstrip("/")
    words = [
        digit_names(piece) if piece.isdecimal() else _ADDRESS_SIGNS.get(piece, piece)
        for piece in _ADDRESS_PIECE.findall(written)
    ]
    return " ".join("WWW" if word == "www" else word for word in words)
