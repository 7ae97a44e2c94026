"""Measure the engine with a random model of full size: first chunk, patches, concurrent streams, loading, memory.

Equality comes first, in float32: graphs against plain calls, concurrent streams against single ones, voxcli against the
published package `voxcpm` if it can be imported. Then all engines run in turns, and their times are printed beside the
lower bound that bytes and operations set on the same device. What could not be compared is listed at the end.
It needs Python, torch, safetensors, tokenizers and NumPy, and none of voxcli's other dependencies.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from voxcli.errors import VoxError
from voxcli.voxcpm.runtime.cpu_threads import limit_openmp_spinning


def main() -> int:
    # Before torch is imported. The process of the package inherits it.
    limit_openmp_spinning(os.environ)
    from tests.benchmarks.engine.options import read_options
    from tests.benchmarks.engine.plan import measure

    options = read_options(sys.argv[1:], str(__doc__))
    try:
        return measure(options)
    except VoxError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
