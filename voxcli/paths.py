"""Folders of settings, voices, models and caches, derived from the environment that the caller passes in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import platformdirs

PROJECT_SETTINGS = Path("voxcli.toml")

PROJECT_LEXICON = Path(".voxcli-lexicon.tsv")
"""Beside a text, or in a folder above."""

_HUB_VARIABLES = (
    ("HF_HUB_CACHE", ""),
    ("HUGGINGFACE_HUB_CACHE", ""),
    ("HF_HOME", "hub"),
    ("XDG_CACHE_HOME", "huggingface/hub"),
)
"""Variables that move Hugging Face's cache, in order of precedence, and its path below each.

From https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables.
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of this user. They may not exist yet."""

    settings: Path
    """The user's settings, a TOML file."""
    voices: Path
    """One folder per voice."""
    cache: Path
    """Files that may be deleted at any time."""
    models: Path
    """Models that voxcli downloads for itself."""
    hub: Path
    """Hugging Face's cache, shared with other programs."""
    engines: Path
    """Entries, logs and sockets of the engines that stay loaded; private to this user."""
    kernels: Path
    """Compiled code for this processor: the same for all models and users."""

    @property
    def turns(self) -> Path:
        """The queue of those who want to speak through the loudspeaker, beside the engines."""
        return self.engines / "turns"

    @property
    def lexicon(self) -> Path:
        """How this user wants words to be pronounced, beside the settings."""
        return self.settings.with_name("lexicon.tsv")

    @property
    def clips(self) -> Path:
        """Encoded clips, in the cache."""
        return self.cache / "clips"

    @property
    def prepared(self) -> Path:
        """Weights of models as they are used, in the cache."""
        return self.cache / "prepared"

    @property
    def speech(self) -> Path:
        """Sentences that were spoken, in the cache."""
        return self.cache / "speech"

    @property
    def anchors(self) -> Path:
        """The first seconds of the named voices, in the cache."""
        return self.cache / "voices"


def find_places(environment: Mapping[str, str]) -> Places:
    """Return the standard folders of the operating system, or those below VOXCLI_HOME if it is set."""
    hub = _find_hub(environment)
    kernels = environment.get("VOXCLI_KERNELS")
    if home := environment.get("VOXCLI_HOME"):
        folder = Path(home)
        return Places(
            folder / "voxcli.toml",
            folder / "voices",
            folder / "cache",
            folder / "models",
            hub,
            folder / "engines",
            Path(kernels) if kernels else folder / "cache" / "kernels",
        )
    places = platformdirs.PlatformDirs("voxcli", appauthor=False)
    data = places.user_data_path
    cache = places.user_cache_path
    # On the machine itself, while a home may be shared by several: https://specifications.freedesktop.org/basedir-spec
    runtime = environment.get("XDG_RUNTIME_DIR")
    engines = Path(runtime) / "voxcli" if runtime and Path(runtime).is_dir() else cache / "engines"
    return Places(
        places.user_config_path / "voxcli.toml",
        data / "voices",
        cache,
        data / "models",
        hub,
        engines,
        Path(kernels) if kernels else cache / "kernels",
    )


def _find_hub(environment: Mapping[str, str]) -> Path:
    for name, below in _HUB_VARIABLES:
        if value := environment.get(name):
            return Path(Template(value).safe_substitute(environment)).expanduser() / below
    return Path("~/.cache/huggingface/hub").expanduser()
