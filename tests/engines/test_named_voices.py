"""Named voices of a VoxCPM model: one speaker each, on every day and however the model runs."""

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from voxcli.engines.local import LocalEngine
from voxcli.engines.settings import LocalSettings
from voxcli.synthesis.request import Sampling, SynthesisRequest, Voice
from voxcli.voices.archive import unpack
from voxcli.voxcpm.model import Model

Checkpoints = Callable[[str], Path]
SHORT = Sampling(steps=2, seed=7, min_patches=2, max_patches=3)

pytestmark = pytest.mark.usefixtures("short_anchors")
BOTH = pytest.mark.parametrize("family", ["voxcpm-1.5", "voxcpm-2"])


def opened(model: Path, anchors: Path | None, **settings: object) -> LocalEngine:
    return LocalEngine(model, LocalSettings(**{"dtype": "float32", "threads": 1, "anchors": anchors, **settings}))  # type: ignore[arg-type]


def spoken(engine: LocalEngine, name: str | None = "alloy", text: str = "Hello.", **details: object) -> np.ndarray:
    voice = Voice(name=name, style=details.pop("style", None))  # type: ignore[arg-type]
    request = SynthesisRequest(text=text, voice=voice, sampling=SHORT, **details)  # type: ignore[arg-type]
    with closing(engine.stream(request)) as chunks:
        return np.concatenate([chunk.samples for chunk in chunks])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.voxvoice")}


@BOTH
def test_a_name_is_one_speaker_and_no_other(checkpoints: Checkpoints, tmp_path: Path, family: str) -> None:
    with closing(opened(checkpoints(family), tmp_path)) as engine:
        assert engine.languages_of("alloy")[:2] == (("ar", "my") if family == "voxcpm-2" else ("zh", "en"))
        first = spoken(engine)
        np.testing.assert_array_equal(spoken(engine, "ALLOY"), first)
        for other in ("echo", "default", None):
            assert np.abs(spoken(engine, other) - first).max() > 0.01
    with closing(opened(checkpoints(family), tmp_path)) as again:
        np.testing.assert_array_equal(spoken(again), first)


@BOTH
def test_a_deleted_cache_and_a_moved_model_make_no_other_speaker(
    checkpoints: Checkpoints, tmp_path: Path, family: str
) -> None:
    moved = shutil.copytree(checkpoints(family), tmp_path / "elsewhere" / "renamed")
    runs = []
    for model, cache in ((checkpoints(family), tmp_path / "a"), (moved, tmp_path / "b")):
        with closing(opened(model, cache)) as engine:
            runs.append((spoken(engine).tobytes(), files(cache)))
    assert runs[0] == runs[1]
    assert [Path(name).name for name in runs[0][1]] == ["alloy-en.voxvoice"]


@BOTH
def test_the_number_of_threads_changes_no_anchor(checkpoints: Checkpoints, tmp_path: Path, family: str) -> None:
    drawn = []
    for threads in (1, 3):
        with closing(opened(checkpoints(family), tmp_path / str(threads), threads=threads)) as engine:
            spoken(engine, text="你好")
        drawn.append(files(tmp_path / str(threads)))
    assert len(drawn[0]) == 2
    assert drawn[0] == drawn[1]


def test_another_precision_has_other_speakers(checkpoints: Checkpoints, tmp_path: Path) -> None:
    for dtype in ("float32", "bfloat16"):
        with closing(opened(checkpoints("voxcpm-1.5"), tmp_path, dtype=dtype)) as engine:
            spoken(engine)
    assert len(files(tmp_path)) == 2


@BOTH
def test_the_second_language_is_spoken_from_the_first(
    checkpoints: Checkpoints, tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On both models the Chinese anchor depends on the English one, and is made from no description."""
    generate, asked = Model.generate_alone, []

    def generated(model: Model, utterance):  # type: ignore[no-untyped-def]
        asked.append(utterance)
        return generate(model, utterance)

    monkeypatch.setattr(Model, "generate_alone", generated)
    with closing(opened(checkpoints(family), tmp_path)) as engine:
        spoken(engine, text="你好")
    english = [one for one in asked if not one.prompt]
    chinese = [one for one in asked if one.prompt]
    assert english
    assert chinese
    assert all(one.text.startswith("(a young woman") == (family == "voxcpm-2") for one in english)
    for one in chinese:
        assert one.text.startswith("清晨")
        assert one.transcript.startswith("The morning")
    kept = {Path(name).name: unpack(data)[1] for name, data in files(tmp_path).items()}
    assert kept.keys() == {"alloy-en.voxvoice", "alloy-zh.voxvoice"}


def test_each_text_takes_the_anchor_of_its_language(checkpoints: Checkpoints, tmp_path: Path) -> None:
    with closing(opened(checkpoints("voxcpm-2"), tmp_path)) as engine:
        for text, details in (
            ("Hello.", {}),
            ("Bonjour.", {"language": "fr"}),
            ("Hello.", {"style": "whispering"}),
        ):
            spoken(engine, text=text, **details)
            assert {Path(name).name for name in files(tmp_path)} == {"alloy-en.voxvoice"}
        plain, styled = spoken(engine), spoken(engine, style="whispering")
        assert np.abs(plain - styled).max() > 0.01
        spoken(engine, text="Hello.", language="zh")
    assert len(files(tmp_path)) == 2


def test_a_damaged_anchor_is_drawn_anew_by_the_engine(checkpoints: Checkpoints, tmp_path: Path) -> None:
    sounds = []
    for _ in range(2):
        with closing(opened(checkpoints("voxcpm-2"), tmp_path)) as engine:
            sounds.append(spoken(engine).tobytes())
        [path] = tmp_path.rglob("*.voxvoice")
        path.write_bytes(path.read_bytes()[:-100])
    assert sounds[0] == sounds[1]
