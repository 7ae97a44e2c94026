"""Parts of torch that are not needed are not loaded, and work as ever for who asks for them."""

import json
import subprocess
import sys

import pytest

IMPORT = """
import gc, json, sys
from voxcli.voxcpm.torch_import import importing_torch
with importing_torch(alone={alone}):
    import torch
loaded = [name in sys.modules for name in ("torch._decomp", "torch.export.exported_program")]
first = torch.randn(3, generator=torch.Generator().manual_seed(3)).tolist()
exported = str(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)).graph_signature.user_outputs)
torch._meta_registrations.aten
from torch._subclasses.fake_tensor import FakeTensorMode
with FakeTensorMode():
    shape = list(torch.linalg.cholesky(torch.empty(3, 3)).shape)
again = torch.randn(3, generator=torch.Generator().manual_seed(3)).tolist()
print(json.dumps([loaded, first, again, exported, shape, gc.isenabled()]))
"""


def imported(*, alone: bool) -> list[object]:
    done = subprocess.run([sys.executable, "-c", IMPORT.format(alone=alone)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


def test_what_is_left_out_is_loaded_when_asked_for() -> None:
    whole, alone = imported(alone=False), imported(alone=True)
    assert whole[0] == [True, True]
    assert alone[0] == [False, False]
    assert alone[1:] == whole[1:]
    assert alone[1] == alone[2]


PRELOAD = """
import sys, time
from voxcli.voxcpm.torch_import import importing_torch, preload_torch
thread = preload_torch()
assert thread is preload_torch() and not thread.daemon
ticks = 0
while thread.is_alive():  # other Python code runs meanwhile
    ticks += 1
    time.sleep(0.001)
with open("/proc/self/maps") as maps:
    print("libtorch_cpu" in maps.read(), "torch" in sys.modules, ticks > 10)
with importing_torch(alone=True):
    import torch
print(float(torch.ones(3) @ torch.ones(3)), preload_torch() is thread)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, nothing is preloaded")
def test_the_library_is_loaded_while_other_python_code_runs() -> None:
    done = subprocess.run([sys.executable, "-c", PRELOAD], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False", "True", "3.0", "True"], done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, nothing is preloaded")
def test_a_program_that_ends_at_once_waits_for_the_library() -> None:
    code = "from voxcli.voxcpm.torch_import import preload_torch; preload_torch(); raise SystemExit(7)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (7, "")
