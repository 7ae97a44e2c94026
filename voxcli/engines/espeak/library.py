"""ctypes binding of the eSpeak NG shared library.

Functions, constants and struct layout are those of eSpeak NG's public header `speak_lib.h`, version 1.52. The library
has one voice, one rate and one callback per process and is not thread-safe, hence the lock.
"""

import _ctypes
import atexit
import ctypes
import functools
import itertools
import re
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
from voxcli.installation import reinstall_command

_AUDIO_OUTPUT_SYNCHRONOUS = 2  # the callback runs inside espeak_Synth, on the caller's thread
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_PHONEMES = 0x100
"""Phonemes in double square brackets are read as such."""
_END_PAUSE = 0x1000
_PARAMETER_RATE = 1
_POSITION_CHARACTER = 1

TIE = "^"
"""Between the letters of one phoneme, such as t^ʃ."""
_IPA, _WITH_TIE = 0x02, 0x80
_LANGUAGE_SWITCH = re.compile(r"\([^()]*\)")
"""Around words that the library reads in another language, such as (^e^n)wiːkˈɛnd(^f^r)."""

_BUFFER_MS = 60  # the smallest value that has an effect
_MAX_VOICE_FILE = 59
"""Bytes of the path of a voice that the library has room for."""
_MAX_DATA_PATH = 158  # bytes; the size of a fixed buffer in the library

NORMAL_RATE = 175
"""Words per minute; the library's default."""

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
    """A voice of eSpeak NG, which stands for a language or dialect."""

    name: str
    """Unique short name, such as "en-us"."""
    language: str
    """Language tag, such as "fr-fr"; several voices may have the same."""
    title: str
    """Display name, such as "French (France)"."""
    identifier: str
    """Name for `espeak_SetVoiceByName`, which accepts all of these but not all tags."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause and how it is pronounced."""

    text: str
    """With the punctuation and spaces that follow it."""
    phonemes: str
    """In IPA, with `TIE`, stress marks, and spaces between words."""


class Espeak:
    """The library, once per process. Create it with `load_espeak`."""

    def __init__(self, path: str, data: Path) -> None:
        """
        Args:
            path: the shared library.
            data: its folder espeak-ng-data.
        """
        self._path = path
        self._data = data
        self._library, self.sample_rate = _open_library(path, data)
        self.version: str = self._library.espeak_Info(None).decode(errors="replace")
        self._used = self._reloaded = False
        self._links: dict[str, Path | None] = {}
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
        phonemes: bool = False,
    ) -> None:
        """Synthesize one text, and return when all of it is done.

        Args:
            text: without surrogates.
            voice: an `EspeakVoice.identifier`, optionally with "+variant".
            rate: words per minute, at least 80.
            take: called with samples (n,) as they are generated; returns False to stop.
            end_pause: keep the silence at the end of the sentence.
            phonemes: read what is in double square brackets as phonemes, in eSpeak NG's own letters.

        Raises:
            ModelError: the voice cannot be loaded, or the synthesis failed.
        """
        data = text.replace("\0", " ").encode()  # NUL would end the text
        wanted = True

        def callback(wav: "ctypes._Pointer[ctypes.c_int16]", count: int, events: int) -> int:
            nonlocal wanted
            if wav and count > 0 and wanted:
                wanted = take(np.ctypeslib.as_array(wav, (count,)).astype(np.float32) / np.float32(32768))
            return 0 if wanted else 1

        c_callback = _Callback(callback)  # must outlive the call
        with self._lock:
            self._reset()
            self._set_voice(voice)
            self._library.espeak_SetParameter(_PARAMETER_RATE, rate, 0)
            self._library.espeak_SetSynthCallback(c_callback)
            flags = _CHARS_UTF8 | (_END_PAUSE if end_pause else 0) | (_PHONEMES if phonemes else 0)
            status = self._library.espeak_Synth(data, len(data) + 1, 0, _POSITION_CHARACTER, 0, flags, None, None)
        if status != 0:
            raise ModelError(f"eSpeak NG failed with status {status} on {text[:40]!r}.")

    def phonemes(self, text: str, voice: str) -> list[Clause]:
        """Return how a text is pronounced, clause by clause, without speaking it.

        Args:
            text: without surrogates.
            voice: an `EspeakVoice.identifier`.

        Raises:
            ModelError: the voice cannot be loaded.
        """
        text = text.replace("\0", " ")
        data = text.encode()
        buffer = ctypes.create_string_buffer(data)
        start = ctypes.addressof(buffer)
        place = ctypes.c_void_p(start)
        clauses, done = [], 0
        with self._lock:
            self._set_voice(voice)
            while place.value:
                written = self._library.espeak_TextToPhonemes(
                    ctypes.byref(place), _CHARS_UTF8, _IPA | _WITH_TIE | ord(TIE) << 8
                )
                # The library has read one character of the next clause, unless the text has ended.
                read = len(data[: place.value - start].decode(errors="ignore")) - 1 if place.value else len(text)
                phonemes = _LANGUAGE_SWITCH.sub("", written.decode(errors="ignore")).strip()
                clauses.append(Clause(text[done:read], phonemes))
                done = read
        return clauses

    def _set_voice(self, voice: str) -> None:
        if self._reloaded and (file := self._link_to(voice)) and self._library.espeak_SetVoiceByFile(file) == 0:
            return
        # For an unknown name, the library would keep the previous voice.
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ModelError(f"Cannot load eSpeak NG's voice {voice!r}.")

    def _link_to(self, voice: str) -> bytes | None:
        """Return a file in lower case for a voice that is not; None if there can be none.

        The library makes every name lower case. If no file has that name, it looks through a list of all voices, which
        it makes anew after each loading and does not free: 3 kB for each text.
        """
        identifier, plus, variant = voice.partition("+")
        if identifier == identifier.lower():
            return None
        if identifier not in self._links:
            self._links[identifier] = _new_link(self._data / "lang" / identifier)
        link = self._links[identifier]
        file = f"{link}{plus}{variant}".encode()
        return file if link and file == file.lower() and len(file) <= _MAX_VOICE_FILE else None

    def _reset(self) -> None:
        """Load the library anew if it has spoken before, which takes half a millisecond.

        It keeps the phase of its oscillators from one text to the next and has no call to reset it, so the samples of
        a text would depend on what was said before.
        """
        if self._used:
            self._library.espeak_Terminate()
            _unload(self._library)
            self._library, _ = _open_library(self._path, self._data)
            self._reloaded = True
        self._used = True


_loading = threading.Lock()


def load_espeak() -> Espeak:
    """Load the library and its data, once per process. It is never unloaded, since other engines may use it.

    Raises:
        ModelError: the library or its data cannot be loaded.
    """
    with _loading:  # `functools.cache` would let two threads initialize the library at once, which crashes it
        return _load_once()


@functools.cache
def _load_once() -> Espeak:
    try:
        return Espeak(espeakng_loader.get_library_path(), _short_path(Path(espeakng_loader.get_data_path())))
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"Cannot load eSpeak NG: {error}.",
            on_command_line=f"Install it again: {reinstall_command('espeakng-loader')}",
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
    library.espeak_TextToPhonemes.argtypes = (ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int)
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_Info.argtypes = (ctypes.c_void_p,)
    library.espeak_Info.restype = ctypes.c_char_p
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceStruct))
    sample_rate = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, bytes(data), _INITIALIZE_DONT_EXIT)
    if sample_rate <= 0:
        raise ModelError(f"Cannot load the data of eSpeak NG from {data} (status {sample_rate}).")
    return library, sample_rate


def _unload(library: ctypes.CDLL) -> None:
    """Unload a shared library, as far as the platform does that."""
    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)


def _new_link(file: Path) -> Path | None:
    """Make a link to a file in a temporary folder, under a name in lower case; None where there are no links."""
    folder = Path(tempfile.mkdtemp(prefix="voxcli-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        (folder / "v").symlink_to(file.absolute())
    except OSError:
        return None
    return folder / "v"


def _short_path(data: Path) -> Path:
    """Return a path to `data` that fits into the library's buffer, if necessary through a temporary link."""
    if len(bytes(data)) <= _MAX_DATA_PATH:
        return data
    folder = Path(tempfile.mkdtemp(prefix="voxcli-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    short = folder / "espeak-ng-data"
    try:
        short.symlink_to(data, target_is_directory=True)
    except OSError:  # on Windows, only administrators may create links
        shutil.copytree(data, short)
    if len(bytes(short)) > _MAX_DATA_PATH:
        raise OSError(f"the path of the temporary folder is too long: {folder}")
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
