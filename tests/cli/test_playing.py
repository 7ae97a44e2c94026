"""`--play` into a real sound server, recorded."""

import json
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

import voxcli
from tests.engines.remote.replay import posts, replaying, streamed
from tests.engines.remote.sounds import VOXCLI, tone, wav
from tests.program import Run, said, started
from tests.pulse import PulseServer, wait_until
from voxcli.audio.chunk import Samples

TEXT = "Once upon a time there was a voice. 它在故事写完之前就开始说话。 The end."


@pytest.fixture
def loudspeaker(pulse: PulseServer) -> dict[str, str]:
    """A loudspeaker that runs at the rate that PortAudio chooses, so that nothing else resamples."""
    client = pulse.client("speaker44")
    return {name: client[name] for name in ("HOME", "XDG_RUNTIME_DIR", "PULSE_SERVER", "PULSE_SINK")}


def aligned_error(heard: Samples, expected: Samples) -> float:
    """Return the largest difference once the recording is shifted to where it fits best."""
    size = 1 << (len(heard) + len(expected)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(expected, size)), size)
    shift = int(np.argmax(correlation))
    part = heard[shift : shift + len(expected)]
    assert len(part) == len(expected), "the end was not heard"
    return float(np.abs(part - expected).max())


def at_rate(path: Path, rate: int) -> Samples:
    samples, own_rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples, own_rate, rate)


@pytest.mark.alone
def test_what_is_heard_is_what_is_in_the_file(
    run: Run, tmp_path: Path, pulse: PulseServer, loudspeaker: dict[str, str]
) -> None:
    with pulse.recording("speaker44") as recording:
        done = run("say", TEXT, "--play", "-o", "x.wav", env=loudspeaker)
    assert done.returncode == 0, said(done)
    assert "0 underruns" in said(done)
    expected = at_rate(tmp_path / "x.wav", 44100)
    # The file holds 16 bits and so does the recording; 100 ms at the end included.
    assert aligned_error(recording.samples, expected) <= 3 / 32768


def test_with_no_target_it_plays(run: Run, tmp_path: Path, pulse: PulseServer, loudspeaker: dict[str, str]) -> None:
    with pulse.recording("speaker44") as recording:
        assert run("say", "你好，世界", env=loudspeaker).returncode == 0
    assert 0.8 < recording.sounding_seconds < 3
    assert list(tmp_path.iterdir()) == []


def test_a_device_can_be_named(run: Run, pulse: PulseServer, loudspeaker: dict[str, str]) -> None:
    devices = json.loads(run("devices", "--json", env=loudspeaker).stdout)
    with pulse.recording("speaker44") as recording:
        for name in (devices[0]["name"], str(devices[0]["index"])):
            assert run("say", "hello", "--audio-device", name, env=loudspeaker).returncode == 0
    assert recording.sounding_seconds > 1
    done = run("say", "hello", "--audio-device", "nowhere", env=loudspeaker)
    assert done.returncode == 5
    assert devices[0]["name"] in said(done)


@pytest.mark.alone
def test_the_first_sentence_sounds_before_the_second_is_written(
    tmp_path: Path, environment: dict[str, str], pulse: PulseServer, loudspeaker: dict[str, str]
) -> None:
    heard = tmp_path / "heard"
    os.mkfifo(heard)
    command = f"(printf '第一句。'; read < {heard}; printf '第二句。') | {sys.executable} -m voxcli say"
    with pulse.recording("speaker44") as recording:
        with started(["bash", "-c", command], environment | loudspeaker) as process:
            wait_until(lambda: recording.sounding_seconds > 0.1, "the first sentence")
            time.sleep(1)
            heard.write_text("yes\n")
            _, words = process.communicate(timeout=30)
        assert process.returncode == 0
    assert b"0 underruns" in words  # the wait was the writer's
    with voxcli.open_engine("espeak") as engine:
        one, rate = engine.speak("第一句。").samples()
    assert recording.sounding_seconds > 1.5 * len(one) / rate


def test_two_at_once_do_not_crash(environment: dict[str, str], loudspeaker: dict[str, str]) -> None:
    say = [sys.executable, "-m", "voxcli", "say", "Once upon a time there was a voice."]
    with started(say, environment | loudspeaker) as one, started(say, environment | loudspeaker) as other:
        assert [one.wait(timeout=60), other.wait(timeout=60)] == [0, 0]


def test_ctrl_c_stops_the_sound_at_once_and_keeps_the_file(
    tmp_path: Path, environment: dict[str, str], pulse: PulseServer, loudspeaker: dict[str, str]
) -> None:
    path = tmp_path / "x.wav"
    say = [sys.executable, "-m", "voxcli", "say", TEXT * 20, "--play", "-o", str(path)]
    with pulse.recording("speaker44") as recording, started(say, environment | loudspeaker) as process:
        wait_until(lambda: recording.sounding_seconds > 1, "a second of sound")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
    assert recording.sounding_seconds < 4
    with wave.open(str(path)) as file:
        assert file.getnframes() > file.getframerate()


def test_a_sound_server_that_dies_does_not_cost_the_file(
    tmp_path: Path, environment: dict[str, str], own_pulse: PulseServer
) -> None:
    path, alone = tmp_path / "x.wav", tmp_path / "alone.wav"
    client = {name: own_pulse.environment[name] for name in ("HOME", "XDG_RUNTIME_DIR", "PULSE_SERVER")}
    say = [sys.executable, "-m", "voxcli", "say", TEXT * 5]
    assert subprocess.run([*say, "-o", str(alone)], env=environment, check=False).returncode == 0
    with started([*say, "--play", "-o", str(path)], environment | client) as process:
        wait_until(path.exists, "the file")
        own_pulse.close()
        _, words = process.communicate(timeout=60)
    assert process.returncode == 5
    assert b"not played" in words
    assert soundfile.info(path).frames == pytest.approx(soundfile.info(alone).frames, rel=0.02)


@pytest.fixture
def live(run: Run, loudspeaker: dict[str, str]) -> Iterator[dict[str, str]]:
    done = run("doctor", "--live", "--json", env=loudspeaker)
    assert done.returncode == 0
    return {check["name"]: check["verdict"] for check in json.loads(done.stdout)}


def test_the_doctor_speaks(live: dict[str, str], pulse: PulseServer) -> None:
    assert live["loudspeaker"] == "ok"
    assert live["live test"] == "ok"


@pytest.mark.alone
@pytest.mark.parametrize("start_buffer", [None, "0"])
def test_an_engine_slower_than_real_time_is_heard_later_and_without_gaps(
    run: Run, tmp_path: Path, pulse: PulseServer, loudspeaker: dict[str, str], start_buffer: str | None
) -> None:
    def slowly() -> Iterator[bytes]:
        sound = wav(tone(2.6))
        yield sound[:44]
        for start in range(44, len(sound), len(sound) // 13):
            time.sleep(0.4)  # half as fast as it is played
            yield sound[start : start + len(sound) // 13]

    text = "This sentence takes a slow machine long."
    arguments = ["say", text, "--play", "-o", "x.wav"] + (["--start-buffer", start_buffer] if start_buffer else [])
    with replaying(posts(lambda asked: streamed(slowly()), VOXCLI)) as server, pulse.recording("speaker44") as heard:
        done = run(*arguments, "--remote", server.url, env=loudspeaker)
    assert done.returncode == 0, said(done)
    if start_buffer:
        assert " 0 underruns" not in said(done)
        return
    assert "the server speaks at 0.5× speed: starting in " in said(done)
    assert " 0 underruns" in said(done)
    sounding = np.flatnonzero(np.abs(heard.samples) > 0.01)
    assert np.diff(sounding).max() < 0.05 * 44100
