"""Where settings, voices and cached files live. Below the command line, only this module knows the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

PROJECT_SETTINGS = Path("voxcli.toml")


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of this user. None of them need exist yet."""

    settings: Path
    """The user's own settings, a TOML file."""
    voices: Path
    """One folder per voice."""
    cache: Path
    """Whatever may be deleted at any time."""


def find_places(environment: Mapping[str, str]) -> Places:
    """Follow the customs of the operating system, or keep everything under VOXCLI_HOME if that is set."""
    if home := environment.get("VOXCLI_HOME"):
        folder = Path(home)
        return Places(folder / "voxcli.toml", folder / "voices", folder / "cache")
    places = platformdirs.PlatformDirs("voxcli", appauthor=False)
    return Places(places.user_config_path / "voxcli.toml", places.user_data_path / "voices", places.user_cache_path)
