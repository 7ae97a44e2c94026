"""Where settings, voices, models and cached files live. Below the command line, only here is the environment known."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import platformdirs

PROJECT_SETTINGS = Path("voxcli.toml")

_HUB_VARIABLES = (
    ("HF_HUB_CACHE", ""),
    ("HUGGINGFACE_HUB_CACHE", ""),
    ("HF_HOME", "hub"),
    ("XDG_CACHE_HOME", "huggingface/hub"),
)
"""Which variables move Hugging Face's cache, the strongest first, and where it lies below each.

From https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables.
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of this user. None of them need exist yet."""

    settings: Path
    """The user's own settings, a TOML file."""
    voices: Path
    """One folder per voice."""
    cache: Path
    """Whatever may be deleted at any time."""
    models: Path
    """Models that only voxcli knows of."""
    hub: Path
    """Hugging Face's cache, which this user's other programs share."""


def find_places(environment: Mapping[str, str]) -> Places:
    """Follow the customs of the operating system, or keep all that is voxcli's under VOXCLI_HOME if that is set."""
    hub = _find_hub(environment)
    if home := environment.get("VOXCLI_HOME"):
        folder = Path(home)
        return Places(folder / "voxcli.toml", folder / "voices", folder / "cache", folder / "models", hub)
    places = platformdirs.PlatformDirs("voxcli", appauthor=False)
    data = places.user_data_path
    return Places(
        places.user_config_path / "voxcli.toml", data / "voices", places.user_cache_path, data / "models", hub
    )


def _find_hub(environment: Mapping[str, str]) -> Path:
    for name, below in _HUB_VARIABLES:
        if value := environment.get(name):
            return Path(Template(value).safe_substitute(environment)).expanduser() / below
    return Path("~/.cache/huggingface/hub").expanduser()
