"""Access to the hubs, whose modules are imported on first use because their libraries are optional or slow."""

from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.errors import NotFound
from voxcli.installation import install_command
from voxcli.models.catalog import HubName

if TYPE_CHECKING:
    from voxcli.models.hub import Hub

_MISSING = "The library for Hugging Face is not installed."


def open_hub(name: HubName, *, endpoint: str | None = None, token: str | None = None) -> "Hub":
    """Return a client of a hub.

    Args:
        endpoint: its address; None is the public one.
        token: for private and gated models. Without one, Hugging Face's library uses the token saved by its own tools.

    Raises:
        NotFound: its library is not installed.
    """
    if name == "modelscope":
        from voxcli.models.modelscope import ModelScope

        return ModelScope(endpoint, token)
    try:
        from voxcli.models.huggingface import HuggingFace
    except ImportError as error:
        raise NotFound(
            f"{_MISSING} ModelScope needs no library.",
            on_command_line=f"Run: {install_command('local')}, or take the model with: --from modelscope",
        ) from error
    return HuggingFace(endpoint, token)


def remove_from_shared_cache(cache: Path, model_id: str) -> None:
    """Remove one model from Hugging Face's cache with the library that owns it.

    Raises:
        NotFound: the library is not installed.
    """
    try:
        from voxcli.models.huggingface import remove_cached
    except ImportError as error:
        raise NotFound(_MISSING, on_command_line=f"Run: {install_command('local')}") from error
    remove_cached(cache, model_id)
