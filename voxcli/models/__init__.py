"""Models on disk, and their download from a hub."""

from voxcli.models.library import InstalledModel, ModelLibrary

__all__ = ["InstalledModel", "ModelLibrary"]
