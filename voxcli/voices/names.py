"""Names of voices: valid in any script, and as a folder on every operating system."""

import re
import unicodedata

from voxcli.errors import RequestError

_MOST_CHARACTERS = 64
_MOST_BYTES = 200
"""UTF-8. File systems allow 255."""

_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|(COM|LPT)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
"""Device names of Windows, with any extension."""


def check_name(name: str) -> str:
    """Return a valid name in its stored form (NFC).

    Raises:
        RequestError: it is not valid; the message says what is allowed.
    """
    name = unicodedata.normalize("NFC", name)
    if _RESERVED.fullmatch(name):
        raise RequestError(f"A voice cannot be called {name!r}: Windows reserves that name. Choose another.")
    if not is_name(name):
        raise RequestError(
            f"A voice cannot be called {name!r}: use letters, digits, spaces, '.', '_' and '-', "
            f"with a letter or digit at both ends, {_MOST_CHARACTERS} characters at most."
        )
    return name


def is_name(name: str) -> bool:
    """Whether this is a valid name of a voice."""
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
    """Turn a text, such as a file name, into a valid name; None if nothing valid is left."""
    kept = "".join(c if _is_letter(c) or c in " .-" else "-" for c in unicodedata.normalize("NFC", text))
    while kept and not is_name(kept) and not _RESERVED.fullmatch(kept):
        # Trim the invalid end; a text that is only too long is trimmed at its end.
        kept = kept[1:] if not is_name(kept[0]) else kept[:-1]
    return kept if is_name(kept) else None


def folded(name: str) -> str:
    """Return the key under which names that differ only in case or in the encoding of accents are equal."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _is_letter(character: str) -> bool:
    """Letters, digits and combining marks of any script, and the underscore."""
    return character == "_" or unicodedata.category(character)[0] in "LNM"
