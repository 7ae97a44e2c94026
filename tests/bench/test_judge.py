"""A run counts, or it does not."""

import pytest

from tests.bench.scripted import WORDS, Clock, Scripted, quiet, tone
from voxcli.audio.chunk import AudioChunk
from voxcli.bench.measure.sample import take_sample
from voxcli.bench.measure.validity import Failure, Fault, find_failure, plausible_seconds
from voxcli.errors import ModelError, RemoteCut, RemoteError, RemoteRefused, RemoteTimeout, VoxError
from voxcli.synthesis.request import Sampling, SynthesisRequest


def judged(*made: AudioChunk | VoxError, request: SynthesisRequest | None = None) -> Failure | None:
    clock = Clock()
    asked = request or SynthesisRequest(text=WORDS)
    script = [one if isinstance(one, VoxError) else (0.1, one) for one in made]
    return find_failure(take_sample(Scripted(clock, [script]), asked, clock=clock, check=lambda: None), asked)


def fault_of(*made: AudioChunk | VoxError, request: SynthesisRequest | None = None) -> Fault | None:
    failure = judged(*made, request=request)
    return failure.fault if failure else None


def test_speech_of_a_fitting_length_counts() -> None:
    assert judged(tone(1)) is None


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (RemoteRefused("no (404)", 404), Fault.REFUSED),
        (RemoteCut("gone"), Fault.CUT),
        (RemoteTimeout("silent"), Fault.TIMEOUT),
        (RemoteError("not there"), Fault.UNREACHABLE),
        (ModelError("broken"), Fault.BROKEN),
    ],
)
def test_every_error_has_a_name_and_keeps_its_words(error: VoxError, fault: Fault) -> None:
    assert judged(tone(1), error) == Failure(fault, str(error))


def test_nothing_silence_and_a_wrong_length_do_not_count() -> None:
    assert fault_of() is Fault.EMPTY
    assert fault_of(quiet(1)) is Fault.SILENT
    assert fault_of(tone(0.05)) is Fault.TOO_SHORT
    assert fault_of(tone(60)) is Fault.TOO_LONG


def test_who_sets_the_length_gets_no_complaint_about_it() -> None:
    short = SynthesisRequest(text=WORDS * 20, sampling=Sampling(max_patches=3))
    long = SynthesisRequest(text=WORDS, sampling=Sampling(min_patches=300))
    assert fault_of(tone(0.5), request=short) is None
    assert fault_of(tone(60), request=long) is None


def test_faster_speech_may_be_shorter() -> None:
    seconds = plausible_seconds(WORDS * 10)[0] * 0.6
    assert fault_of(tone(seconds), request=SynthesisRequest(text=WORDS * 10)) is Fault.TOO_SHORT
    assert fault_of(tone(seconds), request=SynthesisRequest(text=WORDS * 10, speed=2.0)) is None


def test_a_chinese_character_takes_longer_than_a_letter() -> None:
    assert plausible_seconds("你好你好") > plausible_seconds("abcd")
