"""`voxcli models`: which models are here, which could be, and how they come and go."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from voxcli.cli.console import Console, write_json, write_lines, write_table
from voxcli.cli.options import common as options
from voxcli.cli.settings.files import find_setting, model_library

if TYPE_CHECKING:
    from voxcli.models import InstalledModel

app = typer.Typer(name="models", help="Show, pull and remove models.", invoke_without_command=True)


def _installed_names(incomplete: str) -> list[str]:
    return [model.name for model in model_library().installed() if model.name.startswith(incomplete)]


def _published_names(incomplete: str) -> list[str]:
    from voxcli.models.catalog import KNOWN

    return [known.name for known in KNOWN if known.name.startswith(incomplete)]


Installed = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A name of `voxcli models`.", autocompletion=_installed_names),
]
Published = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Such as voxcpm-1.5, or the id of a model on a hub; either with @REVISION.",
        autocompletion=_published_names,
    ),
]


@app.callback()
def models(context: typer.Context, json: options.Json = False) -> None:
    """Show which models are here and which could be."""
    if context.invoked_subcommand is None:
        list_models(context, json)


@app.command("list")
def list_models(context: typer.Context, json: options.Json = False) -> None:
    """Show which models are here and which could be. The one with * speaks unless another is asked for."""
    from voxcli.engines import BUILTIN_MODEL, best_model

    library = model_library()
    default = _chosen_model(context) or best_model(library)
    entries = [_entry(model) for model in library.installed()]
    entries.append({"name": BUILTIN_MODEL, "state": "built-in"})
    for entry in entries:
        entry["default"] = default in (entry["name"], entry.get("id"))
    entries += _absent({entry["name"] for entry in entries})
    if json:
        write_json(entries)
        return
    _write_installed([entry for entry in entries if entry["state"] != "absent"])
    if not any(entry.get("default") for entry in entries):
        write_lines(["", f"The setting model = {default} says which one speaks: see `voxcli config show`."])
    if absent := [entry for entry in entries if entry["state"] == "absent"]:
        write_lines(["", "More, each by `voxcli models pull MODEL`:"])
        write_table([["  " + entry["name"], entry["size"], entry["summary"]] for entry in absent])


@app.command("pull")
def pull(
    name: Published,
    source: Annotated[
        Literal["huggingface", "modelscope"], typer.Option("--from", help="The hub that it comes from.")
    ] = "huggingface",
    revision: Annotated[
        str | None, typer.Option("--revision", help="A branch, tag or commit. Default: the newest.")
    ] = None,
    yes: options.Yes = False,
    quiet: options.Quiet = False,
) -> None:
    """Bring a model here, and write where it is. A pull that was cut goes on where it ended."""
    from voxcli.cli.commands.models.pull import pull_model

    write_lines([str(pull_model(name, source, revision, yes=yes, console=Console(quiet=quiet)))])


@app.command("show")
def show(name: Installed, json: options.Json = False) -> None:
    """Show what a model on this machine is: also a folder with a checkpoint of your own."""
    from voxcli.cli.commands.models.card import describe, describe_in_words

    card = describe(model_library(), name)
    if json:
        write_json(card)
    else:
        write_table(describe_in_words(card))


@app.command("rm")
def remove(name: Installed, yes: options.Yes = False) -> None:
    """Remove a model from this machine, with all its revisions."""
    from rich.filesize import decimal

    from voxcli.cli.console import confirm

    console, library = Console(), model_library()
    found = library.removable(name)
    size = decimal(sum(repository.bytes_held() for repository in found))
    shared = any(repository.folder.parent == library.shared for repository in found)
    where = "Hugging Face's cache, which other programs share" if shared else "this machine"
    confirm(console, f"Remove {name} ({size}) from {where}?", yes=yes, command=f"voxcli models rm {name} --yes")
    library.remove(name)
    console.note(f"{name} is removed; {size} are free again.")


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

    if entry["state"] == "built-in":
        return ["built in", "", ""]
    if entry["state"] == "incomplete":
        return ["incomplete", decimal(entry["bytes"]), f"`voxcli models pull {entry['name']}` brings the rest"]
    size = decimal(entry["bytes"])
    if entry["leftover_bytes"]:
        size += f" + {decimal(entry['leftover_bytes'])} of older or other files"
    return ["ready", size, entry["folder"]]


def _chosen_model(context: typer.Context) -> str | None:
    """Find the setting `model`, whoever sets it."""
    found = find_setting(context, "model")
    return str(found.value) if found else None
