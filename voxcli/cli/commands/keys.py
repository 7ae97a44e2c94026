"""`voxcli keys`: what opens the servers of other people, kept where nobody else may read it."""

import sys
from getpass import getpass
from typing import Annotated

import typer

from voxcli.cli.console import Console, write_json, write_lines
from voxcli.cli.options import common as options

app = typer.Typer(name="keys", help="Keep the keys of servers.", no_args_is_help=True)

Server = Annotated[str, typer.Argument(metavar="SERVER", help="Its address, or its name in the settings.")]


@app.command("set")
def set_key(context: typer.Context, server: Server) -> None:
    """Keep the key of a server, asked for without being shown, or read from standard input.

    It is sent to this server and nobody else. It never stands on a command line, where other users could see it.
    """
    from voxcli.cli.settings.api_keys import keys_path, read_keys, write_keys

    path, console = keys_path(), Console()
    url = _find_url(context, server)
    keys = read_keys(path)
    key = _ask(url)
    write_keys(path, {**keys, url: key})
    console.note(f"The key for {url} is kept ({path}).")


@app.command("list")
def list_keys(json: options.Json = False) -> None:
    """Show for which servers keys are kept. The keys themselves are never shown."""
    from voxcli.cli.settings.api_keys import keys_path, read_keys

    urls = sorted(read_keys(keys_path()))
    if json:
        write_json(urls)
        return
    write_lines(urls)
    if not urls:
        Console().note("No keys are kept. Keep one with: voxcli keys set URL")


@app.command("rm")
def remove(context: typer.Context, server: Server) -> None:
    """Forget the key of a server."""
    from voxcli.cli.settings.api_keys import keys_path, read_keys, write_keys
    from voxcli.errors import NotFound

    path, url = keys_path(), _find_url(context, server)
    keys = read_keys(path)
    if keys.pop(url, None) is None:
        raise NotFound(f"No key is kept for {url}. `voxcli keys list` shows those that are.")
    write_keys(path, keys)
    Console().note(f"The key for {url} is forgotten.")


def _find_url(context: typer.Context, server: str) -> str:
    """Return the address under which a server's key is kept: without /v1, which users write or leave out."""
    from voxcli.cli.settings.profiles import find_server
    from voxcli.engines.remote.settings import root_of

    return root_of(find_server(context, server)[0])


def _ask(url: str) -> str:
    if sys.stdin is not None and sys.stdin.isatty():
        key = getpass(f"Key for {url}: ").strip()
    else:
        key = sys.stdin.buffer.readline().decode("utf-8", "replace").strip() if sys.stdin else ""
    if not key:
        raise typer.BadParameter("No key was given. Type it when asked, or pipe it in.", param_hint="SERVER")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise typer.BadParameter("This is no key: it holds characters that none has.", param_hint="SERVER")
    return key
