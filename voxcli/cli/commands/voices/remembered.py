"""The voice that a model last drew at random, and the default voice."""

import logging
from typing import TYPE_CHECKING

import typer

from voxcli.cli.console import Console
from voxcli.cli.settings.files import Setting, find_setting, find_user_places
from voxcli.errors import NotFound, RequestError
from voxcli.files import write_atomically
from voxcli.synthesis.request import Voice

if TYPE_CHECKING:
    from voxcli.voices import Notes


HOW_TO_SAVE = "To save this voice: voxcli voices add NAME --last"

_NAME = "last"
_FILE = "last.voxvoice"
_MOST_BYTES = 6_000_000
"""Of a clip: a minute at 48 kHz. Longer ones come from texts spoken with --no-split and are poor prompts."""

_log = logging.getLogger(__name__)


def remember(voice: Voice, model: str | None) -> bool:
    """Replace the remembered voice. Return whether that worked; failures are only logged.

    model: the local model that drew it.
    """
    if voice.prompt and len(voice.prompt.clip.data) > _MOST_BYTES:
        return False
    from voxcli.voices.archive import pack  # not needed before the speech has ended
    from voxcli.voices.description import Notes, note_of_model

    path = find_user_places().cache / _FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, pack(_NAME, voice, Notes(model=model and note_of_model(model))))
    except OSError as error:
        _log.debug("cannot remember the voice: %s", error)
        return False
    return True


def recall() -> "tuple[Voice, Notes]":
    """Return the remembered voice and its notes.

    Raises:
        NotFound: there is none.
    """
    from voxcli.voices.archive import unpack

    path = find_user_places().cache / _FILE
    try:
        return unpack(path.read_bytes(), label=str(path))[1:]
    except (OSError, RequestError) as error:
        _log.debug("no remembered voice: %s", error)
        raise NotFound(
            "There is no last voice. Without --voice, a VoxCPM model draws one at random: "
            'run voxcli say "Hello" and try again.'
        ) from error


KEY = "voice"


def find_default(context: typer.Context) -> Setting | None:
    """Find the default voice, and where it is set."""
    return find_setting(context, KEY)


def set_default(context: typer.Context, name: str | None, console: Console) -> None:
    """Set or unset the default voice in the user's settings, and warn if another setting overrides it."""
    from voxcli.cli.settings.edit import edit_settings

    path = find_user_places().settings
    edit_settings(path, KEY, name)
    now = find_default(context)
    console.note(f"The default voice is now {name or 'unset'} ({path}).")
    if now and now.origin != str(path):
        console.warning(f"{now.origin} sets {now.value}, which overrides it.")


def follow(context: typer.Context, old: str, new: str | None, console: Console) -> None:
    """Update the default voice after a voice was renamed, or removed (None)."""
    from voxcli.voices.description import folded

    found = find_default(context)
    if not found or folded(str(found.value)) != folded(old):
        return
    path = find_user_places().settings
    if found.origin != str(path):
        console.warning(f"{found.origin} still sets {old} as the default voice.")
        return
    from voxcli.cli.settings.edit import edit_settings

    edit_settings(path, KEY, new)
    console.note(f"It was the default voice, which is now {new or 'unset'} ({path}).")
