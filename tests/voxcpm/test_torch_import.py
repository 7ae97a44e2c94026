"""Parts of torch that are not needed are not loaded, and work as ever for who asks for them."""

import json
import subprocess
import sys

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
