"""What each block sees."""
import pytest
import torch

from infobottle_dfd.aggregation import ForgeryDetector
from infobottle_dfd.explaining import block_maps


@pytest.mark.parametrize("faces", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("weights", [torch.float32, torch.float64])
def test_heat_of_faces_of_any_precision(faces, weights):
    torch.manual_seed(0)
    detector, x = ForgeryDetector(n=2, d=8).eval().to(weights), torch.rand(2, 3, 32, 32).to(faces)
    for a, b in zip(block_maps(detector, x), block_maps(detector, x.to(weights))):
        assert a.equal(b)
