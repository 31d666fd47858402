"""What each block sees."""
import pytest
import torch

from infobottle_dfd.aggregation import ForgeryDetector
from infobottle_dfd.blocks import look, make_backbone
from infobottle_dfd.core import InputError
from infobottle_dfd.explaining import block_maps, cka, grid, hat, inside, overlap


@pytest.mark.parametrize("faces", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("weights", [torch.float32, torch.float64])
def test_heat_of_faces_of_any_precision(faces, weights):
    torch.manual_seed(0)
    detector, x = ForgeryDetector(n=2, d=8).eval().to(weights), torch.rand(2, 3, 32, 32).to(faces)
    for a, b in zip(block_maps(detector, x), block_maps(detector, x.to(weights))):
        assert a.equal(b)


@pytest.mark.parametrize("name, size, at", [
    ("tiny", 64, (0, 16)), ("tiny", 60, (0, 16)), ("resnet34", 224, (0, 32)), ("efficientnet_b0", 96, (0, 32)),
    ("mobilenet_v2", 96, (0, 32)), ("convnext_tiny", 96, (15.5, 32)), ("vit_b_16", 64, (7.5, 16)),
    ("densenet121", 96, (14, 32))])
def test_cells_lie_where_kernels_and_strides_put_them(name, size, at):
    assert grid(make_backbone(name, size=size), size) == at


@pytest.mark.parametrize("name, size", [("tiny", 128), ("mobilenet_v2", 160), ("convnext_tiny", 160), ("vit_b_32", 160)])
def test_a_bright_spot_lights_the_map_where_it_is(name, size):
    "What a spot of light changes in the map lies, enlarged to the face, around the spot."
    torch.manual_seed(0)
    net = make_backbone(name, size=size).eval()
    first, stride = grid(net, size)
    j = look(net, size)[-1] // 2
    spot = round(first + stride * j)                                            # where cell (j, j) should look
    faces = .5 + .05 * torch.randn(8, 3, size, size)
    lit = faces.clone()
    lit[..., spot - 3:spot + 4, spot - 3:spot + 4] += 2
    with torch.no_grad():
        change = (net(lit) - net(faces)).square().mean((0, 1))
    change = (change - change.median()).clamp_min(0)                            # attention tells all cells
    W = hat(len(change), size, first, stride)
    seen = W @ change @ W.T
    for side in (0, 1):
        centre = seen.sum(side) @ torch.arange(float(size)) / seen.sum()
        assert abs(centre - spot) < stride / 4


def test_heat_of_a_transformer():
    torch.manual_seed(0)
    p, heat = block_maps(ForgeryDetector(n=1, d=8, backbone="vit_b_16", size=64).eval(), torch.rand(2, 3, 64, 64))
    assert p.shape == (2,) and heat.shape == (1, 2, 64, 64) and heat.min() >= 0 and heat.isfinite().all()


def test_cka_without_bias():
    "Independent blocks at 64 faces are near 0, any scale; the same block turned, shifted and scaled is 1."
    torch.manual_seed(0)
    found = torch.stack([cka(torch.randn(2, 64, 64))[0, 1] for _ in range(200)])
    assert abs(found.mean()) < .01 and found.std() < .05
    a, c = torch.randn(2, 64, 64).double()
    turn = torch.linalg.qr(torch.randn(64, 64).double())[0]
    for scale in (1e-30, 1e-9, 1., 1e30):
        seen = cka(torch.stack([a, scale * a @ turn + scale, scale * c, 0 * a]))
        assert seen[0, 1] == pytest.approx(1) and seen[2, 2] == pytest.approx(1)
        assert seen[0, 2] == pytest.approx(float(cka(torch.stack([a, c]))[0, 1])) and (seen[3] == 0).all()
    with pytest.raises(InputError, match="at least 4"):
        cka(torch.randn(2, 3, 5))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.])
def test_what_is_no_number_points_nowhere_and_overlaps_with_nothing(wrong):
    "CKA was 0, a hit counted as a miss: one NaN in one face looked like blocks that have nothing in common."
    z, heat = torch.randn(2, 9, 3), torch.rand(2, 9, 4, 4)
    z[0, 0, 0], heat[0, 0, 0, 0] = (float("nan") if wrong == -1 else wrong), wrong
    masks = torch.ones(9, 1, 4, 4, dtype=torch.bool)
    for call in (lambda: cka(z), lambda: inside(heat, masks), lambda: overlap(heat)):
        with pytest.raises(InputError, match="leave those faces out"):
            call()


def test_masks_of_bytes_are_refused():
    "A mask of 254 was never hit: the numbers met bit by bit."
    heat, mask = torch.rand(2, 4, 8, 8), torch.rand(4, 1, 8, 8) > .5
    assert inside(heat, mask)[0].any()
    with pytest.raises(InputError, match="masks must be bool"):
        inside(heat, mask.byte() * 254)
