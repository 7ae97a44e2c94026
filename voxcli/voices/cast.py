"""Casts: files in TOML that give each name in a script a voice, and say how it speaks."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxcli.errors import RequestError, did_you_mean
from voxcli.synthesis.request import FASTEST, SLOWEST
from voxcli.text.language_names import language_code
from voxcli.text.script import ScriptNames

NARRATOR = "narrator"
"""The table of what has no name in a script."""
DEFAULT_PAUSE = 0.3
"""Seconds between two speakers."""
_MOST_PAUSE, _MOST_VOLUME = 60.0, 4.0
_EXAMPLE = 'ANNA = "af_bella", or a table: [ANNA] with voice = "af_bella" and speed = 1.1'


@dataclass(frozen=True, slots=True, kw_only=True)
class CastMember:
    """How one name in a script speaks."""

    voice: str | None = None
    style: str | None = None
    clip: Path | None = None
    """A recording to imitate."""
    transcript: str | None = None
    """Of the clip."""
    speed: float = 1.0
    volume: float = 1.0
    language: str | None = None
    also: tuple[str, ...] = ()
    """Other spellings of the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The speakers of a script."""

    members: Mapping[str, CastMember]
    narrator: CastMember = field(default_factory=CastMember)
    pause: float = DEFAULT_PAUSE
    read_directions: bool = True
    prose: frozenset[str] = frozenset()
    """Words in capitals before a colon that are no names."""

    def names(self) -> ScriptNames:
        """Return the names that a script is read with."""
        spellings = {spelling: name for name, member in self.members.items() for spelling in (name, *member.also)}
        return ScriptNames(speakers=spellings, prose=self.prose, any_voice=True)


def read_cast(path: Path) -> Cast:
    """Read a cast.

    Raises:
        RequestError: it cannot be read, or something in it is wrong; the message names all of it.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise RequestError(f"Cannot read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is not UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"{path} is not valid TOML: {error}.") from error
    reader = _Reader(path.parent)
    cast = reader.cast(values)
    if reader.problems:
        raise RequestError(f"{path}: {' '.join(reader.problems)}")
    return cast


class _Reader:
    """Turns the values of a file into a cast, and collects what is wrong with them."""

    def __init__(self, folder: Path) -> None:
        self.problems: list[str] = []
        self._folder = folder

    def cast(self, values: Mapping[str, Any]) -> Cast:
        settings = {name: values[name] for name in _SETTINGS if name in values}
        members = {
            name: self._member(name, value)
            for name, value in values.items()
            if name not in settings and name != NARRATOR and self._is_name(name, value)
        }
        self._check_spellings(members)
        directions = settings.get("directions", "read")
        if directions not in ("read", "skip"):
            self.problems.append(f'directions is {directions!r}; it can be "read" or "skip".')
        prose = settings.get("prose", [])
        if not _is_texts(prose):
            self.problems.append('prose is a list of words, such as ["NOTE"].')
            prose = []
        return Cast(
            members=members,
            narrator=self._member(NARRATOR, values.get(NARRATOR, {})),
            pause=self._number("pause", settings.get("pause", DEFAULT_PAUSE), 0.0, _MOST_PAUSE),
            read_directions=directions == "read",
            prose=frozenset(prose),
        )

    def _is_name(self, name: str, value: Any) -> bool:
        if isinstance(value, (str, dict)):
            return True
        guess = did_you_mean(name, _SETTINGS)
        self.problems.append(f"{name} is neither a setting nor a speaker.{guess} A speaker is written as {_EXAMPLE}.")
        return False

    def _member(self, name: str, value: Any) -> CastMember:
        if isinstance(value, str):
            value = {"voice": value}
        if not isinstance(value, dict):
            self.problems.append(f"{name} is written as {_EXAMPLE}.")
            return CastMember()
        for key in value:
            if key not in _KEYS:
                known = ", ".join(_KEYS)
                self.problems.append(f"{name} has an unknown key {key!r}.{did_you_mean(key, _KEYS)} Known: {known}.")
        texts = {key: self._text(name, key, value.get(key)) for key in ("voice", "style", "transcript", "language")}
        clip = self._text(name, "clip", value.get("clip"))
        if clip and texts["voice"]:
            self.problems.append(f"{name} has both a voice and a clip: give one of them.")
        if texts["transcript"] and not clip:
            self.problems.append(f"{name} has a transcript, and no clip that it is of.")
        language = texts.pop("language")
        also = value.get("also", [])
        if not _is_texts(also):
            self.problems.append(f"{name}.also is a list of names.")
            also = []
        return CastMember(
            **texts,
            clip=self._folder / Path(clip).expanduser() if clip else None,
            language=language and (language_code(language) or language),
            speed=self._number(f"{name}.speed", value.get("speed", 1.0), SLOWEST, FASTEST),
            volume=self._number(f"{name}.volume", value.get("volume", 1.0), 0.0, _MOST_VOLUME),
            also=tuple(also),
        )

    def _text(self, name: str, key: str, value: Any) -> str | None:
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.problems.append(f"{name}.{key} is {value!r}; it has to be a text.")
        return None

    def _number(self, name: str, value: Any, least: float, most: float) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most:
            return float(value)
        self.problems.append(f"{name} is {value!r}; it has to be a number from {least:g} to {most:g}.")
        return least

    def _check_spellings(self, members: Mapping[str, CastMember]) -> None:
        seen: dict[str, str] = {}
        for name, member in members.items():
            for spelling in (name, *member.also):
                folded = " ".join(spelling.split()).casefold()
                if folded in seen:
                    self.problems.append(f"The name {spelling!r} is there twice.")
                seen[folded] = name


_SETTINGS = ("pause", "directions", "prose")
_KEYS = ("voice", "style", "clip", "transcript", "speed", "volume", "language", "also")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
