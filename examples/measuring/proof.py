"""Equality first: what is timed later says the same, one way or the other."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from measuring.checkpoint import as_stored_in
from measuring.dialogue import DialogueEnded
from measuring.equality import (
    DRAWN_SEEDS,
    PATCHES,
    Comparison,
    Sound,
    alone,
    compare,
    exact_products,
    in_company,
    one_by_one,
)
from measuring.ours import Samples, load_ours
from measuring.stage import Stage, say
from measuring.theirs import PackageMissing, Theirs
from voxcli.errors import VoxError

_SLOTS = 8


def prove_equality(stage: Stage) -> None:
    """Compare in float32 what can be compared, and note the rest."""
    options, results = stage.options, stage.results
    say(f"equality, float32, {PATCHES} patches, {options.steps} steps; the largest difference between two samples:")
    with exact_products(torch.device(options.device)):
        try:
            heard = _compare_ours(stage)
        except VoxError as error:
            results.failed.append(f"float32: {error}")
            return
    if not options.against:
        return
    try:
        _compare_package(stage, heard)
    except PackageMissing as error:
        results.not_compared.append(f"the package: it cannot be imported: {error}")
        results.package_missing = True
    except DialogueEnded as error:
        results.not_compared.append(f"the sound of the package: {error}")


def _compare_ours(stage: Stage) -> dict[int, Samples]:
    """Return what our model says with each seed."""
    options, steps, patch = stage.options, stage.options.steps, stage.config.patch_samples
    model = load_ours(stage.checkpoint, options.device, "float32", None, slots=_SLOTS)
    if options.kind == "cuda":
        plain = load_ours(stage.checkpoint, options.device, "float32", None, slots=_SLOTS, graphs=False)
        for what, sound in (("one stream", alone), ("some streams at once", in_company)):
            found = compare(f"graphs and plain calls, {what}", sound(model, steps), sound(plain, steps), patch)
            _note(stage, found)
        plain.close()
    else:
        stage.results.not_compared.append("graphs and plain calls: graphs are for CUDA")
    company, single = in_company(model, steps), one_by_one(model, steps)
    _note(stage, compare("streams in company and each alone", company, single, patch))
    heard = {seed: alone(model, steps)(seed) for seed in (DRAWN_SEEDS if options.against else ())}
    model.close()
    return heard


def _compare_package(stage: Stage, heard: Mapping[int, Samples]) -> None:
    checkpoint, patience = as_stored_in(stage.checkpoint, "float32", stage.folder), stage.clock.left / 3
    package = Theirs("package", checkpoint, stage.options, exact=True, patience=patience)
    stage.results.package = package.told()
    with tempfile.TemporaryDirectory() as name:
        said = Path(name) / "said.npy"

        def theirs(seed: int) -> Samples:
            package.keep(seed, PATCHES, said, patience)
            samples: Samples = np.load(said)
            return samples

        ours: Sound = heard.__getitem__
        try:
            found = compare("ours and the package", ours, theirs, stage.config.patch_samples)
        finally:
            package.close()
    _note(stage, found)


def _note(stage: Stage, found: Comparison) -> None:
    stage.results.comparisons.append(found)
    say(f"  {found.told()}")
