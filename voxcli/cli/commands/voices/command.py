"""`voxcli voices`: list voices, and manage the library of your own voices."""

from pathlib import Path
from typing import Annotated

import typer

from voxcli.cli.console import Console, write_json, write_lines, write_table
from voxcli.cli.options import completion as complete
from voxcli.cli.options import parameters as options
from voxcli.cli.options.engine import ResidentEngineOptions
from voxcli.cli.options.groups import grouped
from voxcli.cli.options.sampling import SamplingOptions
from voxcli.cli.options.server import ServerOptions
from voxcli.cli.options.speech import OutputOptions, ReadingOptions, RecordingOptions
from voxcli.cli.parser.help import documented
from voxcli.cli.settings.files import voice_library

app = typer.Typer(name="voices", help="List voices, and manage your own.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete.voices)]
NewName = Annotated[str, typer.Argument(metavar="NAME")]
OwnName = Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete.own_voices)]
OwnNames = Annotated[list[str], typer.Argument(metavar="NAME...", autocompletion=complete.own_voices)]
OptionalName = Annotated[str | None, typer.Argument(metavar="[NAME]", autocompletion=complete.voices)]
OptionalNames = Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", autocompletion=complete.voices)]
AllVoices = Annotated[
    bool, typer.Option("--all", "-a", help="List the more than 100 voices of the built-in model too, as --json does.")
]


@app.callback()
def voices(context: typer.Context, show_all: AllVoices = False, json: options.Json = False) -> None:
    """List voices: your own first, then those that every model has."""
    if context.invoked_subcommand is None:
        _list_voices_here(context, json, show_all=show_all)


@app.command("list")
@grouped
def list_voices(
    context: typer.Context, server: ServerOptions, show_all: AllVoices = False, json: options.Json = False
) -> None:
    """List voices: your own first, then those that every model has; or those of a server."""
    if not server.remote:
        _list_voices_here(context, json, show_all=show_all)
        return
    _list_voices_on(server, json)


def _list_voices_on(server: ServerOptions, json: bool) -> None:
    from contextlib import closing
    from dataclasses import asdict

    from voxcli.cli.commands.chosen import server_settings
    from voxcli.engines.remote.engine import RemoteEngine
    from voxcli.errors import NotFound

    settings = server_settings(server)
    with closing(RemoteEngine(settings)) as engine:
        voices = engine.voices()
    if voices is None:
        raise NotFound(f"{settings.url} does not list its voices.")
    if json:
        write_json([asdict(voice) for voice in voices])
    else:
        write_table([["VOICE", "ABOUT"], *([voice.name, voice.title] for voice in voices)])


def _list_voices_here(context: typer.Context, json: bool, *, show_all: bool) -> None:
    from voxcli.cli.commands.voices.card import list_entries
    from voxcli.cli.commands.voices.remembered import find_default
    from voxcli.voices.description import folded

    entries, hidden = list_entries(voice_library().names(), show_all=show_all or json)
    if default := find_default(context):
        named = [entry for entry in entries if folded(entry["name"]) == folded(str(default.value))]
        for entry in named[:1]:  # your own voice takes precedence, here and in `say`
            entry["default"] = True
    if json:
        write_json(entries)
        return
    rows = [["VOICE", "KIND", "ABOUT"]]
    for entry in entries:
        mark = " (default)" if "default" in entry else ""
        rows.append([entry["name"], entry["kind"], (entry.get("title", "") + mark).strip()])
    write_table(rows)
    console = Console()
    if hidden and console.is_terminal:
        console.note(f"{hidden} more of the built-in model: voxcli voices --all")


@app.command("show")
def show(name: Name, json: options.Json = False) -> None:
    """Show a voice; of your own ones the transcript, the length of the clip, and possible problems."""
    from voxcli.cli.commands.voice_choice import check_exists
    from voxcli.cli.commands.voices.card import describe, describe_model_voice, to_rows

    library = voice_library()
    if known := library.find_spelling(name):
        card = describe(known, *library.load_noted(known), library.folder / known)
    else:
        check_exists(name)
        card = describe_model_voice(name)
    if json:
        write_json(card)
    else:
        write_table(to_rows(card))


@app.command("add")
@grouped
def add(
    name: NewName,
    source: RecordingOptions,
    last: options.LastVoice = False,
    force: options.Replace = False,
    quiet: options.Quiet = False,
) -> None:
    """Save the voice of a recording. `voxcli clone` does the same, and can speak with it."""
    from voxcli.cli.commands.recording import keep, keep_voice
    from voxcli.cli.commands.voices.remembered import recall

    if last and source != RecordingOptions():
        raise typer.BadParameter("Give --last or a recording, not both.", param_hint="--last")
    console = Console(quiet=quiet)
    if last:
        voice, notes = recall()
        keep_voice(name, voice, console, overwrite=force, model=notes.model)
    else:
        keep(name, source, console, overwrite=force)


@app.command("rename")
def rename(context: typer.Context, old: OwnName, new: Annotated[str, typer.Argument(metavar="NEW")]) -> None:
    """Rename one of your voices."""
    from voxcli.cli.commands.voice_choice import check_new_name
    from voxcli.cli.commands.voices.remembered import follow

    console, library = Console(), voice_library()
    old = library.spelling(old)
    check_new_name(new)
    old, new = library.rename(old, new)
    console.note(f"Renamed {old} to {new}.")
    follow(context, old, new, console)


@app.command("rm")
def remove(context: typer.Context, names: OwnNames, yes: options.Yes = False) -> None:
    """Delete some of your voices."""
    from shlex import join

    from voxcli.cli.commands.voices.remembered import follow
    from voxcli.cli.console import confirm

    library, console = voice_library(), Console()
    known = list(dict.fromkeys(library.spelling(name) for name in names))
    command = join(["voxcli", "voices", "rm", "--yes", *known])
    confirm(console, f"Delete {', '.join(known)} and all its clips?", yes=yes, command=command)
    for name in known:
        library.remove(name)
        console.note(f"Deleted {name}.")
        follow(context, name, None, console)


@app.command("export")
def export(
    name: OwnName,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: NAME.voxvoice; - is standard output."),
    ] = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Export one of your voices to a file, for another machine."""
    from voxcli.cli.commands.voices.exchange import export_voice

    export_voice(name, output, Console(quiet=quiet), overwrite=force)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="- is standard input.")],
    name: options.NewName = None,
    force: options.Replace = False,
    quiet: options.Quiet = False,
) -> None:
    """Import a voice that was exported with `voxcli voices export`."""
    from voxcli.cli.commands.voices.exchange import import_voice

    import_voice(file, name, Console(quiet=quiet), overwrite=force)


@app.command("default")
def default(
    context: typer.Context,
    name: OptionalName = None,
    unset: Annotated[bool, typer.Option("--unset", help="Unset the default voice.")] = False,
) -> None:
    """Show or set the default voice."""
    from voxcli.cli.commands.voices.remembered import find_default, set_default

    console = Console()
    if name and unset:
        raise typer.BadParameter("Give a name or --unset, not both.", param_hint="--unset")
    if name or unset:
        set_default(context, _spelling(name) if name else None, console)
    elif found := find_default(context):
        write_lines([str(found.value)])
        console.note(f"set by {found.origin}")
    else:
        console.note("No default voice is set: the model chooses. To set one: voxcli voices default NAME")


@app.command("audition")
@documented(
    "voxcli voices audition anna bob",
    'voxcli voices audition anna --text "Good morning" --speed 1.2',
    basics=("text", "output", "play", "force", "language", "model", "speed", "volume", "remote", "quiet"),
)
@grouped
def audition(
    context: typer.Context,
    delivery: ReadingOptions,
    engine: ResidentEngineOptions,
    sampling: SamplingOptions,
    out: OutputOptions,
    names: OptionalNames = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="Text to speak. Default: a greeting.")
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Play voices one after another: the named ones, or all of your own."""
    from voxcli.audio.format import SubtitleFormat
    from voxcli.cli.commands.chosen import choose_targets, engine_settings
    from voxcli.cli.commands.voice_choice import check_known, model_of_voice, with_model_of_voice
    from voxcli.cli.commands.voices.audition import Audition, hold
    from voxcli.errors import NotFound
    from voxcli.sinks import ToFile, ToStdout
    from voxcli.synthesis.request import Voice

    sampling.auto_steps(context, played=False)
    targets = choose_targets(out)
    if any(isinstance(target, ToFile | ToStdout) and isinstance(target.format, SubtitleFormat) for target in targets):
        raise typer.BadParameter("An audition has no subtitles.", param_hint="--output")
    library, console = voice_library(), Console(quiet=quiet)
    wanted = names or library.names()
    if not wanted:
        raise NotFound("You have no voices of your own yet. Create one with: voxcli clone --prompt ref.wav")
    chosen = engine_settings(engine)
    if not options.on_command_line(context, "model") and len(set(map(model_of_voice, wanted))) == 1:
        chosen = with_model_of_voice(wanted[0], chosen)
    for name in wanted:
        if not library.find_spelling(name):
            check_known(name, chosen)
    given = Audition(
        voices=[(name, library.find(name) or Voice(name=name)) for name in wanted],
        text=text,
        engine=chosen,
        delivery=delivery.to_settings(Voice(), sampling.to_settings()),
        targets=targets,
    )
    hold(given, console, console.note, context.obj)


def _spelling(name: str) -> str:
    """Return the exact name of a voice, your own or of a model.

    Raises:
        NotFound: there is no such voice.
    """
    from voxcli.cli.commands.voice_choice import check_exists

    if known := voice_library().find_spelling(name):
        return known
    check_exists(name)
    return name
