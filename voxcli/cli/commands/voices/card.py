"""Description of one voice of the library, as a document and as a table."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxcli.audio.clip_quality import inspect
from voxcli.audio.decode import decode
from voxcli.errors import RequestError
from voxcli.synthesis.request import Clip, Voice
from voxcli.voices import Notes


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
