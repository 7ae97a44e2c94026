"""What a voice may be called: a name in any script that is a folder on every system."""

import re
import unicodedata

from voxcli.errors import RequestError

_MOST_CHARACTERS = 64
_MOST_BYTES = 200
"""File systems stop at 255."""

_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|(COM|LPT)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
"""Devices of Windows, whatever follows the first dot."""


def check_name(name: str) -> str:
    """Return a name in the one way it is written here.

    Raises:
        RequestError: it cannot be a folder.
    """
    name = unicodedata.normalize("NFC", name)
    if _RESERVED.fullmatch(name):
        raise RequestError(f"A voice cannot be called {name!r}: Windows keeps that name for itself. Choose another.")
    if not is_name(name):
        raise RequestError(
            f"A voice cannot be called {name!r}: use letters, digits, spaces, '.', '_' and '-', "
            f"with a letter or digit at both ends, {_MOST_CHARACTERS} characters at most."
        )
    return name


def is_name(name: str) -> bool:
    """Tell whether a folder of this name can be a voice."""
    return (
        0 < len(name) <= _MOST_CHARACTERS
        and all(_is_letter(c) or c in " .-" for c in name)
        and _is_letter(name[0])
        and not unicodedata.category(name[0]).startswith("M")
        and _is_letter(name[-1])
        and len(name.encode()) <= _MOST_BYTES
        and not _RESERVED.fullmatch(name)
    )


def name_from(text: str) -> str | None:
    """Return a name near to a text, such as that of a file; None if there is none."""
    kept = "".join(c if _is_letter(c) or c in " .-" else "-" for c in unicodedata.normalize("NFC", text))
    while kept and not is_name(kept) and not _RESERVED.fullmatch(kept):
        # From the end that does not fit; a text that is only too long loses its end.
        kept = kept[1:] if not is_name(kept[0]) else kept[:-1]
    return kept if is_name(kept) else None


def folded(name: str) -> str:
    """Return what two names have in common that differ only in case or in how accents are encoded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _is_letter(character: str) -> bool:
    """Letters and digits of any script, and the marks that many scripts write vowels with."""
    return character == "_" or unicodedata.category(character)[0] in "LNM"
