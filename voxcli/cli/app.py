"""Command line entry point: all commands, settings and the outermost error handler."""

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, cast

import typer
from typer.exceptions import TyperException

from voxcli.cli.commands import clone, config, devices, doctor, keys, say
from voxcli.cli.commands import help as help_command
from voxcli.cli.commands.bench import command as bench
from voxcli.cli.commands.models import command as models
from voxcli.cli.commands.serve import command as serve
from voxcli.cli.commands.voices import command as voices
from voxcli.cli.console import Console, printable
from voxcli.cli.exits import MEANINGS, ExitCode, GracefulShutdown, Terminated, exit_code
from voxcli.cli.options.groups import grouped
from voxcli.cli.settings.files import default_map, read_settings, settings_files
from voxcli.cli.streams import discard_stdout, prepare_standard_streams
from voxcli.errors import ConsumerClosed, DeviceError, VoxError
from voxcli.version import __version__

_EPILOG = "Exit codes: " + " · ".join(f"{code:d} {meaning}" for code, meaning in MEANINGS.items())


app = typer.Typer(
    name="voxcli",
    help="Text-to-speech for the command line.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.command("say", epilog=f"{say.EXAMPLES}\n\n{_EPILOG}")(grouped(say.say))
app.command("clone", epilog=f"{clone.EXAMPLES}\n\n{_EPILOG}")(clone.clone)
app.add_typer(voices.app)
app.add_typer(models.app)
app.command("serve", epilog=f"{serve.EXAMPLES}\n\n{_EPILOG}")(serve.serve)
app.command("bench", epilog=f"{bench.EPILOG}\n\n{_EPILOG}")(grouped(bench.bench))
app.command("devices")(devices.devices)
app.command("doctor")(doctor.doctor)
app.add_typer(config.app)
app.add_typer(keys.app)
app.command("help")(help_command.show_help)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"voxcli {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    context.default_map = default_map(context.command, read_settings(context, settings_files()))


def main() -> None:
    prepare_standard_streams()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Every error becomes a message here."""
    console = Console()
    command = typer.main.get_command(app)
    try:
        with GracefulShutdown() as shutdown:
            result = command.main(arguments, prog_name="voxcli", standalone_mode=False, obj=shutdown)
            sys.stdout.flush()
        return result if isinstance(result, int) else ExitCode.OK
    except TyperException as error:
        from typer.rich_utils import rich_format_error  # slow to load

        error.message = printable(error.message)
        rich_format_error(cast(Any, error))
        return error.exit_code
    except (VoxError, ConsumerClosed, KeyboardInterrupt, Terminated) as error:
        if isinstance(error, VoxError):
            console.error(error.for_command_line)
        if isinstance(error, (ConsumerClosed, DeviceError)):
            discard_stdout()
        return exit_code(error)
    except Exception:  # noqa: BLE001 - an internal error is shown with its traceback
        console.error("Internal error in voxcli (please report it):\n" + traceback.format_exc())
        return ExitCode.INTERNAL
