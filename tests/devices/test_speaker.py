"""Each test plays in a process of its own, into a real sound server, and listens to what arrives."""

import os
import signal
import sys
from typing import Any

import numpy as np
import pytest
import soxr

from tests.devices.listening import STEP, assert_heard, noise, place_of, play, playing, writes
from tests.pulse import SINKS, PulseServer

pytestmark = pytest.mark.real_time


@pytest.mark.parametrize("sink", list(SINKS))
@pytest.mark.parametrize("rate", [16000, 24000, 44100, 48000])
def test_every_sample_is_heard_at_the_rate_of_the_device(pulse: PulseServer, sink: str, rate: int) -> None:
    sound = noise(0.6, rate)
    with pulse.recording(sink) as recording:
        steps = writes(len(sound), rate // 5)
        outcome = play(pulse.client(sink), sound, rate, steps, sample_rate=SINKS[sink])
    assert outcome["error"] is None
    expected = soxr.resample(sound, rate, SINKS[sink], "HQ")
    assert_heard(expected, recording.samples)
    assert outcome["underruns"] == 0
    assert outcome["taken_samples"] == len(expected)


def test_the_rate_of_the_device_is_used_by_default(pulse: PulseServer) -> None:
    sound = noise(0.5, 24000)
    with pulse.recording("speaker44") as recording:
        outcome = play(pulse.client("speaker44"), sound, 24000, [["write", 0, len(sound)]])
    # This is what PortAudio says of every device behind ALSA's pulse plugin.
    assert_heard(soxr.resample(sound, 24000, 44100, "HQ"), recording.samples)
    assert outcome["underruns"] == 0


@pytest.mark.parametrize("sizes", [(1,), (7, 1001, 64), (480,), (1 << 20,)], ids=str)
def test_pieces_of_any_size_sound_the_same(pulse: PulseServer, sizes: tuple[int, ...]) -> None:
    sound = noise(0.4, 24000)
    with pulse.recording() as recording:
        play(pulse.client("speaker48"), sound, 24000, writes(len(sound), *sizes), sample_rate=48000)
    assert_heard(soxr.resample(sound, 24000, 48000, "HQ"), recording.samples)


def test_a_sound_shorter_than_the_start_buffer_is_heard(pulse: PulseServer) -> None:
    sound = noise(0.01, 48000)
    with pulse.recording() as recording:
        play(pulse.client("speaker48"), sound, 48000, [["write", 0, len(sound)]], sample_rate=48000)
    assert_heard(sound, recording.samples)


def test_nothing_written_is_nothing_heard(pulse: PulseServer) -> None:
    with pulse.recording() as recording:
        outcome = play(pulse.client("speaker48"), noise(0.1, 48000), 48000, [["write", 0, 0], ["idle"]])
    assert outcome["error"] is None
    assert not np.any(recording.samples)


def test_a_gap_is_counted_when_the_writer_is_slow(pulse: PulseServer) -> None:
    sound = noise(0.6, 48000)
    parts = [["write", 0, 9600], ["pause", 0.5], ["write", 9600, 19200], ["pause", 0.5], ["write", 19200, 28800]]
    with pulse.recording() as recording:
        outcome = play(pulse.client("speaker48"), sound, 48000, parts, sample_rate=48000)
    assert outcome["underruns"] == 2
    assert outcome["starved_seconds"] == pytest.approx(0.6, abs=0.15)
    assert outcome["taken_samples"] == len(sound)
    assert recording.sounding_seconds == pytest.approx(0.6 + outcome["starved_seconds"], abs=0.001)


def test_a_gap_after_idle_is_not_counted(pulse: PulseServer) -> None:
    sound = noise(0.4, 24000)
    parts: list[list[Any]] = [["write", 0, 1200], ["idle"], ["pause", 0.4], ["write", 1200, len(sound)]]
    with pulse.recording() as recording:
        outcome = play(pulse.client("speaker48"), sound, 24000, parts, sample_rate=48000)
    assert (outcome["underruns"], outcome["starved_seconds"]) == (0, 0)
    first, second = (soxr.resample(part, 24000, 48000, "HQ") for part in (sound[:1200], sound[1200:]))
    heard = recording.samples
    begin = place_of(second, heard)
    assert_heard(second, np.concatenate([np.zeros(begin, np.float32), heard[begin:]]))
    assert_heard(first, heard[:begin])


def test_chunks_of_another_rate_follow_on(pulse: PulseServer) -> None:
    slow, fast = noise(0.2, 24000), noise(0.2, 48000)
    steps: list[list[Any]] = [["write", 0, len(slow)], ["rate", 48000]]
    steps += [["write", len(slow), len(slow) + len(fast)]]
    with pulse.recording() as recording:
        play(pulse.client("speaker48"), np.concatenate([slow, fast]), 24000, steps, sample_rate=48000)
    assert_heard(np.concatenate([soxr.resample(slow, 24000, 48000, "HQ"), fast]), recording.samples)


@pytest.mark.parametrize(("reason", "error"), [("bug", "RuntimeError"), ("interrupt", "KeyboardInterrupt")])
def test_leaving_with_an_exception_stops_at_once(pulse: PulseServer, reason: str, error: str) -> None:
    sound = noise(5.0, 48000)
    steps: list[list[Any]] = [["write", 0, len(sound)], ["until sounding"], ["time", "raised"], ["raise", reason]]
    with pulse.recording() as recording:
        outcome = play(pulse.client("speaker48"), sound, 48000, steps, sample_rate=48000)
    assert outcome["error"] == error
    assert outcome["times"]["end"] - outcome["times"]["raised"] < 1.0
    assert recording.sounding_seconds < 0.5


def test_ctrl_c_while_the_last_sound_plays_stops_at_once(pulse: PulseServer) -> None:
    sound = noise(8.0, 48000)
    steps: list[list[Any]] = [["write", 0, len(sound)], ["until sounding"], ["say", "draining"]]
    with (
        pulse.recording() as recording,
        playing(pulse.client("speaker48"), sound, 48000, steps, sample_rate=48000) as player,
    ):
        player.hear("draining")
        os.kill(player.pid, signal.SIGINT)
        assert player.outcome()["error"] == "KeyboardInterrupt"
    assert recording.sounding_seconds < 2.0


def test_ctrl_c_reaches_a_writer_that_waits(pulse: PulseServer) -> None:
    sound = noise(8.0, 48000)
    steps: list[list[Any]] = [["write", 0, 48000], ["say", "full"], ["write", 48000, len(sound)]]
    with playing(pulse.client("speaker48"), sound, 48000, steps, ahead_seconds=1.5) as player:
        player.hear("full")
        os.kill(player.pid, signal.SIGINT)
        outcome = player.outcome()
    assert outcome["error"] == "KeyboardInterrupt"
    assert outcome["times"]["end"] - outcome["times"]["open"] < 3.0


def test_writing_waits_while_enough_is_ahead(pulse: PulseServer) -> None:
    sound = noise(1.5, 48000)
    steps: list[list[Any]] = [*writes(len(sound), 4800), ["time", "written"]]
    outcome = play(pulse.client("speaker48"), sound, 48000, steps, sample_rate=48000, ahead_seconds=0.3)
    written = outcome["times"]["written"] - outcome["times"]["open"]
    # The device takes 0.1 s more at once than it has played.
    assert written >= 1.5 - 0.3 - 0.15
    assert outcome["times"]["end"] - outcome["times"]["written"] < 0.3 + 0.5
    assert outcome["taken_samples"] == len(sound)


def test_a_sound_server_that_dies_is_an_error_and_no_hang(own_pulse: PulseServer) -> None:
    sound = noise(6.0, 48000)
    steps: list[list[Any]] = [["write", 0, len(sound)], ["until sounding"], ["time", "kill"], ["say", "sounding"]]
    with playing(own_pulse.environment, sound, 48000, steps) as player:
        player.hear("sounding")
        os.kill(own_pulse.pid, signal.SIGKILL)
        outcome = player.outcome()
    assert outcome["error"] == "DeviceError"
    assert "was disconnected; about " in outcome["message"]
    assert " s of audio were not played" in outcome["message"]
    assert outcome["times"]["end"] - outcome["times"]["kill"] < 3.0


def test_a_sound_server_that_dies_is_told_to_the_next_write(own_pulse: PulseServer) -> None:
    sound = noise(2.0, 48000)
    steps: list[list[Any]] = [["write", 0, 48000], ["until sounding"], ["say", "sounding"], ["await"]]
    steps += [["pause", 0.2], ["write", 48000, 96000], ["say", "not reached"]]
    with playing(own_pulse.environment, sound, 48000, steps) as player:
        player.hear("sounding")
        os.kill(own_pulse.pid, signal.SIGKILL)
        player.go_on()
        outcome = player.outcome()
    assert outcome["error"] == "DeviceError"


def test_a_sound_server_that_hangs_is_an_error_and_no_hang(own_pulse: PulseServer) -> None:
    sound = noise(6.0, 48000)
    steps: list[list[Any]] = [["write", 0, len(sound)], ["until sounding"], ["say", "sounding"]]
    with playing(own_pulse.environment, sound, 48000, steps) as player:
        player.hear("sounding")
        os.kill(own_pulse.pid, signal.SIGSTOP)
        outcome = player.outcome(complaints="The loudspeaker does not respond; it is left open.\n")
    assert outcome["error"] == "DeviceError"
    assert "does not respond" in outcome["message"]


def test_a_sound_server_that_hangs_before_the_first_sound_is_an_error_too(own_pulse: PulseServer) -> None:
    sound = noise(1.0, 48000)
    steps: list[list[Any]] = [["say", "open"], ["await"], ["write", 0, len(sound)]]
    with playing(own_pulse.environment, sound, 48000, steps) as player:
        player.hear("open")
        os.kill(own_pulse.pid, signal.SIGSTOP)
        player.go_on()
        outcome = player.outcome(complaints="The loudspeaker does not respond; it is left open.\n")
    assert outcome["error"] == "DeviceError"
    assert "does not respond" in outcome["message"]


def test_what_goes_wrong_while_feeding_the_device_is_not_lost(pulse: PulseServer) -> None:
    stereo = np.zeros((48000, 2), np.float32)
    outcome = play(pulse.client("speaker48"), stereo, 48000, [["write", 0, 48000]], sample_rate=48000)
    assert outcome["error"] == "DeviceError"
    assert "failed in its callback (ValueError" in outcome["message"]


def test_two_play_at_once(pulse: PulseServer) -> None:
    sounds = [noise(1.0, 48000, seed) for seed in (1, 2)]
    steps: list[list[Any]] = [["write", 0, 48000], ["until sounding"], ["say", "sounding"]]
    client = pulse.client("speaker48")
    with (
        pulse.recording() as recording,
        playing(client, sounds[0], 48000, steps, sample_rate=48000) as first,
        playing(client, sounds[1], 48000, steps, sample_rate=48000) as second,
    ):
        for player in (first, second):
            player.hear("sounding")
        for player in (first, second):
            assert player.outcome()["error"] is None
    heard = recording.samples.copy()
    for sound in sounds:
        place = place_of(sound, heard)
        heard[place : place + len(sound)] -= sound
    assert np.max(np.abs(heard)) <= 3 * STEP


@pytest.mark.parametrize("name", ["pulse", "0", "DEFAULT"])
def test_a_device_can_be_chosen(pulse: PulseServer, name: str) -> None:
    sound = noise(0.2, 48000)
    with pulse.recording() as recording:
        play(pulse.client("speaker48"), sound, 48000, [["write", 0, len(sound)]], device=name, sample_rate=48000)
    assert_heard(sound, recording.samples)


def test_an_unknown_device_fails_before_any_work(pulse: PulseServer) -> None:
    outcome = play(pulse.environment, noise(0.1, 48000), 48000, [["say", "entered"]], device="kitchen")
    assert outcome["error"] == "DeviceError"
    assert "There is no loudspeaker 'kitchen'." in outcome["message"]
    assert "open" not in outcome["times"]


def test_a_device_that_cannot_be_opened_fails_before_any_work(pulse: PulseServer) -> None:
    outcome = play(pulse.environment, noise(0.1, 48000), 48000, [["say", "entered"]], sample_rate=1)
    assert outcome["error"] == "DeviceError"
    assert "Cannot open the loudspeaker default, ALSA at 1 Hz" in outcome["message"]
    assert "open" not in outcome["times"]


def test_the_first_sound_is_not_held_up(pulse: PulseServer) -> None:
    sound = noise(0.5, 48000)
    steps: list[list[Any]] = [["time", "write"], ["write", 0, len(sound)], ["until sounding"], ["time", "sounding"]]
    times = play(pulse.environment, sound, 48000, steps)["times"]
    sys.stdout.write(
        f"\nopened in {1000 * (times['open'] - times['begin']):.1f} ms, "
        f"first callback {1000 * (times['sounding'] - times['write']):.1f} ms after the first write\n"
    )
    assert times["sounding"] - times["write"] < 0.5


def test_after_a_long_wait_the_device_has_more_latency_and_nothing_is_lost(pulse: PulseServer) -> None:
    """A machine that made a listener wait is busy, and nobody waits for the rest of it."""
    sound = noise(1.0, 48000)
    with pulse.recording() as recording:
        outcome = play(
            pulse.client("speaker48"), sound, 48000, writes(len(sound), 4800), sample_rate=48000, start_buffer=0.7
        )
    assert_heard(sound, recording.samples)
    assert (outcome["error"], outcome["underruns"]) == (None, 0)
    assert outcome["latency_seconds"] > 0.2
    quick = play(pulse.client("speaker48"), sound, 48000, writes(len(sound), 4800), sample_rate=48000, start_buffer=0.1)
    assert quick["latency_seconds"] < 0.1
