"""Provenance: read back as it was written, and one key for everything that decides the samples."""

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxcli.synthesis.identity import ALGORITHMIC, TRAINED, ModelIdentity, VoiceIdentity
from voxcli.synthesis.pipeline import Delivery
from voxcli.synthesis.provenance import Provenance
from voxcli.synthesis.request import Clip, Prompt, Sampling, Voice

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
MAYBE = st.none() | WORDS
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
MODELS = st.builds(
    ModelIdentity, name=WORDS, revision=MAYBE, weights=MAYBE, precision=MAYBE, device=MAYBE, trained=st.booleans()
)
VOICES = st.builds(
    VoiceIdentity, name=MAYBE, style=MAYBE, reference=MAYBE, prompt=MAYBE, transcript=MAYBE, consent=MAYBE
)
SETTINGS = st.dictionaries(WORDS, PLAIN, max_size=4)
ONE_SPEAKER = st.builds(Provenance, model=MODELS, voice=VOICES, language=MAYBE, settings=SETTINGS, text_digest=MAYBE)
PROVENANCE = st.builds(
    Provenance,
    model=MODELS,
    voice=VOICES,
    language=MAYBE,
    settings=SETTINGS,
    speakers=st.dictionaries(WORDS, ONE_SPEAKER, max_size=2),
    text_digest=MAYBE,
    text=MAYBE,
    made=MAYBE,
    voxcli=WORDS,
    others=st.dictionaries(WORDS.map("x-".__add__), PLAIN.filter(lambda value: value is not None), max_size=2),
)
MODEL = ModelIdentity(name="voxcpm-1.5", revision="c0ffee", weights="ab" * 32, precision="float32", device="cpu")
CLIP = Clip(b"RIFF", "me.wav")


def spoken(text: str | None = "Hello", **manner: Any) -> Provenance:
    return Provenance.of(Delivery(**manner), MODEL, text)


@given(PROVENANCE)
def test_it_is_read_back_as_it_was_written(made: Provenance) -> None:
    line = made.to_json()
    assert line.isascii()
    assert "\n" not in line
    assert Provenance.from_json(line) == made


@given(PROVENANCE, st.data())
def test_anything_else_is_refused_and_never_a_crash(made: Provenance, data: st.DataObject) -> None:
    values = json.loads(made.to_json())
    place = data.draw(st.sampled_from(sorted(values)))
    values[place] = data.draw(PLAIN | st.lists(PLAIN, max_size=2))
    with suppress(ValueError):
        assert Provenance.from_json(json.dumps(values)).model.name


@pytest.mark.parametrize("line", ["", "[]", "null", "{}", '{"model":3}', '{"model":{}}', "[" * 100_000])
def test_a_line_that_describes_no_sound_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Provenance.from_json(line)


@pytest.mark.parametrize(
    "other",
    [
        spoken("Hallo"),
        spoken(voice=Voice(name="alloy")),
        spoken(voice=Voice(style="old")),
        spoken(voice=Voice(reference=CLIP)),
        spoken(voice=Voice(prompt=Prompt(CLIP, "I am me."))),
        spoken(sampling=Sampling(seed=1)),
        spoken(sampling=Sampling(steps=11)),
        spoken(speed=1.5),
        spoken(volume=0.5),
        spoken(gap_seconds=0.0),
        spoken(normalize=True),
        spoken(language="en"),
        replace(spoken(), model=replace(MODEL, weights="cd" * 32)),
        replace(spoken(), model=replace(MODEL, device="cuda")),
        replace(spoken(), speakers={"ANNA": spoken()}),
    ],
)
def test_whatever_decides_the_samples_changes_the_key(other: Provenance) -> None:
    assert other.key() != spoken().key()


def test_what_the_samples_do_not_depend_on_leaves_the_key_as_it_is() -> None:
    imitated = spoken(voice=Voice(reference=CLIP))
    named = VoiceIdentity.of(Voice(reference=Clip(CLIP.data, "other.wav")), "anna", "Anna herself")
    assert replace(imitated, voice=named, voxcli="9.9", made="2026-01-31T12:00:00Z").key() == imitated.key()
    elsewhere = replace(MODEL, name="folder", revision=None)
    assert replace(spoken(), model=elsewhere, text="Hello").key() == spoken().key()
    assert spoken(speed=2.0).key() == spoken(speed=2).key()
    assert spoken(None).with_text("Hello", keep=True).key() == spoken().key()


def test_steps_and_seed_are_left_out_where_nothing_is_sampled() -> None:
    seeded = Delivery(sampling=Sampling(seed=7))
    keys = {Provenance.of(delivery, MODEL, "Hello", sampled=False).key() for delivery in (Delivery(), seeded)}
    assert len(keys) == 1


def test_a_text_that_is_still_arriving_has_no_key() -> None:
    with pytest.raises(ValueError, match="text"):
        spoken(None).key()


def test_rules_are_told_from_what_was_learned() -> None:
    assert MODEL.source_type == TRAINED
    assert replace(MODEL, trained=False).source_type == ALGORITHMIC
    assert json.loads(spoken().to_json())["source_type"] == TRAINED


def test_neither_the_text_nor_a_transcript_nor_a_name_of_a_file_is_in_it_unless_asked_for() -> None:
    made = spoken("A secret", voice=Voice(prompt=Prompt(Clip(b"RIFF", "secret.wav"), "secret words")))
    assert "ecret" not in made.to_json()
    assert "A secret" in made.with_text("A secret", keep=True).to_json()
