"""Speakers of a script: their voices from a cast, and the model that has them."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, cycle, zip_longest
from pathlib import Path

import typer

from voxcli.cli.commands.chosen import engine_name
from voxcli.cli.commands.voice_choice import check_known, problem_of, with_model_of_voice
from voxcli.cli.console import Console
from voxcli.cli.files import read_clip
from voxcli.cli.options.parameters import on_command_line
from voxcli.cli.settings.files import voice_library
from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL
from voxcli.engines.kokoro.speakers import VOICES as KOKORO_VOICES
from voxcli.engines.settings import EngineSettings
from voxcli.errors import NotFound, RequestError
from voxcli.synthesis.marked_up import check_speeds
from voxcli.synthesis.pipeline import Delivery, Speakers
from voxcli.synthesis.request import FASTEST, SLOWEST, Prompt, Voice
from voxcli.text.language import CHINESE, base_language, language_of
from voxcli.text.parts import TextPiece
from voxcli.text.script import ScriptNames, ScriptReader, UnknownName, names_in, read_script
from voxcli.text.ssml.reader import read_ssml
from voxcli.voices.cast import NARRATOR, Cast, CastMember, read_cast
from voxcli.voices.named import DEFAULT, NAMED_VOICES

AUTO = "auto"
_BUILTIN_VARIANTS = ("en-us+f2", "en-us+m3", "en-us+f4", "en-us+m7", "en-us+f5", "en-us+m1")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A text with speakers, and how it is read."""

    engine: EngineSettings
    delivery: Delivery
    """Of what has no name."""
    speakers: Speakers = field(default_factory=dict)
    pieces: Callable[[Iterable[TextPiece], bool], Iterator[TextPiece]]
    """Splits the text into turns; the second argument tells whether voices follow directions."""


def open_script(
    context: typer.Context,
    cast_file: str | None,
    text: str | None,
    engine: EngineSettings,
    delivery: Delivery,
    console: Console,
) -> Script:
    """Choose the voice of each speaker, and the engine, before anything is spoken.

    Args:
        cast_file: a file, or "auto"; None if the text only names voices in brackets.
        text: if it is complete; of one that is still arriving, an unknown name is an error when it arrives.
        engine: which another one replaces if it alone has the voices.
        delivery: of what has no name, unless the cast says otherwise.

    Raises:
        RequestError: a name is not in the cast, or a voice cannot be used; the message lists all of them.
    """
    if cast_file == AUTO:
        cast = _assigned(text, engine, console)
    else:
        cast = read_cast(Path(cast_file)) if cast_file else Cast(members={})
    names = replace(cast.names(), lines=cast_file is not None)
    turns = _turns(text, names, cast_file) if text is not None else {}
    members = {**{name: CastMember(voice=name) for name in turns if name not in cast.members}, **cast.members}
    warned: set[str] = set()

    def pieces(pieces: Iterable[TextPiece], styles: bool) -> Iterator[TextPiece]:
        directions = cast.read_directions
        reader = ScriptReader(names, pause=cast.pause, read_directions=directions, styles=styles, warned=warned)
        return reader.pieces(pieces)

    return _with_voices(context, cast.narrator, members, engine, delivery, pieces)


def open_ssml(context: typer.Context, text: str, engine: EngineSettings, delivery: Delivery) -> Script:
    """Choose the voices that a document of SSML names, and the engine, before anything is spoken.

    Raises:
        RequestError: the document cannot be spoken, or a voice cannot be used; the message lists all that is wrong.
    """
    document = read_ssml(text)
    check_speeds(document.pieces, delivery.speed)
    members = {name: CastMember(voice=name) for name in document.voices}
    return _with_voices(context, CastMember(), members, engine, delivery, lambda pieces, styles: iter(document.pieces))


def _with_voices(
    context: typer.Context,
    narrator: CastMember,
    members: Mapping[str, CastMember],
    engine: EngineSettings,
    delivery: Delivery,
    pieces: Callable[[Iterable[TextPiece], bool], Iterator[TextPiece]],
) -> Script:
    """Choose the engine that has the voices, and how each speaker speaks."""
    if not on_command_line(context, "model"):
        for member in (narrator, *members.values()):
            engine = with_model_of_voice(member.voice, engine) if member.voice else engine
            if member.voice and engine.model:
                break
    if on_command_line(context, "voice"):
        narrator = replace(narrator, voice=None)
    _check_voices({NARRATOR: narrator, **members}, engine)
    speakers = {name: _delivery_of(name, member, delivery) for name, member in members.items()}
    own = _delivery_of(NARRATOR, narrator, delivery, voice=delivery.voice)
    return Script(engine=engine, delivery=own, speakers=speakers, pieces=pieces)


def _turns(text: str, names: ScriptNames, cast_file: str | None) -> Mapping[str, None]:
    """Return the speakers of a script; refuse those that are not in the cast."""
    turns, unknown = read_script(text, names)
    if unknown:
        cast = "the cast" if cast_file in (None, AUTO) else cast_file
        raise RequestError(unknown_names(unknown, cast))
    return turns


def unknown_names(unknown: Iterable[UnknownName], cast: str) -> str:
    """Say which names are not in a cast, where they are, and what to do about it."""
    lines: dict[str, list[int]] = defaultdict(list)
    for name, line in unknown:
        lines[name].append(line)
    found = ", ".join(
        f"{name} (line{'s' if len(places) > 1 else ''} {', '.join(map(str, places))})" for name, places in lines.items()
    )
    first = next(iter(lines))
    return (
        f'{cast} does not have: {found}. Give each a voice there, as in: {_quoted(first)} = "VOICE". '
        f'If it is no name: prose = ["{first}"]'
    )


def _quoted(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'


def _check_voices(members: Mapping[str, CastMember], engine: EngineSettings) -> None:
    """Check that the engine has the voices, as far as that is known before it is loaded."""
    problems = []
    for name, member in members.items():
        if member.voice is None:
            continue
        own = voice_library().find(member.voice)
        try:
            if own is None:
                check_known(member.voice, engine)
            if problem := problem_of(own, member.voice, engine, member.language):
                problems.append(f"{name}: the voice {member.voice!r} cannot be used: {problem}.")
        except NotFound as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise RequestError(" ".join(problems))


def _delivery_of(name: str, member: CastMember, whole: Delivery, *, voice: Voice | None = None) -> Delivery:
    """Return how a member of a cast speaks.

    voice: if the member has none.
    """
    speed = whole.speed * member.speed
    if not SLOWEST <= speed <= FASTEST:
        raise RequestError(f"The speed of {name}, {speed:g} with --speed, is outside {SLOWEST:g} to {FASTEST:g}.")
    return replace(
        whole,
        voice=_voice_of(name, member, voice or Voice()),
        speed=speed,
        volume=whole.volume * member.volume,
        language=member.language or whole.language,
    )


def _voice_of(name: str, member: CastMember, other: Voice) -> Voice:
    if member.clip:
        clip = read_clip(member.clip)
        spoken = Voice(prompt=Prompt(clip, member.transcript)) if member.transcript else Voice(reference=clip)
    elif member.voice:
        spoken = voice_library().find(member.voice) or Voice(name=member.voice)
    else:
        spoken = other
    return replace(spoken, style=member.style or spoken.style)


def _assigned(text: str | None, engine: EngineSettings, console: Console) -> Cast:
    """Give each name that is found in a script a voice of its own."""
    if text is None:
        raise RequestError(
            "A cast cannot be chosen for a text that is still arriving.",
            on_command_line="Write the text to a file and name it with -f, or write a cast: voxcli help pronunciation",
        )
    if engine.remote:
        raise RequestError(
            "A cast cannot be chosen for a server, whose voices are not known.", on_command_line="Write a cast file."
        )
    names = names_in(text)
    if not names:
        raise RequestError("No line of the text begins with a name, as in ANNA: Hello.")
    model = engine_name(engine)
    voices = _voices_of(model, text)
    if len(names) > len(voices):
        _log.warning("There are %d speakers and %d voices: some share one.", len(names), len(voices))
    members = {name: CastMember(voice=voice) for name, voice in zip(names, cycle(voices), strict=False)}
    console.note("The cast: " + ", ".join(f'{_quoted(name)} = "{member.voice}"' for name, member in members.items()))
    return Cast(members=members)


def _voices_of(model: str, text: str) -> list[str]:
    """Return voices of a model that differ, those of women and men in turn, without the one that it speaks with."""
    if model == BUILTIN_MODEL:
        return list(_BUILTIN_VARIANTS)
    if model != KOKORO_MODEL:
        return [name for name in NAMED_VOICES if name != DEFAULT]
    chinese = language_of(text) == CHINESE
    fitting = [v for v in KOKORO_VOICES.values() if (base_language(v.language) == "zh") == chinese]
    fitting = [voice for voice in fitting if chinese or base_language(voice.language) == "en"]
    women, men = ([v.name for v in fitting if v.gender == gender] for gender in ("female", "male"))
    return [name for name in chain.from_iterable(zip_longest(women[1:], men)) if name]
