"""A product is x·Wᵀ + b, in whatever layout and precision it is multiplied."""

import pytest
import torch
from torch.nn import functional

from voxcli.voxcpm.network.linear import Product


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2)])
def test_it_multiplies_and_adds(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    weight, bias, x = torch.randn(24, 40) / 40**0.5, torch.randn(24), torch.randn(2, 5, 40)
    y = Product(weight, bias, dtype)(x)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, functional.linear(x, weight, bias), atol=tolerance, rtol=tolerance)


def test_rows_may_share_memory() -> None:
    torch.manual_seed(0)
    product = Product(torch.randn(8, 12), torch.randn(8), torch.float32)
    overlapping = torch.randn(2, 9, 4).unfold(1, 3, 1).transpose(2, 3).flatten(2)
    assert overlapping._is_view()
    torch.testing.assert_close(product(overlapping), product(overlapping.clone()))
