"""A model behind our own server: the same samples as in this process, for every family and every kind of voice."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.engines.remote.sounds import remote
from tests.engines.test_local import clip
from tests.server.running import running
from voxcli.audio.chunk import Samples
from voxcli.engines import open_engine
from voxcli.engines.local import LocalEngine
from voxcli.engines.settings import LocalSettings
from voxcli.protocols.dialect import MADE_BY, read_identity
from voxcli.synthesis.pipeline import Delivery, only_chunks, synthesize
from voxcli.synthesis.request import Engine, Prompt, Sampling, Voice, abilities_of
from voxcli.text.parts import read_parts

SHORT = Sampling(steps=1, seed=7, min_patches=2, max_patches=3)
TEXT = "It was 21 degrees in May. [laughing] 你好，世界。 Yes, 5."
FAMILIES = ("voxcpm-0.5b", "voxcpm-1.5", "voxcpm-2")
VOICES = {
    "drawn": Voice(),
    "named": Voice(name="cedar"),
    "prompt": Voice(prompt=Prompt(clip(), "Spoken words.")),
    "described": Voice(style="an old man"),
    "reference": Voice(reference=clip()),
}


@pytest.fixture(scope="module")
def served(checkpoints: Callable[[str], Path]) -> Iterator[Callable[[str], tuple[LocalEngine, str]]]:
    """Return the engine of a family, and the address of a server that speaks with it."""
    with ExitStack() as stack:
        opened: dict[str, tuple[LocalEngine, str]] = {}

        def engine(family: str) -> tuple[LocalEngine, str]:
            if family not in opened:
                made = open_engine(str(checkpoints(family)), settings=LocalSettings(dtype="float32", threads=1))
                assert isinstance(made, LocalEngine)
                stack.callback(made.close)
                opened[family] = made, stack.enter_context(running(lambda: made, model=family)).url
            return opened[family]

        yield engine


def say(engine: Engine, voice: Voice, **details: object) -> Samples:
    """Speak as the command line does."""
    abilities = abilities_of(engine)
    parts = read_parts([TEXT], markdown=False, tags=abilities.tags, least_syllables=abilities.least_syllables)
    delivery = Delivery(voice=voice, sampling=SHORT, **details)  # type: ignore[arg-type]
    with closing(only_chunks(synthesize(engine, parts, delivery))) as chunks:
        return np.concatenate([chunk.samples for chunk in chunks])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", VOICES)
def test_a_server_says_what_the_engine_in_this_process_says(
    served: Callable[[str], tuple[LocalEngine, str]], family: str, kind: str
) -> None:
    if kind == "reference" and family != "voxcpm-2":
        pytest.skip("needs a transcript")
    engine, url = served(family)
    details = {"speed": 1.25, "normalize": True} if kind in ("drawn", "named") else {}
    with closing(remote(url, None, read_seconds=60.0)) as client:
        assert abilities_of(client) == abilities_of(engine)
        assert client.draws_voices == engine.draws_voices
        assert client.identity == engine.identity
        assert np.array_equal(say(client, VOICES[kind], **details), say(engine, VOICES[kind], **details))


def test_every_answer_says_that_a_machine_made_it_and_which_model(
    served: Callable[[str], tuple[LocalEngine, str]],
) -> None:
    engine, url = served("voxcpm-0.5b")
    asked = {"input": "Hello.", "voice": "default", "seed": 7}
    for format in ("wav", "mp3"):
        answer = httpx.post(f"{url}/v1/audio/speech", json={**asked, "response_format": format}, timeout=60)
        assert answer.headers["x-voxcli-generated"].endswith("/digitalsourcetype/trainedAlgorithmicMedia")
        assert read_identity(answer.headers) == engine.identity
    assert engine.identity.weights
    assert str(engine._folder) not in str(dict(answer.headers))


@pytest.mark.parametrize("named", ["", "[]", "{}", '{"name":1}', '{"unknown":true}', "["])
def test_a_name_of_a_model_in_another_form_is_passed_over(named: str) -> None:
    assert read_identity({MADE_BY: named}) is None
