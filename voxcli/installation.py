"""Installation of voxcli: in which way it was made, and the command that adds optional parts to it in that way."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

_NAME = "voxcli"
_IMAGE_FILE = "voxcli-image"
"""Which examples/deploy/Dockerfile writes: its target and its extras."""
_UVX_FOLDERS = ("archive-v", "environments-v")
"""Of uv's cache: environments that may be removed at any time."""


def install_command(extra: str) -> str:
    """Return a command line that installs voxcli again with an extra, from where it came.

    Args:
        extra: a name such as "local", of [project.optional-dependencies].
    """
    from importlib import metadata  # slow to load, and needed for messages only

    try:
        installed = metadata.distribution(_NAME)
    except metadata.PackageNotFoundError:  # run from its source folder
        return f"{_pip()} install {_requirement(None, extra)}"
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    requirement = _requirement(origin, extra)
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    match _installer(installed.read_text("INSTALLER")):
        case "image":
            target, _, extras = _read_image_file().partition(" ")
            build = f"docker build -f examples/deploy/Dockerfile --target {target}"
            return f"{build} --build-arg EXTRAS={','.join(filter(None, [extras, extra]))} ."
        case "pipx":
            return f"pipx install --force {requirement}"
        case "uv tool":
            return f"uv tool install --force {requirement}"
        case "uvx":
            return f"uvx --from {requirement} voxcli"
        case "uv":
            return f"uv pip install --python {_quoted(sys.executable)} {editable}{requirement}"
        case _:
            return f"{_pip()} install {editable}{requirement}"


def describe_installation() -> str:
    """Say which version is installed, by what, and from where."""
    from importlib import metadata

    try:
        installed = metadata.distribution(_NAME)
    except metadata.PackageNotFoundError:
        return f"not installed: run from {Path(__file__).parents[1]}"
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    url = str(origin.get("url", ""))
    where = unquote(urlsplit(url).path) if url.startswith("file:") else url
    installer = _installer(installed.read_text("INSTALLER"))
    if installer == "image":
        return f"{installed.version}, in the container image {_read_image_file().split()[0]}"
    editable = "the checkout " if origin.get("dir_info", {}).get("editable") else ""
    return f"{installed.version}, installed by {installer}{f' from {editable}{where}' if where else ''}"


def _read_image_file() -> str:
    return (Path(sys.prefix) / _IMAGE_FILE).read_text("utf-8").strip()


def _installer(named: str | None) -> str:
    """Return which program installed voxcli.

    named: the content of its file INSTALLER (PEP 376).
    """
    prefix = Path(sys.prefix)
    if (prefix / _IMAGE_FILE).exists():
        return "image"
    if (prefix / "pipx_metadata.json").exists():
        return "pipx"
    if (prefix / "uv-receipt.toml").exists():
        return "uv tool"
    by = (named or "").strip() or "pip"
    return "uvx" if by == "uv" and prefix.parent.name.startswith(_UVX_FOLDERS) else by


def reinstall_command(package: str) -> str:
    """Return a command line that installs another package again, where voxcli is installed."""
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx runpip {_NAME} install --force-reinstall {package}"
    if shutil.which("uv") and not _has_pip():
        return f"uv pip install --python {_quoted(sys.executable)} --reinstall {package}"
    return f"{_pip()} install --force-reinstall {package}"


def _requirement(origin: dict[str, object] | None, extra: str) -> str:
    """Return voxcli with an extra as pip takes it, in quotes: by name, folder, file, or address of a repository.

    Args:
        origin: of direct_url.json (PEP 610): empty for a package index, None for the folder of this file.
    """
    if origin is None:
        return _quoted(f"{Path(__file__).parents[1]}[{extra}]", always=True)
    url = str(origin.get("url", ""))
    if not url:
        return f'"{_NAME}[{extra}]"'
    if isinstance(vcs := origin.get("vcs_info"), dict):
        at = vcs.get("requested_revision") or vcs.get("commit_id")
        return f'"{_NAME}[{extra}] @ {vcs.get("vcs")}+{url}{f"@{at}" if at else ""}"'
    parts = urlsplit(url)
    if parts.scheme == "file":
        path = unquote(parts.path)
        return _quoted(f"{path.removeprefix('/') if sys.platform == 'win32' else path}[{extra}]", always=True)
    return f'"{_NAME}[{extra}] @ {url}"'


def _pip() -> str:
    """Return the pip of this Python: by its short name if that is the one that a shell finds."""
    found = shutil.which("pip")
    if found and Path(found).parent == Path(sys.executable).parent:
        return "pip"
    return f"{_quoted(sys.executable)} -m pip"


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _quoted(text: str, *, always: bool = False) -> str:
    return f'"{text}"' if always or " " in text else text
