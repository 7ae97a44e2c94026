"""Voices passed from one machine to another as files."""

import sys
from pathlib import Path

import typer

from voxcli.audio.decode import decode
from voxcli.cli.commands.recording import how_to_use, judge
from voxcli.cli.console import Console
from voxcli.cli.files import STDIO, create_file, read_at_most, replace_file, write_stdout
from voxcli.cli.settings.files import voice_library
from voxcli.errors import DeviceError, RequestError
from voxcli.sinks.file import is_device
from voxcli.voices.archive import MAX_ARCHIVE_BYTES, SUFFIX, pack, unpack


def export_voice(name: str, output: str | None, console: Console, *, overwrite: bool) -> None:
    """Write a voice to a file, by default to one of its name in this folder.

    Raises:
        RequestError: the file is there already.
        DeviceError: it cannot be written.
    """
    if output == STDIO and sys.stdout.isatty():
        raise typer.BadParameter(
            "A voice is not written to a terminal. Name a file, or send it on.", param_hint="--output"
        )
    library = voice_library()
    known = library.spelling(name)
    packed = pack(known, *library.load_noted(known))
    if output == STDIO:
        write_stdout(packed)
        return
    path = Path(output) if output else Path(known + SUFFIX)
    try:
        if is_device(path):
            path.write_bytes(packed)
        elif overwrite:
            replace_file(path, packed)
        else:
            create_file(path, packed)
    except FileExistsError as error:
        raise RequestError(f"{path} is there already. Use --force to overwrite it, or name another file.") from error
    except OSError as error:
        raise DeviceError(f"Cannot write {path}: {error.strerror or error}.") from error
    console.note(f"{known} is in {path}. To take it in elsewhere: voxcli voices import FILE")


def import_voice(file: Path, name: str | None, console: Console, *, overwrite: bool) -> None:
    """Keep a voice that was exported elsewhere.

    Raises:
        RequestError: it is not one, cannot be used, or its name is taken; nothing was kept.
    """
    label = "Standard input" if str(file) == STDIO else str(file)
    found, voice, notes = unpack(read_at_most(file, MAX_ARCHIVE_BYTES, "It cannot be a voice."), label=label)
    name = name or found
    library = voice_library()
    if not overwrite:
        library.check_free(name)
    for clip in (voice.reference, voice.prompt and voice.prompt.clip):
        if clip:
            label = f"{clip.name} of {name}"
            judge(decode(clip.data, name=label), label, console)
    console.note(how_to_use(library.save(name, voice, notes, overwrite=overwrite)))
