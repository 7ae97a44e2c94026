"""The laws of a model that speaks."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.voxcpm.speech import clip, decoded, patches_of, samples_of, utterance
from voxcli.errors import RequestError
from voxcli.voxcpm.model import Model

Models = Callable[[str], Model]


def test_the_same_seed_is_the_same_sound_and_another_is_not(models: Models, family: str) -> None:
    model = models(family)
    first = samples_of(model)
    np.testing.assert_array_equal(first, samples_of(model))
    assert np.abs(first - samples_of(model, utterance(seed=8))).max() > 0.01


def test_each_chunk_is_one_patch_but_the_first_frame_comes_alone(models: Models, family: str) -> None:
    model = models(family)
    chunks = list(model.stream(utterance()))
    patch, frame = model.config.patch_samples, model.config.codec.output_hop
    assert [len(chunk) for chunk in chunks] == [frame, patch - frame, patch, patch, patch]
    assert all(chunk.dtype == np.float32 and np.abs(chunk).max() <= 1 for chunk in chunks)


def test_chunks_joined_are_one_long_decode(models: Models, family: str) -> None:
    model, said = models(family), utterance(min_patches=4)
    np.testing.assert_allclose(samples_of(model, said), decoded(model, patches_of(model, said)), atol=1e-5)


def test_a_prompt_and_a_reference_change_the_voice(models: Models) -> None:
    model = models("voxcpm-2")
    prompt = model.encode_clip(clip(model, 0.6), pad_left=True)
    reference = model.encode_clip(clip(model, 0.9, 2), pad_left=False)
    spoken = [
        samples_of(model, utterance(transcript=words, prompt=p, reference=r))
        for words, p, r in (
            ("", None, None),
            ("是的", prompt, None),
            ("", None, reference),
            ("是的", prompt, reference),
        )
    ]
    for one, other in itertools.combinations(spoken, 2):
        assert np.abs(one - other).max() > 0.01


def test_clips_are_padded_to_whole_patches_on_the_side_asked_for(models: Models, family: str) -> None:
    model = models(family)
    patch = model.config.patch_size * model.config.codec.input_hop
    sound = clip(model, 2.5 * patch / model.config.codec.input_rate)
    filled = np.pad(sound, (patch * 3 - len(sound), 0))
    left = model.encode_clip(sound, pad_left=True)
    assert left.patches.shape == (3, model.config.patch_size, model.config.latent_dim)
    torch.testing.assert_close(left.patches, model.encode_clip(filled, pad_left=False).patches)


def test_a_continuation_is_heard_from_its_prompt_on(models: Models, family: str) -> None:
    model = models(family)
    prompt = model.encode_clip(clip(model, 1.0), pad_left=True)
    said = utterance(transcript="是的", prompt=prompt, min_patches=4)
    context = model.config.context_patches
    whole = decoded(model, torch.cat((prompt.patches[-context:], patches_of(model, said))))
    np.testing.assert_allclose(samples_of(model, said), whole[context * model.config.patch_samples :], atol=1e-5)


def test_a_reference_that_was_read_before_gives_the_same_sound(models: Models) -> None:
    model = models("voxcpm-2")
    reference = model.encode_clip(clip(model, 0.9), pad_left=False)
    first = samples_of(model, utterance(reference=reference))
    between = samples_of(model, utterance(text="Something else", reference=reference))
    again = samples_of(model, utterance(reference=reference))
    anew = samples_of(model, utterance(reference=model.encode_clip(clip(model, 0.9), pad_left=False)))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, anew, atol=1e-5)
    assert np.abs(first - between).max() > 0.01


def test_a_runaway_is_stopped_and_said(models: Models, caplog: pytest.LogCaptureFixture) -> None:
    model = models("voxcpm-0.5b")
    endless = utterance(text="a", min_patches=10_000, max_patches=None, steps=1)
    ids = len(model._tokenizer.ids("a"))
    assert len(samples_of(model, endless)) == (6 * ids + 10) * model.config.patch_samples
    assert "No stop token: generation truncated" in caplog.text


def test_a_runaway_is_made_anew_if_asked(models: Models, caplog: pytest.LogCaptureFixture) -> None:
    model = models("voxcpm-0.5b")
    endless = utterance(text="a", min_patches=10_000, max_patches=None, steps=1)
    whole = np.concatenate(list(model.stream_whole(endless, retries=2)))
    last = np.concatenate(list(model.stream(utterance(**{**_fields(endless), "seed": endless.seed + 2}))))
    np.testing.assert_array_equal(whole, last)
    assert "Seed 7 generated too much speech" in caplog.text


@pytest.mark.parametrize(("family", "counted"), [("voxcpm-0.5b", 2), ("voxcpm-1.5", 2), ("voxcpm-2", 0)])
def test_the_retry_threshold_counts_the_prompt_as_the_package_does(
    models: Models, family: str, counted: int, caplog: pytest.LogCaptureFixture
) -> None:
    """voxcpm 2.0.3: VoxCPM-0.5B and 1.5 return the last patches of the prompt with the generated ones."""
    model = models(family)
    prompt = model.encode_clip(clip(model, 1.0), pad_left=True)
    threshold = 6 * len(model._tokenizer.ids("a"))
    for patches in (threshold - counted - 1, threshold - counted):
        caplog.clear()
        said = utterance(
            text="a", transcript="b", prompt=prompt, steps=1, min_patches=patches, max_patches=patches, seed=7
        )
        chunks = list(model.stream_whole(said, retries=1))
        assert sum(map(len, chunks)) == patches * model.config.patch_samples
        assert ("too much speech" in caplog.text) == (patches == threshold - counted)


def test_what_is_no_runaway_is_the_same_whole(models: Models) -> None:
    model = models("voxcpm-1.5")
    np.testing.assert_array_equal(np.concatenate(list(model.stream_whole(utterance(), 3))), samples_of(model))


def test_a_text_beyond_the_last_position_is_refused_before_any_sound(models: Models) -> None:
    model = models("voxcpm-1.5")
    with pytest.raises(RequestError, match=rf"positions, and the model has {model.config.max_length}"):
        next(model.stream(utterance(text="你好" * model.config.max_length)))


def test_speech_beyond_the_last_position_is_kept_up_to_there_and_said(models: Models) -> None:
    model = models("voxcpm-1.5")
    longest = model.config.max_length
    text = "好" * (longest - 3)
    text = text[: longest - 3 - (len(model._tokenizer.ids(text)) + 1 - len(text))]
    room = longest - (len(model._tokenizer.ids(text)) + 1) + 1
    stream = model.stream(utterance(text=text, min_patches=longest, max_patches=None, steps=1))
    spoken = sum(len(chunk) for chunk in itertools.islice(stream, room + 1))
    assert spoken == room * model.config.patch_samples
    with pytest.raises(RequestError, match=f"all {longest} positions"):
        next(stream)


def test_an_empty_text_is_refused(models: Models) -> None:
    with pytest.raises(RequestError, match="empty"):
        next(models("voxcpm-1.5").stream(utterance(text=" \n ")))


def _fields(said: object) -> dict[str, object]:
    return {name: getattr(said, name) for name in said.__slots__}  # type: ignore[attr-defined]
