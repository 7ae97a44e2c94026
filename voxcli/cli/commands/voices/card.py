"""Description of one voice of the library, as a document and as a table."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxcli.audio.clip_quality import inspect
from voxcli.audio.decode import decode
from voxcli.cli.settings.files import model_library
from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL, can_run_kokoro
from voxcli.engines.espeak.languages import find_language
from voxcli.engines.espeak.library import load_espeak
from voxcli.engines.kokoro.speakers import SPEAKERS_OF_NAMED
from voxcli.engines.kokoro.speakers import VOICES as KOKORO_VOICES
from voxcli.errors import RequestError
from voxcli.synthesis.request import Clip, Voice
from voxcli.voices import Notes
from voxcli.voices.named import NAMED_VOICES, find_named


def list_entries(own: list[str], *, show_all: bool) -> tuple[list[dict[str, Any]], int]:
    """Return the voices in the order of the list, and how many of the built-in model are left out.

    Args:
        own: the names of the user's voices. They hide voices of models with the same name.
    """
    taken = {name.lower() for name in own}
    entries: list[dict[str, Any]] = [{"name": name, "kind": "own"} for name in own]
    if can_run_kokoro(model_library()):
        entries += [
            {"name": voice.name, "kind": KOKORO_MODEL, "language": voice.language, "title": voice.about}
            for voice in KOKORO_VOICES.values()
            if voice.name not in taken
        ]
    entries += [
        {"name": voice.name, "kind": "model", "title": voice.description}
        for voice in NAMED_VOICES.values()
        if voice.name not in taken
    ]
    builtin = sorted(load_espeak().voices.values(), key=lambda voice: voice.name)
    if not show_all:
        return entries, len(builtin)
    return [
        *entries,
        *(
            {"name": voice.name, "kind": BUILTIN_MODEL, "language": voice.language, "title": voice.title}
            for voice in builtin
        ),
    ], 0


def describe_model_voice(name: str) -> dict[str, Any]:
    """Return the description of a voice that every model has, or of one of the built-in model, as a document."""
    if named := find_named(name):
        speakers = SPEAKERS_OF_NAMED.get(named.name)
        on_kokoro = f"; on Kokoro it is {speakers[0]}, in Chinese {speakers[1]}" if speakers else ""
        return {
            "name": named.name,
            "kind": "model",
            "title": named.description,
            "speaks": f"any; each draws the voice once and keeps it{on_kokoro}",
            "language": None,
        }
    if found := KOKORO_VOICES.get(name.strip().lower()):
        there = "" if can_run_kokoro(model_library()) else ", which is not installed"
        return {
            "name": found.name,
            "kind": KOKORO_MODEL,
            "title": found.about,
            "speaks": f"Kokoro{there}",
            "language": found.language,
        }
    base, _, variant = name.partition("+")
    voices = load_espeak().voices
    voice = (voices.get(base.lower()) or find_language(base, voices)) if base else None
    title = [voice.title] if voice else []
    return {
        "name": name,
        "kind": BUILTIN_MODEL,
        "title": ", ".join([*title, f"variant {variant}"] if variant else title),
        "speaks": "the built-in model",
        "language": voice.language if voice else None,
    }


def describe(name: str, voice: Voice, notes: Notes, folder: Path) -> dict[str, Any]:
    """Return the description of a voice as a document. Keys end in their unit."""
    return {
        "name": name,
        "style": voice.style,
        "reference": _describe_clip(voice.reference) if voice.reference else None,
        "prompt": _describe_clip(voice.prompt.clip) if voice.prompt else None,
        "transcript": voice.prompt.transcript if voice.prompt else None,
        **asdict(notes),
        "folder": str(folder),
    }


def to_rows(card: dict[str, Any]) -> list[list[str]]:
    """Return the rows of a table for what `describe` returns."""
    rows = [["NAME", card["name"]]]
    if "kind" in card:
        rows += [["KIND", card["kind"]], ["ABOUT", card["title"]], ["MODEL", card["speaks"]]]
        return [*rows, ["USE", f"voxcli say TEXT --voice {card['name']}"]]
    for kind in ("reference", "prompt"):
        if clip := card[kind]:
            length = f"{clip['seconds']:.1f} s, {clip['sample_rate']} Hz, " if clip["seconds"] is not None else ""
            rows.append([kind.upper(), f"{length}{clip['bytes'] / 1000:.0f} kB"])
            rows += [["", remark] for remark in clip["remarks"]]
    if card["transcript"]:
        rows.append(["TRANSCRIPT", card["transcript"]])
    if card["style"]:
        rows.append(["STYLE", card["style"]])
    if card["consent"]:
        rows.append(["CONSENT", card["consent"]])
    if card["model"]:
        rows.append(["MODEL", card["model"]])
    if made := " ".join(filter(None, (card["created"], card["voxcli"] and f"by voxcli {card['voxcli']}"))):
        rows.append(["CREATED", made])
    return [*rows, ["FOLDER", card["folder"]]]


def _describe_clip(clip: Clip) -> dict[str, Any]:
    try:
        report = inspect(decode(clip.data, name=clip.name))
    except RequestError as error:
        return {"bytes": len(clip.data), "seconds": None, "sample_rate": None, "remarks": [str(error)]}
    return {
        "bytes": len(clip.data),
        "seconds": round(report.seconds, 3),
        "sample_rate": report.sample_rate,
        "remarks": list(report.remarks),
    }
