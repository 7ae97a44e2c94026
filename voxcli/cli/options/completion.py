"""Shell completion: real names, looked up when Tab is pressed."""

from collections.abc import Iterable

from voxcli.errors import VoxError


def _starting_with(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def models(incomplete: str) -> list[str]:
    from voxcli.cli.settings.files import model_library
    from voxcli.engines import model_names

    return _starting_with(model_names(model_library()), incomplete)


def running_models(incomplete: str) -> list[str]:
    """Complete the models that are loaded in the background."""
    from voxcli.cli.settings.files import find_user_places
    from voxcli.engines.resident.registry import Registry

    entries = Registry(find_user_places().engines).entries()
    return _starting_with(dict.fromkeys(entry.model for entry in entries), incomplete)


def voices(incomplete: str) -> list[str]:
    from voxcli.cli.settings.files import model_library, voice_library
    from voxcli.engines import can_run_kokoro
    from voxcli.engines.espeak.library import load_espeak
    from voxcli.engines.kokoro.speakers import VOICES
    from voxcli.voices.named import NAMED_VOICES

    of_kokoro = VOICES if can_run_kokoro(model_library()) else ()
    known = dict.fromkeys([*voice_library().names(), *NAMED_VOICES, *of_kokoro, *sorted(load_espeak().voices)])
    return _starting_with(known, incomplete)


def own_voices(incomplete: str) -> list[str]:
    """Complete the names that only the user's own voices have."""
    from voxcli.cli.settings.files import voice_library

    return _starting_with(voice_library().names(), incomplete)


def languages(incomplete: str) -> list[str]:
    from voxcli.engines.espeak.languages import language_names
    from voxcli.engines.espeak.library import load_espeak

    return _starting_with(language_names(load_espeak().voices), incomplete)


def devices(incomplete: str) -> list[str]:
    return _starting_with(["auto", "cpu", "cuda", "mps"], incomplete)  # importing torch would take too long


def dtypes(incomplete: str) -> list[str]:
    return _starting_with(["auto", "float32", "bfloat16", "float16"], incomplete)


def auto(incomplete: str) -> list[str]:
    return _starting_with(["auto"], incomplete)


def keep_alive_times(incomplete: str) -> list[str]:
    return _starting_with(["5m", "30m", "1h", "8h", "-1", "0"], incomplete)


def protocols(incomplete: str) -> list[str]:
    from voxcli.protocols.names import AUTO, PROTOCOLS

    return _starting_with([AUTO, *PROTOCOLS], incomplete)


def remotes(incomplete: str) -> list[str]:
    from voxcli.cli.settings.files import read_remotes, settings_files

    return _starting_with(read_remotes(settings_files()), incomplete)


def formats(incomplete: str) -> list[str]:
    from voxcli.audio.format import AudioFormat, SubtitleFormat

    return _starting_with([*AudioFormat, *SubtitleFormat], incomplete)


def audio_devices(incomplete: str) -> list[str]:
    from voxcli.devices.portaudio import list_devices

    try:
        return _starting_with([device.name for device in list_devices()], incomplete)
    except VoxError:  # no sound system on this machine
        return []


def list_formats(incomplete: str) -> list[str]:
    from voxcli.batch.lists import ListFormat

    return _starting_with(ListFormat, incomplete)
