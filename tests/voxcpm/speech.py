"""What is said in these tests, and how it is compared."""

from typing import Any

import numpy as np

from voxcli.voxcpm.generate import Model, Samples, Utterance

TEXT = "你好世界 hello there"


def utterance(**changes: Any) -> Utterance:
    """A short one of a certain length."""
    usual = {"text": TEXT, "steps": 4, "guidance": 2.0, "seed": 7, "min_patches": 3, "max_patches": 4}
    return Utterance(**(usual | changes))


def samples_of(model: Model, said: Utterance | None = None) -> Samples:
    return np.concatenate(list(model.stream(said or utterance())))
