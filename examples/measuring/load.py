"""From nothing to the first chunk: how long a process takes that has done nothing before, and its memory."""

import json
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from measuring.dialogue import Dialogue

_SCRIPT = Path(__file__).parent / "fresh.py"


@dataclass(frozen=True, slots=True)
class Load:
    """Seconds."""

    whole: float
    """From the call of Python to the first chunk."""
    imports: float
    load: float
    first_chunk: float
    """What it took after loading."""

    @property
    def without_imports(self) -> float:
        return self.load + self.first_chunk


@dataclass(frozen=True, slots=True)
class Memory:
    """The most bytes it had."""

    resident: int
    """Of the host's memory."""
    allocated: int = 0
    """Of the GPU's, in tensors."""
    reserved: int = 0
    """Of the GPU's, tensors and what torch holds back for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """What to load."""

    checkpoint: str
    device: str
    dtype: str
    quantize: str | None
    graphs: bool
    slots: int
    steps: int
    patches: int


def load_afresh(what: Fresh, patience: float) -> tuple[Load, Memory]:
    """Run it once, with the weights where the page cache has them.

    Raises:
        DialogueEnded: it failed, or was not done in so many seconds.
    """
    wanted = json.dumps({name: getattr(what, name) for name in what.__slots__})
    started = time.perf_counter()
    with closing(Dialogue([sys.executable, str(_SCRIPT), wanted])) as dialogue:
        first = dialogue.hear(patience)
        whole = time.perf_counter() - started
        second = dialogue.hear(patience)
    return Load(whole=whole, **first), Memory(**second)
