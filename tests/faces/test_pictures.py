"""Pictures become faces: RGB, square, augmented by a seed."""
import pytest
import torch
from torchvision.transforms.v2.functional import to_pil_image

from infobottle_dfd.core import InputError
from infobottle_dfd.faces.manifest import Face
from infobottle_dfd.faces.pictures import augment, check_pictures, load_face, twins


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


def test_the_same_pixels_under_two_names(tmp_path):
    "Bytes under two names, labels, videos or splits went unnoticed."
    x = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    for name, k in (("a.png", 0), ("b.png", 1), ("copy.webp", 0)):
        to_pil_image(x[k]).save(tmp_path / name, **{"lossless": True} if name.endswith("webp") else {})
    rows = [Face(tmp_path / "a.png", 0, "train", "v"), Face(tmp_path / "b.png", 1, "train", "w"), Face(tmp_path / "copy.webp", 0, "test", "u")]
    said = twins(rows, check_pictures(rows))
    assert "1 pictures have the pixels of another" in said and "1 of them of another split" in said and twins(rows[:2], check_pictures(rows[:2])) == ""
    with pytest.raises(InputError, match="the same pixels, listed as real and as fake"):
        twins(rows[:2] + [rows[2]._replace(label=1)], check_pictures(rows))
