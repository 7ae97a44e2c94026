from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxcli.audio.chunk import Samples
from voxcli.devices.playback import Playback


def ramp(count: int) -> Samples:
    """No two samples are the same, and none is silent."""
    return np.arange(1, count + 1, dtype=np.float32)


def filled(playback: Playback, frames: int, *, device_starved: bool = False) -> list[float]:
    out = np.full((frames, 2), np.nan, np.float32)
    playback.fill(out, device_starved=device_starved)
    assert np.array_equal(out[:, 0], out[:, 1])
    return [float(sample) for sample in out[:, 0]]


@given(
    st.lists(st.integers(1, 50), max_size=20),
    st.lists(st.integers(1, 50), min_size=1, max_size=20),
    st.integers(0, 300),
    st.integers(0, 100),
)
def test_all_that_was_put_comes_out_once_in_order_and_then_the_tail(
    pieces: list[int], frames: list[int], start: int, tail: int
) -> None:
    playback = Playback(start_samples=start, tail_samples=tail)
    sound = ramp(sum(pieces))
    bounds = np.cumsum([0, *pieces])
    for begin, end in pairwise(bounds):
        playback.put(sound[begin:end])
    playback.end()
    heard: list[float] = []
    while not playback.finished:
        heard += filled(playback, frames[len(heard) % len(frames)])
    assert heard[: len(sound)] == sound.tolist()
    assert not any(heard[len(sound) :])
    assert tail <= len(heard) - len(sound) <= tail + max(frames)
    assert (playback.taken, playback.waiting, playback.underruns) == (len(sound), 0, 0)


def test_sound_begins_when_enough_is_waiting() -> None:
    playback = Playback(start_samples=5)
    playback.put(ramp(4))
    assert not playback.ready
    assert filled(playback, 2) == [0, 0]
    playback.put(ramp(1))
    assert playback.ready
    assert filled(playback, 2) == [1, 2]
    assert playback.underruns == 0


def test_sound_begins_early_when_no_more_will_come() -> None:
    playback = Playback(start_samples=5)
    playback.put(ramp(2))
    playback.rest()
    assert playback.ready
    assert filled(playback, 3) == [1, 2, 0]
    assert playback.underruns == 0


def test_a_gap_counts_once_however_long_it_is() -> None:
    playback = Playback()
    playback.put(ramp(3))
    assert filled(playback, 2) == [1, 2]
    assert filled(playback, 2) == [3, 0]
    assert filled(playback, 4) == [0] * 4
    assert (playback.underruns, playback.starved_samples) == (1, 5)
    playback.put(ramp(2))
    assert filled(playback, 2) == [1, 2]
    assert filled(playback, 2) == [0, 0]
    assert (playback.underruns, playback.starved_samples) == (2, 7)


def test_after_a_gap_sound_waits_for_a_new_start_buffer() -> None:
    playback = Playback(start_samples=3)
    playback.put(ramp(3))
    assert filled(playback, 4) == [1, 2, 3, 0]
    playback.put(ramp(2))
    assert filled(playback, 2) == [0, 0]
    playback.put(ramp(1))
    assert filled(playback, 3) == [1, 2, 1]
    assert (playback.underruns, playback.starved_samples) == (1, 3)


def test_silence_while_the_writer_rests_is_no_underrun() -> None:
    playback = Playback(start_samples=2)
    playback.put(ramp(2))
    playback.rest()
    assert filled(playback, 4) == [1, 2, 0, 0]
    assert filled(playback, 4) == [0] * 4
    playback.put(ramp(1))
    assert filled(playback, 1) == [0]
    playback.put(ramp(1))
    assert filled(playback, 2) == [1, 1]
    assert (playback.underruns, playback.starved_samples) == (0, 0)


def test_a_gap_ends_when_the_writer_rests() -> None:
    playback = Playback()
    playback.put(ramp(1))
    assert filled(playback, 2) == [1, 0]
    playback.rest()
    assert filled(playback, 2) == [0, 0]
    assert (playback.underruns, playback.starved_samples) == (1, 1)


def test_what_the_device_misses_counts_while_there_is_sound() -> None:
    playback = Playback()
    assert filled(playback, 1, device_starved=True) == [0]
    assert playback.underruns == 0
    playback.put(ramp(3))
    filled(playback, 1)
    filled(playback, 1, device_starved=True)
    assert playback.underruns == 1


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=20),
    st.lists(st.tuples(st.sampled_from(["fill", "rest"]), st.integers(1, 50)), max_size=20),
    st.integers(0, 200),
)
def test_what_is_held_back_comes_out_once_and_in_order(
    pieces: list[int], between: list[tuple[str, int]], enough: int
) -> None:
    playback = Playback(start_buffer=lambda waiting: enough)
    sound = ramp(sum(pieces))
    heard: list[float] = []
    for number, piece in enumerate(np.split(sound, np.cumsum(pieces)[:-1])):
        playback.put(piece)
        if number < len(between):
            what, frames = between[number]
            playback.rest() if what == "rest" else heard.extend(filled(playback, frames))
    playback.end()
    heard += filled(playback, len(sound) + 1)
    assert [sample for sample in heard if sample] == list(sound)


def test_samples_wait_for_the_start_buffer_at_the_beginning_after_a_gap_and_after_a_rest() -> None:
    playback = Playback(start_buffer=lambda waiting: 20)
    playback.put(ramp(15))
    assert filled(playback, 5) == [0] * 5
    playback.put(ramp(15))
    assert playback.most_held == 30
    assert filled(playback, 40) == [*ramp(15), *ramp(15), *[0] * 10]
    assert playback.underruns == 1
    playback.put(ramp(15))
    assert filled(playback, 5) == [0] * 5
    playback.put(ramp(5))
    assert filled(playback, 15) == list(ramp(15))
    playback.rest()
    playback.put(ramp(10))
    assert filled(playback, 10) == [*ramp(5), *[0] * 5]
    playback.put(ramp(10))
    assert filled(playback, 20) == [*ramp(10), *ramp(10)]
    assert playback.underruns == 1


def test_the_start_buffer_knows_what_still_plays() -> None:
    asked: list[int] = []

    def enough(waiting: int) -> int:
        asked.append(waiting)
        return 0

    playback = Playback(start_buffer=enough)
    playback.put(ramp(15))
    playback.rest()
    playback.put(ramp(10))
    assert asked == [15, 25]
