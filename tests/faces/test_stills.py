"""Every picture becomes eight bits of red, green and blue, or is refused."""
import struct

import numpy as np
import pytest
import torch
from PIL import Image, features

from infobottle_dfd.core import InputError
from infobottle_dfd.faces import stills
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.faces.pictures import load_face
from infobottle_dfd.faces.stills import decode, eight_bits, unseen
from infobottle_dfd.faces.video import Lost, frames


@pytest.fixture(scope="module")
def face():
    "A drawn face, (h w c) uint8."
    return ClueFaces(2, 96, seed=3).x[0].permute(1, 2, 0).numpy()


def test_sixteen_bits_of_grey(tmp_path, face):
    "A PNG and a TIFF with 16 bits were white."
    grey = np.asarray(Image.fromarray(face).convert("L"))
    for name in ("a.png", "a.tif"):
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / name)
        assert np.array_equal(decode(tmp_path / name), np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_whose_white_is_unknown(tmp_path, face, kind):
    "Floats were black, 32-bit integers white."
    Image.fromarray(face[..., 0].astype(kind)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="32-bit numbers"):
        decode(tmp_path / "a.tif")


def test_what_is_transparent_is_not_seen(tmp_path, face):
    "The colour behind transparent pixels was shown; an opaque channel changes nothing."
    over = np.dstack([face, np.full(face.shape[:2], 255, np.uint8)])
    Image.fromarray(over).save(tmp_path / "opaque.png")
    over[:40] = (255, 0, 255, 0)
    Image.fromarray(over).save(tmp_path / "hidden.png")
    palette = Image.fromarray(face).quantize(200)
    palette.save(tmp_path / "palette.png", transparency=bytes([0] * 100 + [255] * 100))
    assert np.array_equal(decode(tmp_path / "opaque.png"), face)
    assert (decode(tmp_path / "hidden.png")[:40] == 255).all() and np.array_equal(decode(tmp_path / "hidden.png")[40:], face[40:])
    assert (decode(tmp_path / "palette.png")[np.asarray(palette) < 100] == 255).all()


@pytest.mark.parametrize("name, options", [("a.bmp", {}), ("a.tif", {}), ("a.webp", {"lossless": True}), ("a.jfif", {"format": "JPEG", "quality": 98}), ("a.gif", {}), ("a.avif", {"quality": 95})])
def test_more_formats(tmp_path, face, name, options):
    if name == "a.avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    Image.fromarray(face).save(tmp_path / name, **options)
    assert np.abs(decode(tmp_path / name).astype(int) - face).mean() < 12


def test_postscript_starts_no_program(tmp_path, monkeypatch):
    "An EPS called .jpg made Pillow run Ghostscript."
    from PIL import EpsImagePlugin
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **k: pytest.fail("Ghostscript was started"))
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(InputError, match="not a readable picture"):
        decode(tmp_path / "a.jpg")


def test_no_memory_is_no_damage(tmp_path, face, monkeypatch):
    Image.fromarray(face).save(tmp_path / "a.png")

    def full(picture, *_):
        raise MemoryError
    monkeypatch.setattr(stills, "eight_bits", full)
    with pytest.raises(InputError, match="a.png: too large"):
        decode(tmp_path / "a.png")


def test_an_animation_says_what_was_not_looked_at(tmp_path, face):
    "Of GIF and WebP the first picture was taken, without a word."
    other = Image.fromarray(255 - face)
    Image.fromarray(face).save(tmp_path / "a.gif", save_all=True, append_images=[other, Image.fromarray(face)], duration=100)
    Image.fromarray(face).save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[other])
    assert unseen(tmp_path / "a.gif") == 2 and unseen(tmp_path / "a.jpg") == 0
    shots = frames(tmp_path / "a.gif", 8)
    next(shots)
    with pytest.raises(Lost, match="the 2 pictures after its first"):
        next(shots)


def test_one_decoder_for_all(tmp_path, face):
    "What training sees of a picture is what prepare and predict see."
    Image.fromarray(face[..., 0].astype(np.uint16) * 257).save(tmp_path / "a.png")
    (_, shot, *_), = frames(tmp_path / "a.png", 1)
    assert np.array_equal(shot, decode(tmp_path / "a.png")) and torch.equal(load_face(tmp_path / "a.png", 96).permute(1, 2, 0), torch.from_numpy(shot.copy()))


def tiff(grey, kind="u", white=1):
    "A file of grey numbers, whose tags say of what kind they are and which of them is white."
    tags = {256: grey.shape[1], 257: grey.shape[0], 258: 8 * grey.itemsize, 259: 1, 262: white, 273: 134, 277: 1, 278: grey.shape[0], 279: grey.nbytes, 339: {"u": 1, "i": 2}[kind]}
    return b"II*\0" + struct.pack("<IH", 8, 10) + b"".join(struct.pack("<HHII", t, 4, 1, v) for t, v in tags.items()) + struct.pack("<I", 0) + grey.tobytes()


def test_zero_may_be_white(tmp_path, face):
    "A TIFF of 16 bits whose 0 is white was a negative."
    grey = np.asarray(Image.fromarray(face).convert("L"))
    for bits in (np.uint8, np.uint16):
        scale = np.iinfo(bits).max // 255
        (tmp_path / "a.tif").write_bytes(tiff((255 - grey).astype(bits) * bits(scale), white=0))
        assert np.array_equal(decode(tmp_path / "a.tif"), np.repeat(grey[..., None], 3, 2))


def test_numbers_with_a_sign_have_no_white(tmp_path, face):
    (tmp_path / "a.tif").write_bytes(tiff((face[..., 0] // 2).astype(np.int8), "i"))
    with pytest.raises(InputError, match="or signed ones, and which of them is white"):
        decode(tmp_path / "a.tif")


def test_sixteen_bits_may_be_transparent(tmp_path):
    "The grey that a PNG calls transparent was shown."
    grey = np.array([[0, 100 * 257, 200 * 257]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png", transparency=100 * 257)
    assert decode(tmp_path / "a.png")[0, :, 0].tolist() == [0, 255, 200]


TURNED = {1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud, 5: np.transpose, 6: lambda x: np.rot90(x, -1), 7: lambda x: np.rot90(x.T, 2), 8: np.rot90}


@pytest.mark.parametrize("note", TURNED)
@pytest.mark.parametrize("mode, name", [(mode, "a.tif") for mode in ("L", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16B")] + [(mode, "a.png") for mode in ("L", "RGBA", "I;16")])
def test_all_that_lies_on_its_side_is_turned(tmp_path, face, name, mode, note):
    "An uncompressed TIFF of one number a pixel, or of four, came out with rows that were none, where it lay on its side."
    grey = np.asarray(Image.fromarray(face).convert("L"))[:40]
    if mode.startswith("I"):
        picture = Image.frombytes(mode, grey.T.shape, (grey.astype(np.uint16) * 257).astype(">u2" if mode == "I;16B" else "<u2").tobytes())
    else:
        picture = Image.fromarray(grey).convert(mode)
    about = Image.Exif()
    about[274] = note
    picture.save(tmp_path / name, **({"tiffinfo": {274: note}} if name == "a.tif" else {"exif": about}))
    assert np.array_equal(decode(tmp_path / name), np.repeat(TURNED[note](grey)[..., None], 3, 2))


def test_masks_lie_on_black(tmp_path):
    "Where a mask is transparent nothing is forged; on white paper everything was. All kinds of transparency."
    grey = np.array([[0, 100, 255]], np.uint8)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png", transparency=255 * 257)
    Image.fromarray(np.dstack([grey, np.array([[0, 255, 0]], np.uint8)])).save(tmp_path / "la.png")
    Image.fromarray(grey).save(tmp_path / "l.png", transparency=255)
    assert [[decode(tmp_path / name, paper)[0, :, 0].tolist() for paper in ("black", "white")] for name in ("deep.png", "la.png", "l.png")] == [
        [[0, 100, 0], [0, 100, 255]], [[0, 100, 0], [255, 100, 255]], [[0, 100, 0], [0, 100, 255]]]


def test_twelve_bits_of_grey_have_their_own_white():
    "Read as sixteen, they were almost black."
    grey = Image.fromarray(np.array([[0, 2048, 4095]], np.uint16))
    assert np.asarray(eight_bits(grey, {258: (12,)}))[0, :, 0].tolist() == [0, 128, 255]
    assert np.asarray(eight_bits(grey, {258: (12,), 262: 0}))[0, :, 0].tolist() == [255, 127, 0]
