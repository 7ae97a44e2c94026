"""Text-to-speech with the VoxCPM models, for the command line and for Python.

    import voxcli

    with voxcli.open_engine("voxcpm-1.5") as engine:
        engine.speak("你好，世界").save("hello.wav")

`import voxcli` is cheap: a name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voxcli.version import __version__

if TYPE_CHECKING:
    from voxcli.api import SpeechEngine, SpeechStream, open_engine, voice_from, voice_library
    from voxcli.audio.chunk import AudioChunk
    from voxcli.errors import (
        DeviceError,
        ModelError,
        NotFound,
        RemoteCut,
        RemoteError,
        RemoteRefused,
        RemoteTimeout,
        RequestError,
        VoxError,
    )
    from voxcli.synthesis.loading import LoadingProgress
    from voxcli.synthesis.request import Clip, Engine, Prompt, Sampling, SentenceMark, SynthesisRequest, Voice
    from voxcli.text.marks import Pause
    from voxcli.voices.library import VoiceLibrary

_MODULES = {
    "voxcli.api": ("SpeechEngine", "SpeechStream", "open_engine", "voice_from", "voice_library"),
    "voxcli.audio.chunk": ("AudioChunk",),
    "voxcli.errors": (
        "DeviceError",
        "ModelError",
        "NotFound",
        "RemoteCut",
        "RemoteError",
        "RemoteRefused",
        "RemoteTimeout",
        "RequestError",
        "VoxError",
    ),
    "voxcli.synthesis.loading": ("LoadingProgress",),
    "voxcli.synthesis.request": (
        "Clip",
        "Engine",
        "Prompt",
        "Sampling",
        "SentenceMark",
        "SynthesisRequest",
        "Voice",
    ),
    "voxcli.text.marks": ("Pause",),
    "voxcli.voices.library": ("VoiceLibrary",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AudioChunk",
    "Clip",
    "DeviceError",
    "Engine",
    "LoadingProgress",
    "ModelError",
    "NotFound",
    "Pause",
    "Prompt",
    "RemoteCut",
    "RemoteError",
    "RemoteRefused",
    "RemoteTimeout",
    "RequestError",
    "Sampling",
    "SentenceMark",
    "SpeechEngine",
    "SpeechStream",
    "SynthesisRequest",
    "Voice",
    "VoiceLibrary",
    "VoxError",
    "__version__",
    "open_engine",
    "voice_from",
    "voice_library",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
