"""Description of a model, read without loading it."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.cli.commands.running.view import summary_of
from voxcli.cli.settings.files import find_user_places
from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL
from voxcli.engines.espeak.library import load_espeak
from voxcli.engines.kokoro.speakers import VOICES as KOKORO_VOICES
from voxcli.models.catalog import HUB_TITLES, LICENCE, short_name
from voxcli.models.checkpoint import WEIGHTS, find_weights, needed_files, read_index
from voxcli.models.kokoro import load_kokoro
from voxcli.voxcpm.network.config import Architecture, read_config
from voxcli.voxcpm.weights.prepared_folder import PreparedFolder, PreparedModel

if TYPE_CHECKING:
    from voxcli.models.library import ModelLibrary

_VOICES = {
    Architecture.V1: ["drawn at random", "continue from a clip, with its transcript"],
    Architecture.V2: [
        "drawn at random",
        "continue from a clip, with its transcript",
        "imitate a clip without its transcript",
        "both together",
        "a style in parentheses, such as (an old man, unhurried)",
    ],
}


def describe(library: "ModelLibrary", name: str) -> dict[str, Any]:
    """Return the description of a model as a document.

    Raises:
        NotFound: it is not installed.
        ModelError: it is damaged.
    """
    folder = library.load(name)
    config = read_config(folder)
    hub, model_id = library.origin(folder) or (None, None)
    return {
        "name": short_name(model_id) if model_id else name,
        "id": model_id,
        "hub": hub,
        "revision": folder.name if model_id else None,
        "folder": str(folder),
        "architecture": str(config.architecture),
        "sample_rate": config.codec.output_rate,
        "patch_seconds": config.patch_samples / config.codec.output_rate,
        "max_length": config.max_length,
        "dtype": config.dtype,
        "parameters": _count_parameters(folder),
        "voices": _VOICES[config.architecture],
        "files": {file: (folder / file).stat().st_size for file in _files_of(folder)},
        "prepared": [
            {
                "file": str(file.path),
                "bytes": file.size,
                "dtype": file.about["dtype"],
                "quantize": file.about["quantize"],
            }
            for file in prepared_in(path.parent for path in find_weights(folder))
        ],
    }


def prepared_in(folders: Iterable[Path]) -> list[PreparedModel]:
    """Return the files of prepared weights whose checkpoints are in these folders."""
    places = [folder.resolve() for folder in folders]
    return [
        file
        for file in PreparedFolder(find_user_places().prepared).files()
        if any(Path(weights).is_relative_to(place) for weights in file.about["weights"] for place in places)
    ]


def describe_builtin() -> dict[str, Any]:
    """Return the description of the built-in model as a document."""
    espeak = load_espeak()
    return {
        "name": BUILTIN_MODEL,
        "state": "built-in",
        "engine": "eSpeak NG, a separate package (GPL-3.0-or-later)",
        "sample_rate": espeak.sample_rate,
        "languages": len({voice.language.partition("-")[0] for voice in espeak.voices.values()}),
        "voices": [f"{len(espeak.voices)} and {len(espeak.variants)} variants: voxcli voices --all"],
    }


def describe_kokoro(library: "ModelLibrary") -> dict[str, Any]:
    """Return the description of Kokoro as a document.

    Raises:
        NotFound: it is not installed.
    """
    source = load_kokoro(library)
    return {
        "name": KOKORO_MODEL,
        "state": "ready" if source.is_pulled else "packages",
        "engine": "Kokoro-82M v1.0 by hexgrad, in 8 bits, by ONNX Runtime; hibari for English alone",
        "licence": LICENCE,
        "folder": str(source.folder),
        "sha256": source.digest,
        "sample_rate": 24_000,
        "languages": list(dict.fromkeys(voice.about.partition(",")[0] for voice in KOKORO_VOICES.values())),
        "voices": [f"{len(KOKORO_VOICES)}: voxcli voices"],
        "files": {path.parent.name + "/" + path.name: path.stat().st_size for path in source.paths},
    }


def to_rows(card: dict[str, Any]) -> list[list[str]]:
    """Return the rows of a table for what `describe` returns."""
    from rich.filesize import decimal

    if card["name"] == KOKORO_MODEL:
        return [
            ["model", card["name"]],
            ["engine", card["engine"]],
            ["licence", card["licence"]],
            ["folder", card["folder"]],
            ["sound", f"{card['sample_rate']} Hz"],
            ["languages", ", ".join(card["languages"])],
            *_listed("voices", card["voices"]),
            *_listed("in memory", [summary_of(engine) for engine in card["engines"]]),
            *_listed("files", [f"{name}  {decimal(size)}" for name, size in card["files"].items()]),
        ]
    if card["name"] == BUILTIN_MODEL:
        return [
            ["model", f"{card['name']}, built in"],
            ["engine", card["engine"]],
            ["sound", f"{card['sample_rate']} Hz"],
            ["languages", str(card["languages"])],
            *_listed("voices", card["voices"]),
        ]
    rows = [["model", card["name"]]]
    if card["id"]:
        rows += [["from", f"{card['id']} on {HUB_TITLES[card['hub']]}"], ["revision", card["revision"]]]
    rows += [
        ["folder", card["folder"]],
        ["architecture", card["architecture"]],
        ["sound", f"{card['sample_rate']} Hz, {1000 * card['patch_seconds']:.0f} ms per patch"],
        ["context", f"{card['max_length']} positions for text, clips and speech"],
        ["weights", _describe_weights(card)],
    ]
    rows += _listed("voices", card["voices"])
    rows += _listed("in memory", [summary_of(engine) for engine in card["engines"]])
    rows += _listed("files", [f"{name}  {decimal(size)}" for name, size in card["files"].items()])
    prepared = [f"{kept['quantize'] or kept['dtype']}  {decimal(kept['bytes'])}" for kept in card["prepared"]]
    return rows + _listed("prepared", prepared)


def _listed(label: str, lines: list[str]) -> list[list[str]]:
    return [[label if number == 0 else "", line] for number, line in enumerate(lines)]


def _describe_weights(card: dict[str, Any]) -> str:
    if not card["parameters"]:
        return f"run in {card['dtype']}"
    parts = [f"{count / 1e6:,.0f} M in {dtype}" for dtype, count in card["parameters"].items()]
    return f"{' and '.join(parts)}, run in {card['dtype']}"


def _count_parameters(folder: Path) -> dict[str, int]:
    """Count the parameters by dtype. Only safetensors files tell without being loaded."""
    path = folder / WEIGHTS[0]
    return dict(read_index(path).numbers.most_common()) if path.is_file() else {}


def _files_of(folder: Path) -> list[str]:
    chosen, _ = needed_files({path.name for path in folder.iterdir()})
    return chosen
