"""GapAdjuster as long as they were asked for."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcli.audio.chunk import Samples
from voxcli.audio.joins import GapAdjuster

RATE = 8000


def sound(drawing: str, loudness: float = 0.5) -> Samples:
    """Make 10 ms for each character: "#" is sound, "~" is quiet with a little noise in it, "." is silence."""
    noise = np.random.default_rng(len(drawing)).uniform(-1, 1, (len(drawing), RATE // 100)).astype(np.float32)
    gains = [{"#": loudness, "~": loudness / 1000, ".": 0}[character] for character in drawing]
    return (noise * np.array(gains, np.float32)[:, np.newaxis]).ravel()


def drawn(samples: Samples) -> str:
    frames = np.abs(samples[: len(samples) // 80 * 80].reshape(-1, 80)).max(axis=1)
    assert len(samples) % 80 == 0
    return "".join("#" if peak > 0.1 else "~" if peak else "." for peak in frames)


def joined(gap: float | None, *parts: str | float, continues: bool = False) -> str:
    """Join sentences and pauses in seconds; return what comes out."""
    gaps = GapAdjuster(RATE, gap)
    out = []
    for part in parts:
        if isinstance(part, float):
            out.append(gaps.pause(part))
        else:
            out += [gaps.begin(continues=continues), gaps.feed(sound(part)), gaps.end()]
    return drawn(np.concatenate([*out, gaps.finish()]))


@pytest.mark.parametrize(
    ("gap", "parts", "out"),
    [
        (0.03, ["##", "##"], "##...##"),
        (0.03, ["..##~", "~##.~"], "..##~..##.~"),
        (0.03, ["##~~~~~~", "~~~~##"], "##~~~##"),
        (0.0, ["##~~", "..##"], "####"),
        (0.02, ["#~~~~~#", "#"], "#~~~~~#..#"),
        (0.02, ["~~~#~~~"], "~~~#~~~"),
        (None, ["~~#~", "~##"], "~~#~~##"),
        (0.02, ["#", "~~~", "#"], "#..#"),
        (0.02, ["..", "..#", "#"], "....#..#"),
    ],
)
def test_the_quiet_between_sentences_becomes_the_gap(gap: float | None, parts: list[str], out: str) -> None:
    assert joined(gap, *parts) == out


@pytest.mark.parametrize(
    ("gap", "parts", "out"),
    [
        (0.03, ["#~~", 0.05, "~#"], "#~~...#"),
        (0.03, ["#~~~~~~~", 0.05, "~#"], "#~~~..#"),
        (0.03, ["#", 0.01, "#"], "#.#"),
        (0.03, ["#", 0.02, 0.02, "#"], "#....#"),
        (0.03, [0.02, "~#", "#"], "..~#...#"),
        (0.03, ["#~~~~", 0.05], "#~~~.."),
        (None, ["#~~", 0.05, "~#"], "#~~.....~#"),
    ],
)
def test_a_pause_stands_instead_of_the_gap(gap: float | None, parts: list[str | float], out: str) -> None:
    assert joined(gap, *parts) == out


def test_the_rest_of_a_sentence_follows_as_it_is() -> None:
    assert joined(0.01, "#~~~", "~~#", continues=True) == "#~~~~~#"
    assert joined(0.01, "#~~~", 0.03, "~~#", continues=True) == "#~..#"


@pytest.mark.parametrize("loudness", [0.9, 0.02])
def test_what_is_quiet_is_measured_by_the_voice(loudness: float) -> None:
    gaps = GapAdjuster(RATE, 0.0)
    out = [gaps.begin(continues=False), gaps.feed(sound("#~~", loudness)), gaps.end()]
    consonant = sound("#", loudness / 50)  # 34 dB below
    out += [gaps.begin(continues=False), gaps.feed(np.concatenate([sound("~~", loudness), consonant])), gaps.end()]
    np.testing.assert_array_equal(np.concatenate(out), np.concatenate([sound("#~~", loudness)[:80], consonant]))


def test_no_sound_waits_and_quiet_only_beyond_the_gap() -> None:
    gaps = GapAdjuster(RATE, 0.03)
    gaps.begin(continues=False)
    given_out = [drawn(gaps.feed(sound(character))) for character in ".~#~~~~~#~"]
    assert given_out == [".", "~", "#", "~", "~", "~", "", "", "~~#", "~"]


drawings = st.text("##~.", max_size=20)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(drawings, st.sampled_from([None, 0.0, 0.013, 0.1]), st.integers(0, 79)), max_size=4),
    st.sampled_from([0.0, 0.005, 0.03, 0.2]),
    st.lists(st.integers(0, 1600), max_size=10),
)
def test_pieces_cut_anywhere_give_what_the_whole_gives(
    sentences: list[tuple[str, float | None, int]], gap: float, cuts: list[int]
) -> None:
    whole: list[Samples] = []
    pieces: list[Samples] = []
    for out, places in ((whole, list[int]()), (pieces, cuts)):
        gaps = GapAdjuster(RATE, gap)
        for drawing, pause, extra in sentences:
            out.append(gaps.begin(continues=False))
            samples = np.concatenate([sound(drawing), sound("#")[:extra]])
            bounds = [0, *sorted(min(cut, len(samples)) for cut in places), len(samples)]
            out += [gaps.feed(samples[start:end]) for start, end in pairwise(bounds)]
            out.append(gaps.end())
            if pause is not None:
                out.append(gaps.pause(pause))
        out.append(gaps.finish())
    empty = np.zeros(0, np.float32)
    np.testing.assert_array_equal(np.concatenate([empty, *pieces]), np.concatenate([empty, *whole]))
