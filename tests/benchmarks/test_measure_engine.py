"""measure_engine.py: figures, counted work, equality checks, stand-ins, and a whole run with a tiny model."""

import dataclasses
import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import accumulate, count
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.engine.child_process import ChildFailed
from tests.benchmarks.engine.cpp_engine import CppEngine, models_in
from tests.benchmarks.engine.device import Environment
from tests.benchmarks.engine.equality import DRAWN_SEEDS, compare, difference
from tests.benchmarks.engine.figures import Figures, Run, gap_seconds, percentile, seconds_per_patch, sound_per_second
from tests.benchmarks.engine.options import read_options
from tests.benchmarks.engine.package_script import BaseModel, rearrange
from tests.benchmarks.engine.patch_profile import PartsClock, profile_patches
from tests.benchmarks.engine.plan import measure
from tests.benchmarks.engine.results import TOLERANCE
from tests.benchmarks.engine.streams import Samples, load_voxcli
from tests.benchmarks.engine.targets import Measurements, check_targets
from tests.benchmarks.engine.work import Widths, Work, codec_size, evaluations_of, times_size, work_of
from tests.checkpoints import FAMILIES, write_checkpoint
from tests.checkpoints.backbone import backbone_tensors
from tests.checkpoints.codec import codec_tensors
from tests.checkpoints.configs import config_of
from tests.program import STRICT
from voxcli.voxcpm.network.config import ModelConfig, read_config

SCRIPT = Path(__file__).with_name("measure_engine.py")

pytestmark = pytest.mark.benchmark

PATCH = 0.16

waits = st.lists(st.floats(0.001, 2.0), min_size=2, max_size=20)


def run_of(waited: list[float], started: float = 0.0) -> Run:
    """Return a stream whose patches arrived after these waits."""
    return Run(started, [(came, PATCH * (number + 1)) for number, came in enumerate(accumulate(waited))])


CPP_PROGRAM = """#!/bin/sh
case "$*" in *damaged*) echo "bad magic" >&2; exit 1;; esac
echo "Saved audio to out.wav (0.640s)" >&2
echo "  Total:             $VOXCPM_BENCHMARK_DECODE_STEPS.5s" >&2
"""


def test_an_utterance_of_voxcpm_cpp_is_one_chunk_by_its_own_clock(tmp_path: Path) -> None:
    program = tmp_path / "build" / "examples" / "voxcpm_tts"
    program.parent.mkdir(parents=True)
    program.write_text(CPP_PROGRAM)
    program.chmod(0o755)
    for name in ("q8", "damaged"):
        (tmp_path / f"{name}.gguf").write_bytes(b"")
    damaged, q8 = (CppEngine(tmp_path, model, threads=2, steps=10) for model in models_in(tmp_path))
    runs = q8.speak(2, 4)
    assert runs == [Run(0.0, [(4.5, 0.64)])] * 2
    assert seconds_per_patch(runs[0], PATCH) == pytest.approx(4.5 / 4)
    with pytest.raises(ChildFailed, match="bad magic"):
        damaged.speak(1, 4)


# Figures of streams


@given(st.lists(st.floats(0, 1000), min_size=1), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_the_smallest_value_that_a_share_does_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


@given(waits)
def test_playback_that_starts_later_by_the_gap_has_none(waited: list[float]) -> None:
    run = run_of(waited)
    gap = gap_seconds(run)
    later = Run(
        0.0,
        [
            (run.chunks[0][0] + gap, PATCH),
            *[(max(came, run.chunks[0][0] + gap), sound) for came, sound in run.chunks[1:]],
        ],
    )
    assert gap_seconds(later) <= 1e-9
    assert gap >= 0


def test_a_gap_starts_when_the_sound_before_it_has_ended() -> None:
    assert gap_seconds(run_of([5.0, PATCH, PATCH])) == pytest.approx(0, abs=1e-9)
    assert gap_seconds(run_of([5.0, PATCH + 0.1, PATCH + 0.2])) == pytest.approx(0.3)
    assert gap_seconds(run_of([5.0, PATCH - 0.1, PATCH + 0.1])) == pytest.approx(0, abs=1e-9)


@given(waits)
def test_a_first_patch_in_two_pieces_counts_as_one(waited: list[float]) -> None:
    whole = run_of(waited)
    first, *others = whole.chunks
    in_pieces = Run(0.0, [(first[0] / 2, PATCH / 4), first, *others])
    assert seconds_per_patch(in_pieces, PATCH) == pytest.approx(seconds_per_patch(whole, PATCH))
    assert seconds_per_patch(whole, PATCH) == pytest.approx(sum(waited[1:]) / len(waited[1:]))


@given(st.integers(1, 9), waits)
def test_equal_concurrent_streams_multiply_the_throughput(streams: int, waited: list[float]) -> None:
    round_ = [run_of(waited, started=3.0)] * streams
    assert sound_per_second(round_) == pytest.approx(streams * len(waited) * PATCH / sum(waited))
    figures = Figures.of([round_, round_], PATCH)
    assert figures.factor == pytest.approx(streams / figures.together)
    assert figures.first_p50 == figures.first_p99 == waited[0]
    assert figures.dry_streams in (0, 2 * streams)


# Work of a step


def full_config(family: str, folder: Path) -> ModelConfig:
    (folder / "config.json").write_text(json.dumps(config_of(family, "full", {})), "utf-8")
    return read_config(folder)


def step_of(config: ModelConfig, quantize: str | None = None, steps: int = 10) -> Work:
    widths = Widths.of("cuda", "bfloat16", quantize)
    return work_of(config, widths, evaluations=evaluations_of(steps), positions=100, text=20)


@pytest.mark.parametrize(
    ("family", "gigabytes", "operations"),
    [("voxcpm-0.5b", 2.25, 12.9), ("voxcpm-1.5", 3.57, 44.4), ("voxcpm-2", 7.81, 90.6)],
)
def test_bytes_and_operations_of_a_step_are_the_known_ones(
    family: str, gigabytes: float, operations: float, tmp_path: Path
) -> None:
    config = full_config(family, tmp_path)
    step = step_of(config)
    # The known figures include the time embedding in every evaluation.
    embedded = evaluations_of(10) * 2 * times_size(config)
    assert (step.bytes_read(1) + embedded) / 1e9 == pytest.approx(gigabytes, rel=0.01)
    assert step.operations(1) / 1e9 == pytest.approx(operations, rel=0.01)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_reads_all_weights_of_the_checkpoint_that_are_for_it(family: str, tmp_path: Path) -> None:
    config, document = full_config(family, tmp_path), config_of(family, "full", {})
    written = sum(
        tensor.size
        for name, tensor in backbone_tensors(document).items()
        if name.endswith("weight") and "embed_tokens" not in name and "time_mlp" not in name
    )
    decoder = sum(
        tensor.size
        for name, tensor in codec_tensors(document).items()
        if name.startswith("decoder") and name.endswith("weight_v")
    )
    assert (
        work_of(config, Widths(whole=1, codec=0, quantized=1), evaluations=1, positions=0, text=0).bytes_read(1)
        == written
    )
    assert codec_size(config.codec) == decoder


def test_a_floor_falls_with_the_bytes_and_rises_with_the_streams(tmp_path: Path) -> None:
    config = full_config("voxcpm-1.5", tmp_path)
    step, int8, fp8, fewer = step_of(config), step_of(config, "int8"), step_of(config, "fp8"), step_of(config, steps=5)
    assert step.bytes_read(1) / 2 < int8.bytes_read(1) < fp8.bytes_read(1) < step.bytes_read(1)
    assert fewer.bytes_read(1) < step.bytes_read(1)
    alone, together = step.seconds(1, 4.3e12, 790e12), step.seconds(64, 4.3e12, 790e12)
    assert alone == pytest.approx(0.82e-3, rel=0.02)
    assert alone < together < 64 * alone
    assert step.before_first().seconds(1, 4.3e12, 790e12) < alone


# Equality


def test_the_difference_is_the_largest_one_over_the_peak() -> None:
    sound = np.array([0.5, -1.0, 0.25], np.float32)
    assert difference(sound, sound) == 0
    assert difference(sound + np.float32(0.01), sound) == pytest.approx(0.01, rel=1e-4)
    assert difference(2 * sound, sound) == 1
    assert math.isinf(difference(sound[:2], sound))
    assert math.isinf(difference(sound * np.float32(np.nan), sound))
    assert math.isinf(difference(0 * sound, 0 * sound))


def test_another_seed_is_tried_where_rounding_may_have_decided_but_not_for_the_first_patch() -> None:
    def sound(seed: int) -> Samples:
        return np.sin(np.arange(8, dtype=np.float32) + seed)

    def late(seed: int) -> Samples:
        return sound(seed) + np.float32(seed == DRAWN_SEEDS[0]) * np.float32(np.arange(8) >= 4)

    def early(seed: int) -> Samples:
        return sound(seed) + np.float32(seed == DRAWN_SEEDS[0])

    assert compare("", sound, sound, 4).differences == (0,)
    assert compare("", late, sound, 4).good
    assert len(compare("", late, sound, 4).differences) == 2
    assert not compare("", early, sound, 4).good
    assert not compare("", lambda seed: sound(seed) * np.float32(1 + 2 * TOLERANCE), sound, 4).good


# Stand-ins for libraries that the package imports


def test_axes_are_rearranged_as_einops_does() -> None:
    x = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    joined = rearrange(x, "b t p c -> (b t) p c")
    assert joined.equal(x.reshape(6, 4, 5))
    assert rearrange(joined[:, 0], "(b t) c -> b t c", b=2).equal(x[:, :, 0])
    assert rearrange(x, "b t p d -> b d (t p)", b=2, p=4).equal(x.permute(0, 3, 1, 2).reshape(2, 5, 12))
    assert rearrange(x[0, 0], "p d -> d p 1").equal(x[0, 0].T.unsqueeze(-1))


class Inner(BaseModel):
    rates: list[int] = [2, 3]  # noqa: RUF012 - as pydantic takes it
    base: float


class Outer(BaseModel):
    inner: Inner
    other: Inner | None = None
    name: str = "x"


def test_a_config_is_read_as_pydantic_reads_it() -> None:
    read = Outer.model_validate_json('{"inner": {"base": 1, "unknown": 2}, "other": {"base": 2, "rates": [4]}}')
    assert isinstance(read, Outer)
    assert (read.inner.base, read.inner.rates, read.name) == (1.0, [2, 3], "x")
    assert read.other is not None
    assert read.other.rates == [4]
    changed = read.model_copy(deep=True)
    assert isinstance(changed, Outer)
    changed.inner.rates.append(9)
    assert read.inner.rates == [2, 3]
    with pytest.raises(ValueError, match="Inner needs a base"):
        Outer.model_validate_json('{"inner": {}}')


# Whole runs

TINY = ["--size", "tiny", "--device", "cpu", "--runs", "1", "--patches", "3", "--steps", "2"]


def test_a_tiny_model_is_measured_from_end_to_end(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    options = [
        *TINY,
        "--streams",
        "1,2",
        "--quantize",
        "int8",
        "--long-text",
        "--against",
        "package",
        "--package",
        str(tmp_path),
    ]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options, "--json", str(figures)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONWARNINGS": STRICT, "PYTHONUTF8": "1"},
        check=True,
    )
    assert done.stderr == ""
    for text in (
        "this device reads and writes",
        "equal   concurrent streams and each alone",
        "per patch",
        "floor of",
        "load, s",
    ):
        assert text in done.stdout
    for text in ("memory of voxcli bfloat16", "behind 400", "targets, for 2 cores, full size", "No verdict"):
        assert text in done.stdout
    not_compared = done.stdout.partition("not compared:\n")[2]
    assert (
        f"the package: it cannot be imported: ModuleNotFoundError: No module named 'voxcpm' in {tmp_path}"
        in not_compared
    )
    assert "graphs and plain calls: graphs are for CUDA" in not_compared
    measured = json.loads(figures.read_text("utf-8"))
    both = measured["figures"]["voxcli bfloat16"]
    assert [both[streams]["streams"] for streams in "12"] == [1, 2]
    assert all(0 < its["first_p50"] <= its["first_patch"] for its in both.values())
    assert measured["position_costs"]["voxcli bfloat16"]["near"] > 0
    assert measured["loads"]["voxcli int8"][0]["whole"] > 0
    assert measured["loads"]["voxcli bfloat16"][0]["whole"] > measured["loads"]["voxcli bfloat16"][0]["load"] > 0
    assert measured["memories"]["voxcli bfloat16"]["resident"] > 10e6
    assert measured["comparisons"][0]["differences"][0] <= TOLERANCE
    assert {verdict["met"] for verdict in measured["verdicts"]} == {None}


def test_a_profile_names_every_part_of_a_patch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "figures.json"
    options = [*TINY, "--profile", "--patches", "5", "--folder", str(tmp_path), "--json", str(figures)]
    assert measure(read_options(options, "")) == 0
    output = capsys.readouterr().out
    table = output[output.index("voxcli bfloat16: first chunk") :].splitlines()
    assert all(len(line) <= 80 for line in table)
    assert [line[:19].strip() for line in table[2:]] == [
        "prefill",
        "stop head",
        "1 × local DiT",
        "local encoder",
        "base LM",
        "residual LM",
        "projections",
        "codec",
        "Python and the rest",
        "patch",
    ]
    found = json.loads(figures.read_text("utf-8"))["profiles"]["voxcli bfloat16"]
    assert all(seconds > 0 for seconds in found["parts"].values())
    assert found["prefill"] < found["first_chunk"]


def test_parts_within_parts_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.engine.patch_profile.time.perf_counter", count().__next__)
    clock = PartsClock()
    clock.steps.append(Counter())
    inner = clock.timed("inner", lambda: None)
    clock.timed("outer", lambda: [inner(), inner()])()
    assert clock.steps == [{"inner": 2, "outer": 3}]


def test_a_profile_leaves_the_model_as_it_was(checkpoints: Callable[[str], Path]) -> None:
    with closing(load_voxcli(checkpoints("voxcpm-1.5"), "cpu", "float32", None, slots=1)) as model:
        before = {name: set(vars(module)) for name, module in model._backbone.named_modules()}
        profile_patches(model, 5, 2)
        assert {name: set(vars(module)) for name, module in model._backbone.named_modules()} == before


def measured_by(options: list[str], **figures: float) -> Measurements:
    one = Figures(**{field.name: 1.0 for field in dataclasses.fields(Figures)} | figures)  # type: ignore[arg-type]
    package = dataclasses.replace(one, first_p50=1.0)
    environment = Environment("a CPU", "3", "2", None, None, None, 2, False, None)
    return Measurements(
        options=read_options(["--device", "cpu", *options], ""),
        environment=environment,
        figures={"own": {1: one, 4: one}, "small": {1: one, 4: one}, "package": {1: package}},
        loads={},
        position_costs={},
        main="own",
        quantized="small",
        package="package",
        compiled="compiled",
    )


def test_the_targets_of_two_cores_are_judged() -> None:
    def verdicts(options: list[str], **figures: float) -> dict[str, bool | None]:
        return {verdict.what: verdict.met for verdict in check_targets(measured_by(options, **figures))}

    good = {"first_p50": 0.1, "factor": 0.6, "patch": 0.09, "together": 1.7}
    assert set(verdicts(["--quantize", "int8"], **good).values()) == {True}
    assert len(verdicts(["--quantize", "int8"], **good)) == 8
    assert len(verdicts([], **good)) == 3
    slow = verdicts(["--quantize", "int8"], **good | {"first_p50": 0.25})
    assert {what for what, met in slow.items() if not met} == {
        "own: first chunk",
        "small: first chunk",
        "small: first chunk against the package",
    }
    assert set(verdicts(["--quantize", "int8", "--steps", "5"], **good).values()) == {None}


OTHER = """
import numpy

class VoxCPM:
    tts_model = type("Model", (), {"sample_rate": 44100})

    @classmethod
    def from_pretrained(cls, *folder, **options):
        return cls()

    def generate(self, **asked):
        return numpy.ones(4 * 7056, numpy.float32)
"""


def test_nothing_is_timed_if_the_outputs_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "voxcpm").mkdir()
    (tmp_path / "voxcpm" / "__init__.py").write_text(OTHER)
    options = [*TINY, "--against", "package", "--package", str(tmp_path), "--json", str(tmp_path / "figures.json")]
    assert measure(read_options(options, "")) == 1
    output = capsys.readouterr().out
    assert "DIFFER  voxcli and the package" in output
    assert "nothing is timed" in output
    measured = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert measured["figures"] == {}


def test_engines_whose_outputs_differ_are_timed_if_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "voxcpm").mkdir()
    (tmp_path / "voxcpm" / "__init__.py").write_text(OTHER)
    figures = tmp_path / "figures.json"
    options = [*TINY, "--time-anyway", "--against", "package", "--package", str(tmp_path), "--json", str(figures)]
    assert measure(read_options([*options, "--streams", "1", "--minutes", "1"], "")) == 1
    assert "DIFFER  voxcli and the package" in capsys.readouterr().out
    measured = json.loads(figures.read_text("utf-8"))
    assert any("DIFFER" in failure for failure in measured["failed"])
    assert measured["figures"]["voxcli bfloat16"]["1"]["first_p50"] > 0


def test_what_does_not_fit_into_the_time_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_checkpoint(tmp_path / "voxcpm-1.5-tiny", "voxcpm-1.5", 2)
    options = [*TINY, "--minutes", "0.01", "--long-text", "--folder", str(tmp_path)]
    assert measure(read_options(options, "")) == 0
    not_compared = capsys.readouterr().out.partition("not compared:\n")[2]
    assert "1 at once: no time left" in not_compared
    assert "a short text and a long one: no time left" in not_compared
    assert "the package: pass --against package" in not_compared
