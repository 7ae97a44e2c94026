"""A model that does not fit is refused before it is read."""

import pytest
import torch

from voxcli.errors import DeviceError
from voxcli.voxcpm.memory import check_memory

CPU = torch.device("cpu")


def test_what_fits_is_let_through() -> None:
    check_memory(CPU, 1)


def test_what_does_not_is_refused_with_what_is_needed_and_what_there_is() -> None:
    with pytest.raises(DeviceError, match=r"needs 1024\.2 GiB on cpu, and \d+\.\d GiB are free"):
        check_memory(CPU, 1 << 40)
