"""The voice that a model drew last, remembered until the next one, so that it can be kept."""

import logging
from typing import TYPE_CHECKING

import typer

from voxcli.cli.console import Console
from voxcli.cli.files import replace_file
from voxcli.cli.settings.edit import edit_settings
from voxcli.cli.settings.files import Setting, find_setting, find_user_places
from voxcli.errors import NotFound, RequestError
from voxcli.synthesis.request import Voice

if TYPE_CHECKING:
    from voxcli.voices import Notes


HOW_TO_KEEP = "To keep this voice: voxcli voices add NAME --last"

_NAME = "last"
_FILE = "last.voxvoice"
_MOST_BYTES = 6_000_000
"""Of a clip: a minute at 48 kHz. What is longer is a text said in one go, and no clip to imitate a voice after."""

_log = logging.getLogger(__name__)


def remember(voice: Voice, model: str | None) -> bool:
    """Put a voice in the place of the one before. Tell whether that worked; nobody has asked for it yet.

    model: that drew it, if it is one of this machine.
    """
    if voice.prompt and len(voice.prompt.clip.data) > _MOST_BYTES:
        return False
    from voxcli.voices.archive import pack  # loads the decoders, which are slow to load
    from voxcli.voices.description import Notes, note_of_model

    path = find_user_places().cache / _FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, pack(_NAME, voice, Notes(model=model and note_of_model(model))))
    except OSError as error:
        _log.debug("the voice is not remembered: %s", error)
        return False
    return True


def recall() -> "tuple[Voice, Notes]":
    """Return the voice that was remembered, and what is known about it.

    Raises:
        NotFound: there is none.
    """
    from voxcli.voices.archive import unpack

    path = find_user_places().cache / _FILE
    try:
        return unpack(path.read_bytes(), label=str(path))[1:]
    except (OSError, RequestError) as error:
        _log.debug("no voice is remembered: %s", error)
        raise NotFound(
            "There is no last voice. When nobody is named, a VoxCPM model draws one: "
            'say something without --voice, as in voxcli say "Hello", and try again.'
        ) from error


KEY = "voice"


def find_default(context: typer.Context) -> Setting | None:
    """Find out which voice speaks when none is named, and who says so."""
    return find_setting(context, KEY)


def set_default(context: typer.Context, name: str | None, console: Console) -> None:
    """Write a voice into the user's own settings, or take it out of them, and warn if that changes nothing here."""
    path = find_user_places().settings
    edit_settings(path, KEY, name)
    now = find_default(context)
    console.note(f"{name or 'No voice of yours'} speaks from now on when none is named ({path}).")
    if now and now.origin != str(path):
        console.warning(f"{now.origin} says {now.value}, and that counts more.")


def follow(context: typer.Context, old: str, new: str | None, console: Console) -> None:
    """Keep the setting true after a voice was renamed, or removed with None."""
    from voxcli.voices.names import folded

    found = find_default(context)
    if not found or folded(str(found.value)) != folded(old):
        return
    path = find_user_places().settings
    if found.origin != str(path):
        console.warning(f"{found.origin} still names {old} as the voice that speaks.")
        return
    edit_settings(path, KEY, new)
    console.note(f"It was the voice that speaks when none is named; now {new or 'none'} is ({path}).")
