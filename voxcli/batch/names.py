"""Names of files that are made from a list: by a template or as given, and allowed on every system."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from string import Formatter
from typing import Any

from voxcli.errors import RequestError, did_you_mean

DEFAULT_TEMPLATE = "{n:04}.{ext}"
_MOST_BYTES = 200
"""Of one part of a path in UTF-8: file systems allow 255, and a hidden name beside it needs some."""
_MOST_OF_VALUE = 80
_MOST_PARTS = 8
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|(COM|LPT)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
"""Names of devices on Windows, with any suffix."""
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
"""In a part of a path, by some system."""


class NameTemplate:
    """A template for names, such as "{n:04}-{voice}.{ext}": its fields are n, line, ext and the columns of a list."""

    def __init__(self, template: str) -> None:
        """
        Raises:
            RequestError: it is not a template of a safe name.
        """
        self.template = template
        try:
            self._pieces = list(Formatter().parse(template))
        except ValueError as error:
            raise RequestError(f"The template {template!r} cannot be read: {error}.") from error
        self.fields = [name for _, name, _, _ in self._pieces if name is not None]
        """The names of its fields."""
        for name in self.fields:
            if not re.fullmatch(r"\w+", name):
                raise RequestError(f"{{{name}}} in the template {template!r} is not a name, such as {{n}}.")
        if not self.fields:
            raise RequestError(f"With the template {template!r}, all files have one name. Put {{n}} in.")
        if ("ext" in self.fields and not template.endswith(".{ext}")) or self.fields.count("ext") > 1:
            raise RequestError(f"{{ext}} belongs at the end of the template {template!r}, after a dot.")
        check_name(self._filled(lambda name, spec: "x"))

    def name(self, values: Mapping[str, Any]) -> str:
        """Return the name for a row. What no system allows in a value is left out.

        Raises:
            RequestError: the row lacks a value, or it cannot be written as the template asks.
        """

        def value_of(name: str, spec: str) -> str:
            if name not in values:
                near = did_you_mean(name, values)
                raise RequestError(f"The row has no {name!r}, which the template {self.template!r} asks for.{near}")
            try:
                written = format(values[name], spec)
            except (ValueError, TypeError):
                raise RequestError(
                    f"{{{name}:{spec}}} in the template {self.template!r} does not fit {values[name]!r}."
                ) from None
            return _clean(written) or "_"

        return check_name(_shortened(self._filled(value_of)))

    def _filled(self, value_of: Callable[[str, str], str]) -> str:
        pieces = self._pieces
        return "".join(text + ("" if name is None else value_of(name, spec or "")) for text, name, spec, _ in pieces)


def check_name(name: str) -> str:
    """Return a relative path, with / between its parts, that means the same file on every system.

    Raises:
        RequestError: it leads out of the folder, or some system does not allow it; the message has one that is allowed.
    """
    name = unicodedata.normalize("NFC", name)
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in parts:
        raise RequestError(f"{name!r} leads out of the folder. Name a file in it.")
    if len(parts) > _MOST_PARTS:
        raise RequestError(f"{name!r} has more than {_MOST_PARTS} parts.")
    if any(map(_is_wrong, parts)) or "\\" in name:
        instead = "/".join(_clean_part(part) for part in parts)
        raise RequestError(f"{name!r} is not allowed as a name on every system. Instead: {instead!r}.")
    return name


def folded_name(name: str) -> str:
    """Return what is equal for names that some system takes for the same file."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def with_suffix(name: str, suffix: str) -> str:
    """Return a name with another suffix in the place of its last one."""
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}{suffix}"))


def _is_wrong(part: str) -> bool:
    return (
        not part
        or part != part.strip()
        or part.startswith(".")
        or part.endswith(".")
        or len(part.encode("utf-8", "replace")) > _MOST_BYTES
        or _FORBIDDEN.search(part) is not None
        or _RESERVED.fullmatch(part) is not None
        or any(unicodedata.category(char) in ("Cs", "Cc", "Cf", "Zl", "Zp") for char in part)
    )


def _clean(value: str) -> str:
    """Return a value without the characters that some system forbids in names, and not too long."""
    kept = "".join(" " if unicodedata.category(char) in ("Cs", "Cc", "Cf", "Zl", "Zp") else char for char in value)
    kept = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", kept))
    kept = re.sub(r"\.{2,}", ".", kept)
    return " ".join(kept.split())[:_MOST_OF_VALUE].strip(" .")


def _clean_part(part: str) -> str:
    kept = _clean(part).lstrip(".") or "_"
    return _shortened(f"_{kept}" if _RESERVED.fullmatch(kept) else kept)


def _shortened(name: str) -> str:
    """Return a path whose parts are short enough, with the suffix kept. Whole characters are cut off."""
    return "/".join(map(_shortened_part, name.split("/")))


def _shortened_part(part: str) -> str:
    stem, dot, suffix = part.rpartition(".") if "." in part[1:] else (part, "", "")
    room = _MOST_BYTES - len(f"{dot}{suffix}".encode("utf-8", "replace"))
    cut = stem.encode("utf-8", "replace")[: max(room, 1)].decode("utf-8", "ignore").rstrip(" .")
    kept = f"{cut}{dot}{suffix}"
    return f"_{kept}" if _RESERVED.fullmatch(kept) else kept
