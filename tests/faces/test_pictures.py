"""Pictures become faces: RGB, square, augmented by a seed."""
import pytest
import torch
from torchvision.transforms.v2.functional import to_pil_image

from infobottle_dfd.core import InputError
from infobottle_dfd.faces.manifest import Face
from infobottle_dfd.faces.pictures import FaceFiles, augment, check_pictures, flip, load_face, load_mask, mirror_and_shift, moving, twins


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


def put_mask(path, mask):
    "A grey picture."
    to_pil_image(mask).save(path)
    return str(path)


def test_a_batch_tells_where_its_fakes_differ(tmp_path):
    "Cropped like its face, scaled by the nearest neighbour; unknown, empty and real are all 0."
    wide, mask = torch.zeros(3, 40, 60, dtype=torch.uint8), torch.zeros(1, 40, 60, dtype=torch.uint8)
    wide[:, 10:20, 20:30], mask[:, 10:20, 20:30] = 255, 255
    to_pil_image(wide).save(tmp_path / "wide.png")
    small = put_mask(tmp_path / "small.png", mask[:, ::2, ::2])             # another size
    black, grey = put_mask(tmp_path / "black.png", 0 * mask), put_mask(tmp_path / "grey.png", mask // 2)
    rows = [Face(tmp_path / "wide.png", int(k > 0), mask=m) for k, m in enumerate((black, small, put_mask(tmp_path / "m.png", mask), black, grey, ""))]
    data = FaceFiles(rows, 20, marked=True)
    x, y, where = data[list(range(6))]
    assert where.shape == (6, 1, 20, 20) and where.dtype == torch.uint8 and y.tolist() == [0, 1, 1, 1, 1, 1]
    for k in (1, 2):                                                        # the white square lies under its mask
        assert torch.equal(where[k, 0] > 0, x[k, 0] > 127) and set(where[k].unique().tolist()) == {0, 255} and where[k].count_nonzero() == 25
    assert not where[[0, 3, 4, 5]].any() and (data.masks != 0).tolist() == [False, True, True, False, False, False]
    assert len(FaceFiles(rows, 20)[[0, 1]]) == 2


@pytest.mark.parametrize("name, label, word", [("gone.png", 1, "gone.png: No such file"), ("cut.png", 1, "cut.png: not a readable picture"), ("full.png", 0, "full.png: the mask of .*a real face, is not empty"), ("one.png", 1, "one.png: its lightest pixel is 1 of 255"), ("long.png", 1, "long.png: 32 x 20 pixels are of another shape")])
def test_masks_that_cannot_be(tmp_path, name, label, word):
    "Missing, damaged, on a real face: one sentence with the file's name, before the first batch."
    put_mask(tmp_path / "full.png", torch.full((1, 32, 32), 255, dtype=torch.uint8))
    put_mask(tmp_path / "long.png", torch.full((1, 20, 32), 255, dtype=torch.uint8))
    put_mask(tmp_path / "one.png", torch.ones(1, 32, 32, dtype=torch.uint8))
    (tmp_path / "cut.png").write_bytes((tmp_path / "full.png").read_bytes()[:40])
    with pytest.raises(InputError, match=word):
        FaceFiles([Face(tmp_path / "full.png", label, mask=str(tmp_path / name))], marked=True)


def test_a_mask_moves_with_its_picture():
    "As a fourth channel, through flips and shifts, each face for itself."
    x = torch.randint(0, 256, (40, 1, 32, 32), dtype=torch.uint8)
    for move in (flip, mirror_and_shift):
        both = move(x.expand(-1, 4, -1, -1))
        assert torch.equal(both[:, :1], both[:, 3:]) and not torch.equal(both[:, 3:], x)


def test_an_animation_is_told_whatever_it_is_called(tmp_path):
    "An animated WebP called .jpg went by without a word, for its name."
    one, two = (to_pil_image(torch.full((3, 32, 32), k, dtype=torch.uint8)) for k in (0, 255))
    one.save(tmp_path / "plain.jpg")
    for name, kind in (("w.jpg", "WEBP"), ("g.bmp", "GIF"), ("w.JFIF", "WEBP"), ("p.jpeg", "PNG")):
        one.save(tmp_path / name, kind, save_all=True, append_images=[two])
        assert moving([Face(tmp_path / "plain.jpg", 0), Face(tmp_path / name, 0)]).startswith(f"warning: 1 pictures are animations, as {tmp_path / name};")
    assert moving([Face(tmp_path / "plain.jpg", 0)]) == ""


def test_a_transparent_mask_marks_nothing(tmp_path):
    "It was laid on white paper, and all of it was forged."
    mask = torch.zeros(4, 32, 32, dtype=torch.uint8)
    mask[:, 8:16, 8:16] = 255                                               # white and opaque there; clear elsewhere
    path = put_mask(tmp_path / "clear.png", mask)
    assert load_mask(path, 32).count_nonzero() == 64 and load_mask(path, 32)[0, 8:16, 8:16].all()
    empty = put_mask(tmp_path / "empty.png", 0 * mask)
    rows = [Face(tmp_path / "clear.png", 0, mask=empty), Face(tmp_path / "clear.png", 1, mask=path)]
    assert (FaceFiles(rows, 32, marked=True).masks != 0).tolist() == [False, True]
