"""Installation of voxcli: the command that adds optional parts to it, for the way in which it was installed."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

_NAME = "voxcli"


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
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx install --force {requirement}"
    if (prefix / "uv-receipt.toml").exists():
        return f"uv tool install --force {requirement}"
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    if (installed.read_text("INSTALLER") or "").strip() == "uv":
        return f"uv pip install --python {_quoted(sys.executable)} {editable}{requirement}"
    return f"{_pip()} install {editable}{requirement}"


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
