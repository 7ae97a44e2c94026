"""The voice that speaks when none is named: the setting `voice`."""

import typer

from voxcli.cli.console import Words
from voxcli.cli.settings import Setting, find_setting, find_user_places
from voxcli.cli.settings_edit import edit_settings

KEY = "voice"


def find_default(context: typer.Context) -> Setting | None:
    """Find out which voice speaks when none is named, and who says so."""
    return find_setting(context, KEY)


def set_default(context: typer.Context, name: str | None, words: Words) -> None:
    """Write a voice into the user's own settings, or take it out of them, and warn if that changes nothing here."""
    path = find_user_places().settings
    edit_settings(path, KEY, name)
    now = find_default(context)
    words.note(f"{name or 'No voice of yours'} speaks from now on when none is named ({path}).")
    if now and now.origin != str(path):
        words.warning(f"{now.origin} says {now.value}, and that counts more.")


def follow(context: typer.Context, old: str, new: str | None, words: Words) -> None:
    """Keep the setting true after a voice was renamed, or removed with None."""
    from voxcli.voices.names import folded

    found = find_default(context)
    if not found or folded(str(found.value)) != folded(old):
        return
    path = find_user_places().settings
    if found.origin != str(path):
        words.warning(f"{found.origin} still names {old} as the voice that speaks.")
        return
    edit_settings(path, KEY, new)
    words.note(f"It was the voice that speaks when none is named; now {new or 'none'} is ({path}).")
