"""Equality in float32: graphs and plain calls, concurrent and single streams, voxcli and the package."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from tests.benchmarks.engine.child_process import ChildFailed
from tests.benchmarks.engine.options import SEED, TEXT
from tests.benchmarks.engine.package_engine import PackageEngine, PackageNotImportable, with_dtype
from tests.benchmarks.engine.results import TOLERANCE, Comparison, Context, echo
from tests.benchmarks.engine.streams import Samples, load_voxcli, new_utterance, stream_concurrently
from voxcli.errors import VoxError
from voxcli.voxcpm.model import Model

_SLOTS = 8
PATCHES = 4
DRAWN_SEEDS = range(SEED, SEED + 3)

_TEXTS = (TEXT, TEXT[:8], TEXT * 2, TEXT[:4], TEXT[3:])

Sound = Callable[[int], Samples]
"""Seed -> the samples generated with it."""


def compare(what: str, one: Sound, other: Sound, patch_samples: int) -> Comparison:
    """Compare two sounds, and if they differ, try the next seeds.

    A value halfway between two quantizer levels may be rounded up by one and down by the other, and both are right.
    That is rare, so another seed decides. The first patch does not depend on the quantizer: it must always be equal.
    """
    differences: list[float] = []
    first_patch = 0.0
    for seed in DRAWN_SEEDS:
        left, right = one(seed), other(seed)
        differences.append(difference(left, right))
        first_patch = max(first_patch, difference(left[:patch_samples], right[:patch_samples]))
        if differences[-1] <= TOLERANCE:
            break
    return Comparison(what, tuple(differences), first_patch)


def difference(left: Samples, right: Samples) -> float:
    """Return the largest difference as a share of the peak; infinite for other lengths, silence or NaN."""
    if left.shape != right.shape or not np.isfinite(left).all() or not np.isfinite(right).all():
        return float("inf")
    peak = float(np.abs(right).max(initial=0.0))
    return float(np.abs(left - right).max(initial=0.0)) / peak if peak else float("inf")


def single(model: Model, steps: int) -> Sound:
    return lambda seed: spoken(model, [TEXT], seed, steps)


def concurrent(model: Model, steps: int) -> Sound:
    """Return the samples of a few concurrent streams, concatenated."""
    return lambda seed: spoken(model, _texts_for(model), seed, steps)


def one_after_another(model: Model, steps: int) -> Sound:
    """Return the samples of the same streams, run one at a time."""
    return lambda seed: np.concatenate(
        [spoken(model, [text], seed + number, steps) for number, text in enumerate(_texts_for(model))]
    )


def spoken(model: Model, texts: Sequence[str], seed: int, steps: int) -> Samples:
    utterances = [new_utterance(text, seed + number, steps, PATCHES) for number, text in enumerate(texts)]
    return np.concatenate([samples for _, samples in stream_concurrently(model, utterances)])


def _texts_for(model: Model) -> Sequence[str]:
    return _TEXTS if model.device.type == "cuda" else _TEXTS[:3]


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Turn TF32 off, so that a GPU multiplies in full float32."""
    if device.type != "cuda":
        yield
        return
    precision, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = convolutions


def check_equality(context: Context) -> None:
    """Compare what can be compared, and note the rest in `not_compared`."""
    options, results = context.options, context.results
    echo(f"equality, float32, {PATCHES} patches, {options.steps} steps; largest difference between two samples:")
    with exact_products(torch.device(options.device)):
        try:
            recorded = _compare_ours(context)
        except VoxError as error:
            results.failed.append(f"float32: {error}")
            return
    if not options.against:
        return
    try:
        _compare_package(context, recorded)
    except PackageNotImportable as error:
        results.not_compared.append(f"the package: it cannot be imported: {error}")
        results.package_not_importable = True
    except ChildFailed as error:
        results.not_compared.append(f"the samples of the package: {error}")


def _compare_ours(context: Context) -> dict[int, Samples]:
    """Return the samples of our model for each seed."""
    options, steps, patch = context.options, context.options.steps, context.config.patch_samples
    model = load_voxcli(context.checkpoint, options.device, "float32", None, slots=_SLOTS)
    if options.kind == "cuda":
        plain = load_voxcli(context.checkpoint, options.device, "float32", None, slots=_SLOTS, graphs=False)
        for what, sound in (("one stream", single), ("concurrent streams", concurrent)):
            found = compare(f"graphs and plain calls, {what}", sound(model, steps), sound(plain, steps), patch)
            _note(context, found)
        plain.close()
    else:
        context.results.not_compared.append("graphs and plain calls: graphs are for CUDA")
    both = concurrent(model, steps), one_after_another(model, steps)
    _note(context, compare("concurrent streams and each alone", *both, patch))
    recorded = {seed: single(model, steps)(seed) for seed in (DRAWN_SEEDS if options.against else ())}
    model.close()
    return recorded


def _compare_package(context: Context, recorded: Mapping[int, Samples]) -> None:
    checkpoint, timeout = with_dtype(context.checkpoint, "float32", context.folder), context.deadline.left / 3
    package = PackageEngine("package", checkpoint, context.options, exact=True, timeout=timeout)
    context.results.package = package.summary()
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "samples.npy"

        def of_package(seed: int) -> Samples:
            package.write_samples(seed, PATCHES, file, timeout)
            samples: Samples = np.load(file)
            return samples

        try:
            found = compare("voxcli and the package", recorded.__getitem__, of_package, context.config.patch_samples)
        finally:
            package.close()
    _note(context, found)


def _note(context: Context, found: Comparison) -> None:
    context.results.comparisons.append(found)
    echo(f"  {found.summary()}")
