"""`voxcli clone --record`, with what a real sound server plays as the microphone."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import numpy as np
import pytest
import soxr

from tests.clips import spoken_wav
from tests.devices.listening import place_of, play
from tests.devices.test_portaudio import NO_CARDS
from tests.program import Run, said, started
from tests.pulse import PulseServer
from tests.screen import run_on_terminal
from voxcli.audio.chunk import AudioChunk, Samples
from voxcli.audio.decode import decode
from voxcli.synthesis.request import Voice
from voxcli.voices import VoiceLibrary

RATE = 44100
"""What PortAudio says of every device behind ALSA's pulse plugin, and what this loudspeaker has: nothing resamples."""
SPEAKER = "speaker44"


@pytest.fixture
def library(environment: dict[str, str]) -> VoiceLibrary:
    home = Path(environment["VOXCLI_HOME"])
    environment["HF_HUB_CACHE"] = str(home / "hub")
    return VoiceLibrary(home / "voices")


@pytest.fixture
def microphone(pulse: PulseServer) -> dict[str, str]:
    return listening_to(pulse)


@pytest.fixture
def sound() -> Samples:
    """A short sentence, without the silence around it."""
    clip = decode(spoken_wav("One two three."))
    return np.trim_zeros(soxr.resample(clip.samples, clip.sample_rate, RATE))


def listening_to(server: PulseServer) -> dict[str, str]:
    """Return what makes the microphone of a program of what the loudspeaker plays."""
    client = {name: server.environment[name] for name in ("HOME", "XDG_RUNTIME_DIR", "PULSE_SERVER")}
    return {**client, "PULSE_SOURCE": f"{SPEAKER}.monitor"}


@contextmanager
def recording(environment: dict[str, str], *arguments: str) -> Iterator["Popen[bytes]"]:
    """Start a program, and go on once it says that it records."""
    with started([sys.executable, "-m", "voxcli", *arguments], environment) as process:
        assert process.stderr
        assert b"speak now" in (line := process.stderr.readline()), line
        yield process


def clip_of(voice: Voice) -> AudioChunk:
    clip = voice.prompt.clip if voice.prompt else voice.reference
    assert clip
    return decode(clip.data)


def assert_heard(sound: Samples, heard: AudioChunk) -> None:
    assert heard.sample_rate == RATE
    place = place_of(sound, heard.samples)
    assert np.abs(heard.samples[place : place + len(sound)] - sound).max() < 0.01
    assert heard.seconds < len(sound) / RATE + 1  # it is trimmed


@pytest.mark.real_time
def test_what_is_said_becomes_a_voice(
    environment: dict[str, str],
    library: VoiceLibrary,
    pulse: PulseServer,
    microphone: dict[str, str],
    sound: Samples,
) -> None:
    arguments = ["clone", "--record", "3.5", "--name", "me", "--prompt-text", "One two three.", "--consent", "I am me."]
    with recording(environment | microphone, *arguments) as process:
        play(pulse.client(SPEAKER), sound, RATE, [["write", 0, len(sound)]], sample_rate=RATE)
        _, words = process.communicate(timeout=30)
    assert process.returncode == 0, words
    assert b"Saved voice me." in words
    voice, notes = library.load_noted("me")
    assert voice.prompt
    assert voice.prompt.transcript == "One two three."
    assert notes.consent == "I am me."
    assert_heard(sound, clip_of(voice))


@pytest.mark.real_time
def test_on_a_terminal_it_asks_for_the_words_first_and_shows_how_long_it_goes_on(
    environment: dict[str, str],
    library: VoiceLibrary,
    pulse: PulseServer,
    microphone: dict[str, str],
    sound: Samples,
) -> None:
    def speak() -> None:
        play(pulse.client(SPEAKER), sound, RATE, [["write", 0, len(sound)]], sample_rate=RATE)

    command = [sys.executable, "-m", "voxcli", "voices", "add", "me", "--record", "3", "--microphone", "pulse"]
    reactions = {b"What will you say?": b"One two three.\n", b"speak now": speak, b"1 s left": lambda: None}
    code, shown = run_on_terminal(command, environment | microphone, reactions)
    assert code == 0, shown
    voice = library.load("me")
    assert voice.prompt
    assert voice.prompt.transcript == "One two three."
    assert_heard(sound, clip_of(voice))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_recording_that_is_broken_off_is_not_kept(
    environment: dict[str, str], library: VoiceLibrary, microphone: dict[str, str], number: signal.Signals, code: int
) -> None:
    with recording(environment | microphone, "clone", "--record", "60", "--name", "me") as process:
        process.send_signal(number)
        assert process.wait(timeout=5) == code
    assert library.names() == []


def test_of_silence_nothing_is_kept(run: Run, library: VoiceLibrary, microphone: dict[str, str]) -> None:
    done = run("voices", "add", "me", "--record", "3", env=microphone)
    assert done.returncode == 4, said(done)
    assert "The recording is silent" in said(done)
    assert library.names() == []


def test_a_sound_server_that_dies_is_an_error(
    environment: dict[str, str], library: VoiceLibrary, own_pulse: PulseServer
) -> None:
    with recording(environment | listening_to(own_pulse), "clone", "--record", "60", "--name", "me") as process:
        own_pulse.close()
        _, words = process.communicate(timeout=20)
    assert process.returncode == 5
    # On a busy machine ALSA's plugin sometimes hangs when its server dies, rather than tell.
    assert re.search(rb"The microphone default, ALSA (was disconnected|does not respond)", words)
    assert library.names() == []


def test_a_sound_server_that_hangs_is_an_error_and_no_hang(
    environment: dict[str, str], library: VoiceLibrary, own_pulse: PulseServer
) -> None:
    client = environment | listening_to(own_pulse)
    with recording(client, "clone", "--record", "60", "--name", "one") as one:
        os.kill(own_pulse.pid, signal.SIGSTOP)
        voxcli = [sys.executable, "-m", "voxcli"]
        with (
            started([*voxcli, "clone", "--record", "60", "--name", "other"], client) as other,
            started([*voxcli, "say", "Hello", "--play"], client) as player,
        ):
            for process in (one, other, player):
                _, words = process.communicate(timeout=20)
                assert process.returncode == 5
                assert b"does not respond" in words
    assert library.names() == []


def test_without_a_microphone_the_error_says_what_to_do(
    run: Run, library: VoiceLibrary, pulse: PulseServer, tmp_path: Path
) -> None:
    cards = tmp_path / "asound.conf"
    cards.write_text(NO_CARDS)
    nobody = {"PULSE_SERVER": f"unix:{tmp_path / 'nobody'}", "ALSA_CONFIG_PATH": str(cards)}
    done = run("clone", "--record", "10", "--name", "me", env=nobody)
    assert done.returncode == 5
    assert "There is no microphone to record with." in said(done)
    assert "--prompt" in said(done)
    assert library.names() == []


@pytest.mark.parametrize("name", ["kitchen", "99", "alsa"])
def test_an_unknown_microphone_is_refused_with_the_list_of_all(
    run: Run, library: VoiceLibrary, microphone: dict[str, str], name: str
) -> None:
    done = run("clone", "--record", "10", "--name", "me", "--microphone", name, env=microphone)
    assert done.returncode == 5
    assert f"'{name}' matches no microphone, or several. Available: 0 pulse 1 default" in said(done)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["clone", "--record", "2.9", "--name", "me"], "Out of range: --record 2.9 (3 to 60)."),
        (["clone", "--record", "61", "--name", "me"], "Out of range: --record 61 (3 to 60)."),
        (["clone", "--record", "nan", "--name", "me"], "--record"),
        (["clone", "--record", "10"], "--name"),
        (["clone", "--record", "10", "--name", "me", "--prompt", "ref.wav"], "not both"),
        (["clone", "--prompt", "ref.wav", "--microphone", "pulse"], "--record 10"),
        (["voices", "add", "me", "--instruct", "old", "--microphone", "pulse"], "--record 10"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_recorded(
    run: Run, library: VoiceLibrary, arguments: list[str], words: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 2, said(done)
    assert words in said(done)


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--prompt-text", " "], "is empty"), (["--name", "a/b"], "cannot be called")]
)
def test_what_cannot_be_kept_is_not_recorded(run: Run, library: VoiceLibrary, arguments: list[str], words: str) -> None:
    done = run("clone", "--record", "60", "--name", "me", "--force", *arguments)
    assert done.returncode == 4
    assert words in said(done)
    assert "speak now" not in said(done)
