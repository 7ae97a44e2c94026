"""Measure the engine with a random model of the true size: first chunk, patches, many streams at once, loading, memory.

Equality comes first, in float32: graphs against plain calls, streams in company against each alone, ours against the
published `voxcpm` package where it can be imported. Then all contestants speak in turns in this one run, and their
times stand beside the floor that bytes and operations set on the same device. What could not be compared is said last.
It needs Python, torch, safetensors, tokenizers and NumPy: nothing else of what voxcli depends on.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from voxcli.errors import VoxError
from voxcli.voxcpm.runtime.cpu_threads import wait_asleep


def main() -> int:
    # Before torch is loaded, which the rest does. The package inherits it: where others work, it gains from it too.
    wait_asleep(os.environ)
    from measuring.course import measure
    from measuring.options import read_options

    options = read_options(sys.argv[1:], str(__doc__))
    try:
        return measure(options)
    except VoxError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
