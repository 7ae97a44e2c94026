"""Models on disk, and how they come from a hub."""

from voxcli.models.library import InstalledModel, ModelLibrary

__all__ = ["InstalledModel", "ModelLibrary"]
