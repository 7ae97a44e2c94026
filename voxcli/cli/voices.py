"""`voxcli voices`: who can speak."""

import typer

from voxcli.cli import options
from voxcli.cli.console import write_json, write_table
from voxcli.cli.settings import find_user_places

app = typer.Typer(name="voices", help="Show who can speak.", invoke_without_command=True)


@app.callback()
def voices(context: typer.Context, json: options.Json = False) -> None:
    """Show who can speak: your own voices first, then those of the built-in model."""
    if context.invoked_subcommand is None:
        list_voices(json)


@app.command("list")
def list_voices(json: options.Json = False) -> None:
    """Show who can speak: your own voices first, then those of the built-in model."""
    from voxcli.engines import BUILTIN_MODEL
    from voxcli.espeak.library import load_espeak
    from voxcli.voices import VoiceLibrary

    own = VoiceLibrary(find_user_places().voices).names()
    builtin = sorted(load_espeak().voices.values(), key=lambda voice: voice.name)
    if json:
        write_json(
            [{"name": name, "kind": "own"} for name in own]
            + [
                {"name": voice.name, "kind": BUILTIN_MODEL, "language": voice.language, "title": voice.title}
                for voice in builtin
            ]
        )
        return
    rows = [["VOICE", "KIND", "LANGUAGE"]]
    rows += [[name, "own", ""] for name in own]
    rows += [[voice.name, BUILTIN_MODEL, voice.title] for voice in builtin]
    write_table(rows)
