import os
import ssl
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import certifi
import pytest
from hypothesis import HealthCheck, settings

from tests.forks import ORIGIN, run_forked
from tests.program import WITHOUT_VOICES, RunIn

while WITHOUT_VOICES in sys.path:  # of a worker: in the processes of the tests nothing is hidden
    sys.path.remove(WITHOUT_VOICES)

pytest_plugins = ["tests.turns", "tests.pulse", "tests.tiny"]

# A busy machine must not fail a property test.
settings.register_profile("voxcli", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voxcli")

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the program on a busy machine: workers run beside each other
# The same code for all tests and workers: compiling it takes a second for each shape.
os.environ.setdefault("VOXCLI_KERNELS", str(Path(tempfile.gettempdir()) / f"voxcli-test-kernels-{os.getuid()}"))
os.environ["VOXCLI_KEEP_ALIVE"] = "0"  # models run in the process that speaks, unless a test asks for a resident engine

_new_context = ssl.create_default_context
_AUTHORITIES = os.environ.get("SSL_CERT_FILE") or certifi.where()


@cache
def _shared_context() -> ssl.SSLContext:
    return _new_context(cafile=_AUTHORITIES)


def _context(*args: Any, **settings: Any) -> ssl.SSLContext:
    shared = not args and settings == {"cafile": _AUTHORITIES}
    return _shared_context() if shared else _new_context(*args, **settings)


ssl.create_default_context = _context  # httpx reads all certificate authorities for each client, which takes 30 ms


@pytest.fixture(scope="session")
def run_in() -> RunIn:
    return run_forked


def pytest_unconfigure() -> None:
    ORIGIN.close()
