"""Checks of `voxcli doctor`, each with a fix."""

import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from voxcli.cli.settings.files import UserSettings, find_user_places, model_library, settings_files
from voxcli.engines import can_run_kokoro
from voxcli.errors import VoxError
from voxcli.installation import describe_installation, install_command, reinstall_command
from voxcli.paths import Places

_PACKAGES = ("numpy", "av", "soundfile", "soxr", "httpx", "pydantic", "rich", "typer", "platformdirs", "tomlkit")
"""Packages whose import name is their distribution name. Others have checks of their own."""

_ASK_TORCH = """
import json, torch
device = "cpu"
if torch.cuda.is_available():
    device = f"{torch.cuda.get_device_name()} with CUDA {torch.version.cuda}"
elif torch.backends.mps.is_available():
    device = "Apple GPU"
try:
    from voxcli.voxcpm.kernels.cpu.targets import describe_kernels
    kernels = describe_kernels()
except ImportError:
    kernels = "no kernels, as llvmlite is not installed"
print(json.dumps([torch.__version__, device, kernels]))
"""


_ASK_KOKORO = """
import json, time
from voxcli.cli.settings.files import find_user_places, model_library
from voxcli.engines import open_engine
from voxcli.engines.settings import LocalSettings
from voxcli.engines import can_run_kokoro
from voxcli.errors import VoxError
from voxcli.models.kokoro import load_kokoro
from voxcli.synthesis.request import SynthesisRequest

def measure(engine, text):
    request = SynthesisRequest(text=text)
    speeds = []
    for _ in range(3):  # the first one loads, and other programs may disturb one of the others
        began = time.perf_counter()
        sound = sum(chunk.seconds for chunk in engine.stream(request))
        speeds.append(sound / (time.perf_counter() - began))
    return max(speeds)

try:
    load_kokoro(model_library()).read()
    engine = open_engine("kokoro", models=model_library(), settings=LocalSettings(cache=find_user_places().cache))
    print(json.dumps([measure(engine, "你好，今天天气很好。"), measure(engine, "Hello, this is a test of the speed.")]))
except VoxError as error:
    print(json.dumps(error.for_command_line))
"""
_PREFER_ESPEAK = 'for speech without a wait: --model espeak, or model = "espeak" in the settings'


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Something optional is missing."""
    FAIL = "fail"
    """voxcli cannot work."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the diagnosis."""

    name: str
    verdict: Verdict
    detail: str
    fix: str | None = None


def run_checks() -> Iterator[Check]:
    yield Check("voxcli", Verdict.OK, describe_installation())
    yield _python()
    for name in _PACKAGES:
        yield _package(name)
    yield _espeak()
    yield from _sound()
    yield _kokoro()
    yield _torch()
    yield _models()
    places = find_user_places()
    yield _writable("settings", places.settings.parent)
    yield _writable("voices", places.voices)
    yield _cache(places)
    for name, path in (
        ("models in memory", places.engines),
        ("model cache", places.hub),
        ("temporary files", Path(tempfile.gettempdir())),
    ):
        yield _writable(name, path)


def _python() -> Check:
    return Check("Python", Verdict.OK, f"{platform.python_version()} on {platform.platform()}")


def _package(name: str) -> Check:
    try:
        importlib.import_module(name)
    except (ImportError, OSError) as error:
        return Check(name, Verdict.FAIL, str(error), reinstall_command(name))
    return Check(name, Verdict.OK, importlib.metadata.version(name))


def _espeak() -> Check:
    from voxcli.engines.espeak.library import load_espeak

    try:
        espeak = load_espeak()
    except VoxError as error:
        return Check("built-in voice", Verdict.FAIL, str(error), reinstall_command("espeakng-loader"))
    return Check("built-in voice", Verdict.OK, f"eSpeak NG with {len(espeak.voices)} languages")


def _sound() -> Iterator[Check]:
    for name, look in (("PortAudio", _portaudio), ("loudspeaker", _loudspeaker)):
        try:
            yield Check(name, Verdict.OK, look())
        except VoxError as error:
            # Files can be written without a sound system, so this is no failure.
            trouble, _, fix = str(error).partition(". ")
            yield Check(name, Verdict.WARN, trouble, fix)


def _portaudio() -> str:
    from voxcli.devices.portaudio import load_sounddevice

    version: str = load_sounddevice().get_portaudio_version()[1]
    return version


def _loudspeaker() -> str:
    from voxcli.devices.portaudio import find_device, list_devices

    return f"{find_device(None).label}, one of {len(list_devices())}"


def _torch() -> Check:
    """Check torch in a child process: it is slow to load, and a broken installation may crash the process."""
    if importlib.util.find_spec("torch") is None:
        return Check("torch", Verdict.WARN, "not installed; VoxCPM models need it", install_command("local"))
    answer = subprocess.run(
        [sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=120, check=False
    )
    if answer.returncode != 0:
        reason = answer.stderr.strip().rpartition("\n")[2] or f"exit code {answer.returncode}"
        return Check("torch", Verdict.WARN, reason, reinstall_command("torch"))
    version, device, kernels = json.loads(answer.stdout)
    return Check("torch", Verdict.OK, f"{version} on {device}; on the CPU {kernels}")


def _kokoro() -> Check:
    """Check the packages of Kokoro and measure its speed, in a child process: an unsuitable CPU may crash it."""
    name = "Kokoro"
    if not can_run_kokoro(model_library()):
        return Check(name, Verdict.WARN, "not installed; human voices need it", install_command("voices"))
    command = [sys.executable, "-c", _ASK_KOKORO]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if answer.returncode != 0:
        reason = answer.stderr.strip().rpartition("\n")[2] or f"its program ended with code {answer.returncode}"
        return Check(name, Verdict.WARN, reason, f"{reinstall_command('onnxruntime')}, or {_PREFER_ESPEAK}")
    measured = json.loads(answer.stdout)
    if isinstance(measured, str):
        trouble, _, fix = measured.partition(" Run: ")
        return Check(name, Verdict.WARN, trouble, fix or None)
    chinese, english = measured
    speeds = f"Chinese at {chinese:.1f} times, English at {english:.1f} times the speed of speech"
    if min(measured) < 1:
        return Check(name, Verdict.WARN, f"{speeds}: eSpeak NG is the better default on this CPU", _PREFER_ESPEAK)
    return Check(name, Verdict.OK, f"{speeds}: fast enough to be the default")


def _models() -> Check:
    names = [model.name for model in model_library().installed() if not model.missing]
    if not names:
        alone = "Kokoro, and" if can_run_kokoro(model_library()) else "only"
        return Check("models", Verdict.WARN, f"{alone} the built-in voice", "voxcli models pull voxcpm-1.5")
    return Check("models", Verdict.OK, ", ".join(names))


def check_settings(settings: UserSettings, variables: Iterable[str]) -> Iterator[Check]:
    """Report what is wrong with the settings files, and with the variables."""
    for problem in (*settings.problems, *variables):
        yield Check("settings files", Verdict.FAIL, problem, "correct it, or delete it: other commands stop there")
    for warning in settings.warnings:
        yield Check("settings files", Verdict.WARN, warning, "correct its name, or remove it")
    if not (settings.problems or settings.warnings):
        files = [str(file) for file in settings_files() if file.exists()]
        yield Check("settings files", Verdict.OK, ", ".join(files) or "none")


def _cache(places: Places) -> Check:
    """Say how much is kept, all of which may be removed at any time."""
    from rich.filesize import decimal

    from voxcli.cli.commands.models.caches import cache_folders, content_of

    found = _writable("cache", places.cache)
    sizes = {what: content_of(folder).size for what, folder in cache_folders(places).values()}
    held = ", ".join(f"{name} {decimal(size)}" for name, size in sizes.items() if size)
    return replace(found, detail=f"{found.detail} ({held})") if held else found


def _writable(name: str, path: Path) -> Check:
    there = next(parent for parent in (path, *path.parents) if os.access(parent, os.F_OK))
    if there.is_dir() and os.access(there, os.W_OK):
        return Check(name, Verdict.OK, str(path))
    return Check(name, Verdict.FAIL, f"{path} is not writable", "set VOXCLI_HOME to a writable folder")
