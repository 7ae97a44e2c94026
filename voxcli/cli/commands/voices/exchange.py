"""Export and import of voices as files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from voxcli.audio.decode import decode
from voxcli.cli.commands.recording import check_clip, how_to_use
from voxcli.cli.commands.voice_choice import check_new_name
from voxcli.cli.console import Console
from voxcli.cli.files import STDIO, create_file, read_at_most, write_stdout, writing
from voxcli.cli.settings.files import voice_library
from voxcli.errors import RequestError
from voxcli.files import write_atomically
from voxcli.sinks.file import is_device
from voxcli.voices.archive import MAX_ARCHIVE_BYTES, SUFFIX, pack, unpack


def export_voice(name: str, output: str | None, console: Console, *, overwrite: bool) -> None:
    """Write a voice to a file, by default NAME.voxvoice in the current folder.

    Raises:
        RequestError: the file exists.
        DeviceError: it cannot be written.
    """
    if output == STDIO and sys.stdout.isatty():
        raise typer.BadParameter(
            "Refusing to write a voice to a terminal. Name a file, or redirect the output.", param_hint="--output"
        )
    library = voice_library()
    known = library.spelling(name)
    packed = pack(known, *library.load_noted(known))
    if output == STDIO:
        write_stdout(packed)
        return
    path = Path(output) if output else Path(known + SUFFIX)
    with writing(path), _refusing_to_overwrite(path):
        if is_device(path):
            path.write_bytes(packed)
        elif overwrite:
            write_atomically(path, packed)
        else:
            create_file(path, packed)
    console.note(f"Exported {known} to {path}. To import it elsewhere: voxcli voices import FILE")


@contextmanager
def _refusing_to_overwrite(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise RequestError(f"{path} already exists. Pass --force to overwrite it, or name another file.") from error


def import_voice(file: Path, name: str | None, console: Console, *, overwrite: bool) -> None:
    """Save an exported voice in the library.

    Raises:
        RequestError: it is not a voice, cannot be used, or its name is taken; nothing is saved then.
    """
    label = "Standard input" if str(file) == STDIO else str(file)
    found, voice, notes = unpack(read_at_most(file, MAX_ARCHIVE_BYTES, "It cannot be a voice."), label=label)
    name = name or found
    library = voice_library()
    if not overwrite:
        library.check_free(name)
    check_new_name(name)
    for clip in (voice.reference, voice.prompt and voice.prompt.clip):
        if clip:
            label = f"{clip.name} of {name}"
            check_clip(decode(clip.data, name=label), label, console)
    console.note(how_to_use(library.save(name, voice, notes, overwrite=overwrite)))
