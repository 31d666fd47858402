"""Pictures become faces: RGB, square, augmented by a seed."""
import torch
from torchvision.transforms.v2.functional import to_pil_image

from infobottle_dfd.faces.pictures import augment, load_face


def test_pictures_are_rgb_and_square(tmp_path):
    x = torch.zeros(3, 60, 40, dtype=torch.uint8)
    x[2, 10:50] = 255
    to_pil_image(x).save(tmp_path / "blue.jpg", quality=95)
    face = load_face(tmp_path / "blue.jpg", 32).float()
    assert face.shape == (3, 32, 32) and face[2].mean() > 240 and face[:2].mean() < 10      # the middle square is blue to its edges


def test_augment_is_seeded_and_per_image():
    x = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    other = torch.cat([x[:1], torch.randint(0, 256, (7, 3, 32, 32), dtype=torch.uint8)])
    torch.manual_seed(0)
    a = augment(x)
    torch.manual_seed(0)
    b = augment(x)
    torch.manual_seed(0)
    c = augment(other)
    assert torch.equal(a, b) and torch.equal(a[0], c[0]) and not torch.equal(a, x / 255)
