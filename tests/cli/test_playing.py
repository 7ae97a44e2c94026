"""`--play` into a real sound server, recorded."""

import itertools
import json
import os
import re
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
from tests.engines.remote.replay import Reply, posts, replaying, streamed
from tests.engines.remote.sounds import RATE, VOXCLI, tone, wav
from tests.program import Run, said, started
from tests.pulse import PulseServer, wait_until
from voxcli.audio.chunk import Samples
from voxcli.devices.turns import Turn

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


@pytest.mark.real_time
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


@pytest.mark.real_time
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


@pytest.mark.real_time
def test_those_in_the_queue_speak_one_after_another(
    environment: dict[str, str], pulse: PulseServer, loudspeaker: dict[str, str]
) -> None:
    say = [sys.executable, "-m", "voxcli", "say", "--queue", "One voice at a time."]
    with (
        pulse.recording("speaker44") as recording,
        started(say, environment | loudspeaker) as one,
        started(say, environment | loudspeaker) as other,
    ):
        assert [one.wait(timeout=60), other.wait(timeout=60)] == [0, 0]
    with voxcli.open_engine("espeak") as engine:
        samples, rate = engine.speak(say[-1]).samples()
    assert recording.sounding_seconds > 1.9 * len(np.trim_zeros(samples)) / rate


def test_one_that_waits_too_long_in_the_queue_says_nothing(run: Run, environment: dict[str, str]) -> None:
    folder = Path(environment["VOXCLI_HOME"]) / "engines" / "turns"
    with Turn(folder) as turn:
        turn.wait()
        done = run("say", "hello", "--queue", "--max-wait", "0.1", "--json")
    assert done.returncode == 7
    first, last = map(json.loads, done.stdout.splitlines())
    assert first == {"event": "queued", "ahead": 1}
    assert last["message"] == "Others were still speaking after 0.1 s, so this was not spoken."


@pytest.mark.parametrize("options", [["--queue", "-o", "x.wav"], ["--max-wait", "1"]])
def test_the_queue_is_for_what_is_played(run: Run, options: list[str]) -> None:
    done = run("say", "hello", *options)
    assert done.returncode == 2
    assert "has no effect without" in said(done)


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
    run: Run, tmp_path: Path, environment: dict[str, str], own_pulse: PulseServer
) -> None:
    path, alone = tmp_path / "x.wav", tmp_path / "alone.wav"
    client = {name: own_pulse.environment[name] for name in ("HOME", "XDG_RUNTIME_DIR", "PULSE_SERVER")}
    say = [sys.executable, "-m", "voxcli", "say", TEXT * 5]
    assert run("say", TEXT * 5, "-o", str(alone)).returncode == 0
    with started([*say, "--play", "-o", str(path)], environment | client) as process:
        streams = ["pactl", "list", "short", "sink-inputs"]
        wait_until(lambda: bool(subprocess.check_output(streams, env=own_pulse.environment)), "the loudspeaker")
        own_pulse.close()
        _, words = process.communicate(timeout=60)
    assert process.returncode == 5
    assert b"not played" in words or b"There is no loudspeaker" in words  # it may have died before it was opened
    assert soundfile.info(path).frames == pytest.approx(soundfile.info(alone).frames, rel=0.02)


@pytest.fixture
def live(run: Run, loudspeaker: dict[str, str]) -> Iterator[dict[str, str]]:
    done = run("doctor", "--live", "--json", env=loudspeaker)
    assert done.returncode == 0
    return {check["name"]: check["verdict"] for check in json.loads(done.stdout)}


def test_the_doctor_speaks(live: dict[str, str], pulse: PulseServer) -> None:
    assert live["loudspeaker"] == "ok"
    assert live["live test"] == "ok"


SLOW_SPEED, SLOW_SECONDS = 0.5, 1.6
SLOW_TEXT = "It takes a slow machine long. So it waits before it says."


def slowly() -> Reply:
    """Return a server that takes twice as long as its sentences do. Every second one is an octave higher."""
    rates = itertools.cycle([RATE, RATE // 2])

    def speak(rate: int) -> Iterator[bytes]:
        sound = wav(tone(SLOW_SECONDS * RATE / rate, rate))
        yield sound[:44]
        patch = round(0.16 * RATE) * 2
        for start in range(44, len(sound), patch):
            time.sleep(0.16 / SLOW_SPEED)
            yield sound[start : start + patch]

    return posts(lambda asked: streamed(speak(next(rates))), VOXCLI)


def silences_between(samples: Samples, rate: int) -> list[tuple[float, float]]:
    """Return the pitch before and after each silence of more than 50 ms, in Hz."""
    sounding = np.flatnonzero(np.abs(samples) > 0.01)

    def pitch(part: Samples) -> float:
        return float(np.count_nonzero(np.diff(np.sign(part)))) / 2 / (len(part) / rate)

    window = round(0.03 * rate)
    return [
        (pitch(samples[last - window : last]), pitch(samples[after : after + window]))
        for last, after in itertools.pairwise(sounding)
        if after - last > 0.05 * rate
    ]


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("arguments", "stdin"), [([SLOW_TEXT], b""), ([], SLOW_TEXT.encode()), ([SLOW_TEXT, "--start-buffer", "0"], b"")]
)
def test_an_engine_slower_than_real_time_is_heard_without_gaps_in_its_sentences(
    run: Run, pulse: PulseServer, loudspeaker: dict[str, str], arguments: list[str], stdin: bytes
) -> None:
    with replaying(slowly()) as server, pulse.recording("speaker44") as heard:
        done = run("say", *arguments, "--remote", server.url, env=loudspeaker, stdin=stdin)
    assert done.returncode == 0, said(done)
    silences = silences_between(heard.samples, 44100)
    if "--start-buffer" in arguments:
        assert len(silences) > 5
        assert " 0 underruns" not in said(done)
        return
    assert re.search(r"the server speaks at 0\.\d× speed: ", said(done))
    assert stdin or not silences, said(done)
    for before, after in silences:
        assert after == pytest.approx(2 * before, rel=0.2), "a gap within a sentence"


def test_ctrl_c_ends_the_wait_for_the_start_buffer(
    environment: dict[str, str], pulse: PulseServer, loudspeaker: dict[str, str]
) -> None:
    with replaying(slowly()) as server, pulse.recording("speaker44") as heard:
        say = [sys.executable, "-m", "voxcli", "say", SLOW_TEXT * 5, "--remote", server.url]
        with started(say, environment | loudspeaker) as process:
            assert process.stderr
            while b"starting in" not in (line := process.stderr.readline()):
                assert line, "it has not waited"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130
    assert heard.sounding_seconds == 0
