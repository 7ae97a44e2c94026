"""`voxcli models`: list, download, show and remove models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from voxcli.cli.console import Console, write_json, write_lines, write_table
from voxcli.cli.options import parameters as options
from voxcli.cli.settings.files import find_setting, model_library

if TYPE_CHECKING:
    from voxcli.models.library import InstalledModel

app = typer.Typer(name="models", help="List, download, show and remove models.", invoke_without_command=True)


def _installed_names(incomplete: str) -> list[str]:
    return [model.name for model in model_library().installed() if model.name.startswith(incomplete)]


def _shown_names(incomplete: str) -> list[str]:
    from voxcli.cli.options.completion import models

    return models(incomplete)


def _published_names(incomplete: str) -> list[str]:
    from voxcli.models.catalog import KNOWN

    return [known.name for known in KNOWN if known.name.startswith(incomplete)]


Installed = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="Name of an installed model: see `voxcli models`.", autocompletion=_installed_names
    ),
]
Shown = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of a model: see `voxcli models`.", autocompletion=_shown_names)
]
Published = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Name such as voxcpm-1.5, or model id on the hub; optionally with @REVISION.",
        autocompletion=_published_names,
    ),
]


@app.callback()
def models(context: typer.Context, json: options.Json = False) -> None:
    """List installed and available models."""
    if context.invoked_subcommand is None:
        list_models(context, json)


@app.command("list")
def list_models(context: typer.Context, json: options.Json = False) -> None:
    """List installed and available models. * marks the default."""
    from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL, best_model
    from voxcli.models.kokoro import find_kokoro

    library = model_library()
    default = _chosen_model(context) or best_model(library)
    entries = [_entry(model) for model in library.installed()]
    if (source := find_kokoro(library)) and not source.is_pulled:
        entries = [entry for entry in entries if entry["name"] != KOKORO_MODEL]
        entries.append({"name": KOKORO_MODEL, "state": "packages", "bytes": source.size, "folder": str(source.folder)})
    entries.append({"name": BUILTIN_MODEL, "state": "built-in"})
    for entry in entries:
        entry["default"] = default in (entry["name"], entry.get("id"))
    entries += _absent({entry["name"] for entry in entries})
    if json:
        write_json(entries)
        return
    _write_installed([entry for entry in entries if entry["state"] != "absent"])
    if not any(entry.get("default") for entry in entries):
        write_lines(["", f"The default is {default}, set in the settings: see `voxcli config show`."])
    if absent := [entry for entry in entries if entry["state"] == "absent"]:
        write_lines(["", "Available with `voxcli models pull MODEL`:"])
        write_table([["  " + entry["name"], entry["size"], entry["summary"]] for entry in absent])


@app.command("pull")
def pull(
    name: Published,
    source: Annotated[
        Literal["huggingface", "modelscope"], typer.Option("--from", help="Hub to download from.")
    ] = "huggingface",
    revision: Annotated[
        str | None, typer.Option("--revision", help="Branch, tag or commit. Default: the newest.")
    ] = None,
    yes: options.Yes = False,
    quiet: options.Quiet = False,
) -> None:
    """Download a model, and print its folder. An interrupted download resumes where it stopped."""
    from voxcli.cli.commands.models.pull import pull_model

    write_lines([str(pull_model(name, source, revision, yes=yes, console=Console(quiet=quiet)))])


@app.command("show")
def show(name: Shown, json: options.Json = False) -> None:
    """Show details of an installed model, of the built-in one, or of a folder with a checkpoint."""
    from voxcli.cli.commands.models.card import describe, describe_builtin, describe_kokoro, to_rows
    from voxcli.engines import BUILTIN_MODEL, KOKORO_MODEL

    match name:
        case _ if name == BUILTIN_MODEL:
            card = describe_builtin()
        case _ if name == KOKORO_MODEL:
            card = describe_kokoro(model_library())
        case _:
            card = describe(model_library(), name)
    if name != BUILTIN_MODEL:
        card["engines"] = _loaded_engines(Path(card["folder"]))
    if json:
        write_json(card)
    else:
        write_table(to_rows(card))


@app.command("rm")
def remove(name: Installed, yes: options.Yes = False) -> None:
    """Remove an installed model, with all its revisions and its prepared weights."""
    from shutil import rmtree

    from rich.filesize import decimal

    from voxcli.cli.commands.models.card import prepared_in
    from voxcli.cli.commands.running.selection import engines_in, stop_engines
    from voxcli.cli.console import confirm
    from voxcli.cli.settings.files import find_user_places
    from voxcli.engines import KOKORO_MODEL

    console, library = Console(), model_library()
    _refuse_packages(name)
    found = library.removable(name)
    prepared = prepared_in([repository.folder for repository in found])
    size = decimal(sum(repository.bytes_held() for repository in found) + sum(file.size for file in prepared))
    shared = any(repository.folder.parent == library.shared for repository in found)
    where = "the Hugging Face cache, which other programs share" if shared else "this machine"
    confirm(console, f"Remove {name} ({size}) from {where}?", yes=yes, command=f"voxcli models rm {name} --yes")
    stop_engines(engines_in(repository.folder for repository in found), console)
    library.remove(name)
    for file in prepared:
        file.path.unlink(missing_ok=True)
    if name == KOKORO_MODEL:
        rmtree(find_user_places().cache / KOKORO_MODEL, ignore_errors=True)
    console.note(f"Removed {name}, {size} freed.")


def _refuse_packages(name: str) -> None:
    """Refuse to remove Kokoro if its packages hold it: those are pip's."""
    from voxcli.engines import KOKORO_MODEL
    from voxcli.errors import RequestError
    from voxcli.models.kokoro import PACKAGES, find_kokoro

    source = find_kokoro(None)
    if name != KOKORO_MODEL or source is None or any(model.name == name for model in model_library().installed()):
        return
    packages = " ".join(package.replace("_", "-") for package in PACKAGES)
    raise RequestError(f"{name} was not pulled: packages hold it, in {source.folder}. Run: pip uninstall {packages}")


def _loaded_engines(folder: Path) -> list[dict[str, Any]]:
    """Describe the engines that hold a model in memory."""
    from voxcli.cli.commands.running.selection import engines_in
    from voxcli.cli.commands.running.view import describe
    from voxcli.cli.commands.warm import engine_registry

    registry = engine_registry()
    return [describe(engine, registry.log_path(engine.entry.key)) for engine in engines_in([folder])]


def _entry(model: "InstalledModel") -> dict[str, Any]:
    return {
        "name": model.name,
        "state": "incomplete" if model.missing else "ready",
        "id": model.model_id,
        "hub": model.hub,
        "revision": model.revision,
        "folder": str(model.folder),
        "bytes": model.size,
        "leftover_bytes": model.leftovers,
        "missing": list(model.missing),
    }


def _absent(present: set[str]) -> list[dict[str, Any]]:
    from voxcli.models.catalog import KNOWN

    return [
        {"name": known.name, "state": "absent", "size": known.size, "summary": known.summary, "default": False}
        for known in KNOWN
        if known.name not in present
    ]


def _write_installed(entries: list[dict[str, Any]]) -> None:
    rows = [["", "MODEL", "STATE", "SIZE", "WHERE"]]
    rows += [["*" if entry["default"] else "", entry["name"], *_cells(entry)] for entry in entries]
    write_table(rows)


def _cells(entry: dict[str, Any]) -> list[str]:
    from rich.filesize import decimal

    from voxcli.models.catalog import LICENCE

    if entry["state"] == "built-in":
        return ["built in", "", ""]
    if entry["state"] == "packages":
        return ["ready", decimal(entry["bytes"]), f"in packages of its own, {LICENCE}"]
    if entry["state"] == "incomplete":
        return ["incomplete", decimal(entry["bytes"]), f"to complete it: voxcli models pull {entry['name']}"]
    size = decimal(entry["bytes"])
    if entry["leftover_bytes"]:
        size += f" + {decimal(entry['leftover_bytes'])} in older or other files"
    return ["ready", size, entry["folder"]]


def _chosen_model(context: typer.Context) -> str | None:
    """Return the setting `model`."""
    found = find_setting(context, "model")
    return str(found.value) if found else None
