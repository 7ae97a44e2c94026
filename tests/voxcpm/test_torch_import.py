"""Parts of torch that are not needed are not loaded, and work as ever for who asks for them."""

import json
import subprocess
import sys

IMPORT = """
import gc, json, sys
from voxcli.voxcpm.torch_import import importing_torch
with importing_torch(alone={alone}):
    import torch
names = "_decomp export.exported_program distributions.von_mises utils.data.dataloader ao.quantization.fake_quantize"
loaded = [f"torch.{{name}}" in sys.modules for name in names.split()]
first = torch.randn(3, generator=torch.Generator().manual_seed(3)).tolist()
exported = str(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)).graph_signature.user_outputs)
torch._meta_registrations.aten
from torch._subclasses.fake_tensor import FakeTensorMode
with FakeTensorMode():
    shape = list(torch.linalg.cholesky(torch.empty(3, 3)).shape)
from torch.utils.data.dataloader import DataLoader
batches = [batch.tolist() for batch in torch.utils.data.DataLoader(range(5), batch_size=2)]
assert DataLoader is torch.utils.data.DataLoader
kinds = [torch.distributions.Normal(0.0, 2.0).variance.item(), torch.nn.quantized.Linear.__name__]
kinds += [torch.quantization.QConfig.__name__, torch.masked.sum(torch.ones(2), mask=torch.ones(2) > 0).item()]
again = torch.randn(3, generator=torch.Generator().manual_seed(3)).tolist()
print(json.dumps([loaded, first, again, exported, shape, gc.isenabled(), batches, kinds]))
"""


def imported(*, alone: bool) -> list[object]:
    done = subprocess.run([sys.executable, "-c", IMPORT.format(alone=alone)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


def test_what_is_left_out_is_loaded_when_asked_for() -> None:
    whole, alone = imported(alone=False), imported(alone=True)
    assert whole[0] == [True] * 5
    assert alone[0] == [False] * 5
    assert alone[1:] == whole[1:]
    assert alone[1] == alone[2]
