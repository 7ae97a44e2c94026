"""`voxcli keys`: API keys of servers, in a file that only its owner may read."""

import sys
from getpass import getpass
from typing import Annotated

import typer

from voxcli.cli.console import Console, write_json, write_lines
from voxcli.cli.options import parameters as options

app = typer.Typer(name="keys", help="Manage API keys of servers.", no_args_is_help=True)

Server = Annotated[
    str, typer.Argument(metavar="SERVER", help="Address of the server, or its name in the settings files.")
]


@app.command("set")
def set_key(context: typer.Context, server: Server) -> None:
    """Save the API key of a server, typed without echo or read from standard input.

    It is sent to this server only. It is never passed on a command line, where other users could see it.
    """
    from voxcli.cli.settings.api_keys import keys_path, read_keys, write_keys

    path, console = keys_path(), Console()
    url = _find_url(context, server)
    keys = read_keys(path)
    key = _ask(url)
    write_keys(path, {**keys, url: key})
    console.note(f"Saved the key for {url} in {path}.")


@app.command("list")
def list_keys(json: options.Json = False) -> None:
    """List the servers with a saved key. The keys themselves are never shown."""
    from voxcli.cli.settings.api_keys import keys_path, read_keys

    urls = sorted(read_keys(keys_path()))
    if json:
        write_json(urls)
        return
    write_lines(urls)
    if not urls:
        Console().note("No keys saved. Save one with: voxcli keys set URL")


@app.command("rm")
def remove(context: typer.Context, server: Server) -> None:
    """Delete the key of a server."""
    from voxcli.cli.settings.api_keys import keys_path, read_keys, write_keys
    from voxcli.errors import NotFound

    path, url = keys_path(), _find_url(context, server)
    keys = read_keys(path)
    if keys.pop(url, None) is None:
        raise NotFound(f"No key is saved for {url}. To list the saved ones: voxcli keys list")
    write_keys(path, keys)
    Console().note(f"Deleted the key for {url}.")


def _find_url(context: typer.Context, server: str) -> str:
    """Return the address under which the key of a server is saved: without the optional /v1."""
    from voxcli.cli.settings.profiles import find_server
    from voxcli.engines.remote.settings import root_of

    return root_of(find_server(context, server)[0])


def _ask(url: str) -> str:
    if sys.stdin is not None and sys.stdin.isatty():
        key = getpass(f"Key for {url}: ").strip()
    else:
        key = sys.stdin.buffer.readline().decode("utf-8", "replace").strip() if sys.stdin else ""
    if not key:
        raise typer.BadParameter("No key given. Type it when asked, or pipe it in.", param_hint="SERVER")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise typer.BadParameter("Not an API key: it contains a space or a non-ASCII character.", param_hint="SERVER")
    return key
