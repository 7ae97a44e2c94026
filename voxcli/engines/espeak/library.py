"""The eSpeak NG shared library, called through ctypes.

Functions, constants and struct layout are those of eSpeak NG's public header `speak_lib.h`, version 1.52. The library
keeps one voice, one rate and one callback per process and is not safe to call from two threads, hence the one lock.
"""

import _ctypes
import atexit
import ctypes
import functools
import itertools
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import espeakng_loader
import numpy as np

from voxcli.audio.chunk import Samples
from voxcli.errors import ModelError

_AUDIO_OUTPUT_SYNCHRONOUS = 2  # the callback runs inside espeak_Synth, on the caller's thread
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_END_PAUSE = 0x1000
_PARAMETER_RATE = 1
_POSITION_CHARACTER = 1

_BUFFER_MS = 60  # less is not honoured: a callback brings 60 ms at the least
_LONGEST_DATA_PATH = 158  # bytes; a fixed buffer inside the library, longer paths make it fail

NORMAL_RATE = 175
"""Words a minute, the library's own default."""

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int16), ctypes.c_int, ctypes.c_void_p)


class _VoiceStruct(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),  # a priority byte, then the name; further pairs may follow
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """A language as eSpeak NG reads it."""

    name: str
    """Short and unique, such as "en-us"."""
    language: str
    """A language tag, such as "fr-fr"; several voices may share one."""
    title: str
    """In words, such as "French (France)"."""
    identifier: str
    """What the library wants to hear; every listed one is accepted, unlike the tags."""


class Espeak:
    """The one library of this process. Make it with `load_espeak`."""

    def __init__(self, path: str, data: Path) -> None:
        """
        Args:
            path: the shared library.
            data: its folder espeak-ng-data.
        """
        self._path = path
        self._data = data
        self._library, self.sample_rate = _open_library(path, data)
        self._used = False
        self._lock = threading.Lock()
        self.voices = {voice.name: voice for voice in _list_voices(self._library)}
        self.variants = frozenset(path.name for path in (data / "voices" / "!v").iterdir())

    def speak(
        self,
        text: str,
        voice: str,
        rate: int,
        take: Callable[[Samples], bool],
        *,
        end_pause: bool = True,
    ) -> None:
        """Speak one text and return when all of it was made.

        Args:
            text: without surrogates; NUL would end it early.
            voice: an `EspeakVoice.identifier`, perhaps with "+variant".
            rate: words a minute, 80 and up.
            take: gets samples (n,) as they are made; returns False to stop the speech.
            end_pause: leave the silence that ends a sentence.
        """
        data = text.replace("\0", " ").encode()
        going_on = True

        def callback(wav: "ctypes._Pointer[ctypes.c_int16]", count: int, events: int) -> int:
            nonlocal going_on
            if wav and count > 0 and going_on:
                going_on = take(np.ctypeslib.as_array(wav, (count,)).astype(np.float32) / np.float32(32768))
            return 0 if going_on else 1

        held = _Callback(callback)  # must outlive the call
        with self._lock:
            self._reset()
            # An unknown name would leave the voice of the last speaker in place.
            if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise ModelError(f"eSpeak NG cannot load its voice {voice!r}.")
            self._library.espeak_SetParameter(_PARAMETER_RATE, rate, 0)
            self._library.espeak_SetSynthCallback(held)
            flags = _CHARS_UTF8 | (_END_PAUSE if end_pause else 0)
            status = self._library.espeak_Synth(data, len(data) + 1, 0, _POSITION_CHARACTER, 0, flags, None, None)
        if status != 0:
            raise ModelError(f"eSpeak NG failed with status {status} on {text[:40]!r}.")

    def _reset(self) -> None:
        """Load the library anew if it has spoken before, which takes half a millisecond.

        It keeps the phase of its oscillators from one text to the next and has no call to reset it, so the samples of
        a text would depend on what was said before.
        """
        if self._used:
            self._library.espeak_Terminate()
            _unload(self._library)
            self._library, _ = _open_library(self._path, self._data)
        self._used = True


@functools.cache
def load_espeak() -> Espeak:
    """Load the library and its data, once per process.

    Raises:
        ModelError: it cannot be loaded.
    """
    try:
        return Espeak(espeakng_loader.get_library_path(), _short_path(Path(espeakng_loader.get_data_path())))
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"eSpeak NG cannot be loaded: {error}. Reinstall it: pip install --force-reinstall espeakng-loader"
        ) from error


def _open_library(path: str, data: Path) -> tuple[ctypes.CDLL, int]:
    """Load and initialize the library. Return it with its sample rate in Hz."""
    library = ctypes.CDLL(path)
    library.espeak_Synth.argtypes = (
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceStruct))
    sample_rate = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, bytes(data), _INITIALIZE_DONT_EXIT)
    if sample_rate <= 0:
        raise ModelError(f"eSpeak NG does not accept its data in {data} (status {sample_rate}).")
    return library, sample_rate


def _unload(library: ctypes.CDLL) -> None:
    """Unload a shared library, as far as the platform does that."""
    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)


def _short_path(data: Path) -> Path:
    """Return a path to `data` that fits the library's buffer, through a temporary link if need be."""
    if len(bytes(data)) <= _LONGEST_DATA_PATH:
        return data
    folder = Path(tempfile.mkdtemp(prefix="voxcli-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    short = folder / "espeak-ng-data"
    try:
        short.symlink_to(data, target_is_directory=True)
    except OSError:  # Windows keeps links for administrators
        shutil.copytree(data, short)
    if len(bytes(short)) > _LONGEST_DATA_PATH:
        raise OSError(f"the path of the temporary folder is too long for it: {folder}")
    return short


def _list_voices(library: ctypes.CDLL) -> list[EspeakVoice]:
    voices = []
    pointers = library.espeak_ListVoices(None)
    for pointer in itertools.takewhile(bool, map(pointers.__getitem__, itertools.count())):
        struct = pointer.contents
        identifier = struct.identifier.decode()
        voices.append(
            EspeakVoice(
                name=identifier.rpartition("/")[2].lower(),
                language=ctypes.string_at(struct.languages + 1).decode(),
                title=struct.name.decode().strip(),
                identifier=identifier,
            )
        )
    return voices
