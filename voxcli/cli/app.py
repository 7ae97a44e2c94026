"""Command line entry point: all commands, and the outermost error handler."""

import gc
import json
import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Annotated

import typer
from typer.exceptions import TyperException

from voxcli.cli.console import Console, printable, write_lines
from voxcli.cli.exits import MEANINGS, ExitCode, GracefulShutdown, Terminated, exit_code
from voxcli.cli.parser.command import Entry, LazyGroup
from voxcli.cli.parser.help import documented, help_text
from voxcli.cli.parser.mistakes import explain
from voxcli.cli.streams import discard_stdout, prepare_standard_streams
from voxcli.errors import ConsumerClosed, DeviceError, VoxError
from voxcli.version import __version__

_COMMANDS = "voxcli.cli.commands"
_ENTRIES = (
    Entry("say", f"{_COMMANDS}.say", "say", "Speak a text, a file, or a pipe while it is being written."),
    Entry("batch", f"{_COMMANDS}.batch.command", "batch", "Speak many texts into files, from a list."),
    Entry("clone", f"{_COMMANDS}.clone", "clone", "Save the voice of a recording, and speak with it."),
    Entry(
        "verify",
        f"{_COMMANDS}.provenance.verify",
        "verify",
        "Say what made a file, and whether its sound is unchanged.",
    ),
    Entry(
        "again",
        f"{_COMMANDS}.provenance.again",
        "again",
        "Make the speech of a file again from what the file says of itself, and compare.",
    ),
    Entry("voices", f"{_COMMANDS}.voices.command", "app", "List voices, and manage your own."),
    Entry("models", f"{_COMMANDS}.models.command", "app", "List, download, show and remove models."),
    Entry("ps", f"{_COMMANDS}.running.command", "ps", "Show the models that stay loaded, and until when."),
    Entry("load", f"{_COMMANDS}.running.load", "load", "Load a model now, so that the next call is heard at once."),
    Entry("stop", f"{_COMMANDS}.running.command", "stop", "Stop a model that stays loaded, after what it is saying."),
    Entry("serve", f"{_COMMANDS}.serve.command", "serve", "Serve speech over HTTP."),
    Entry("mcp", f"{_COMMANDS}.mcp", "mcp", "Let an agent speak: serve the tools of MCP."),
    Entry("bench", f"{_COMMANDS}.bench.command", "bench", "Measure latency and throughput."),
    Entry("devices", f"{_COMMANDS}.devices", "devices", "List the loudspeakers for --audio-device."),
    Entry("doctor", f"{_COMMANDS}.doctor", "doctor", "Check the installation, and show how to fix each problem."),
    Entry("config", f"{_COMMANDS}.config", "app", "Show the settings."),
    Entry("lexicon", f"{_COMMANDS}.words.lexicon", "app", "Check and change how words are pronounced."),
    Entry("cache", f"{_COMMANDS}.models.caches", "app", "Show and clear what is kept for speed."),
    Entry("keys", f"{_COMMANDS}.keys", "app", "Manage API keys of servers."),
    Entry("help", f"{_COMMANDS}.help", "show_help", "Show a longer text about one topic, or the manual."),
)
"""In the order of the help. Each summary is the first sentence of the help of its command."""

_EXIT_CODES = "Exit codes: " + " · ".join(f"{code:d} {meaning}" for code, meaning in MEANINGS.items())


class _Root(LazyGroup):
    entries = _ENTRIES


app = typer.Typer(
    name="voxcli",
    cls=_Root,
    help="Text-to-speech for the command line.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        write_lines([f"voxcli {__version__}"])
        raise typer.Exit


@app.callback()
@documented(
    'voxcli say "Hello" --play',
    "voxcli models pull voxcpm-2",
    'voxcli clone --prompt ref.wav "Hello from my voice" --play',
    notes=(_EXIT_CODES,),
)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        write_lines([help_text(context.command, context)])


def main() -> None:
    gc.freeze()  # what is loaded by now stays, so the collector does not go through it again and again
    prepare_standard_streams()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Every error becomes a message here."""
    command = typer.main.get_command(app)
    try:
        with GracefulShutdown() as shutdown:
            result = command.main(arguments, prog_name="voxcli", standalone_mode=False, obj=shutdown)
            sys.stdout.flush()
        return result if isinstance(result, int) else ExitCode.OK
    except TyperException as error:
        return _report(arguments, printable(explain(error, arguments)), "UsageError", ExitCode(error.exit_code))
    except ConsumerClosed as error:
        discard_stdout()
        return exit_code(error)
    except VoxError as error:
        code = _report(arguments, error.for_command_line, type(error).__name__, exit_code(error))
        if isinstance(error, DeviceError):
            discard_stdout()
        return code
    except (KeyboardInterrupt, Terminated) as error:
        return _report(arguments, "", type(error).__name__, exit_code(error))
    except Exception as error:  # noqa: BLE001 - an internal error is shown with its traceback
        message = "Internal error in voxcli (please report it):\n" + traceback.format_exc()
        return _report(arguments, message, type(error).__name__, ExitCode.INTERNAL)


def _report(arguments: Sequence[str], message: str, kind: str, code: ExitCode) -> int:
    """Show why a run failed: as text, or as an event with --json. The streams are those of the other events."""
    options = list(takewhile(lambda word: word != "--", arguments))
    if "--json" in options:
        stream = sys.stderr if _writes_sound_to_stdout(options) else sys.stdout
        event = {"event": "error", "message": message or "stopped", "kind": kind, "code": int(code)}
        if not stream:  # it was closed by the caller
            return code
        try:
            stream.write(json.dumps(event) + "\n")
            stream.flush()
            return code
        except (ConsumerClosed, DeviceError, OSError):  # standard output itself is what failed
            discard_stdout()
    if message:
        Console().error(message)
    return code


def _writes_sound_to_stdout(options: Sequence[str]) -> bool:
    pairs = pairwise(options)
    return (
        "--output=-" in options
        or "-o-" in options
        or any(name in ("-o", "--output") and value == "-" for name, value in pairs)
    )
