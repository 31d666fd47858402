"""Faces in a frame, a square around a face."""
import numpy as np
import pytest
from PIL import Image

from infobottle_dfd.faces import detector as faces
from infobottle_dfd.faces.clues import ClueFaces
from infobottle_dfd.faces.video import frames


@pytest.mark.parametrize("box", [(-30, -30, 60, 60), (140, 100, 60, 60), (0, 0, 400, 400), (70, 50, 4, 4)])
def test_crop_stays_inside(box):
    picture = np.full((120, 160, 3), 200, np.uint8)
    assert np.asarray(faces.crop(picture, box, .2, 32)).min() == 200            # no black border


def test_crop_is_centred():
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[80:120, 60:140] = 255                                               # a bar 80 wide, 40 high
    out = np.asarray(faces.crop(picture, (60, 80, 80, 40), .25, 120)).astype(int)[..., 0]
    assert np.abs(out - out[::-1]).max() < 3 and np.abs(out - out[:, ::-1]).max() < 3 and out[60].mean() == pytest.approx(255 * 80 / 120, rel=.03)


def test_retinaface_finds_drawn_faces_in_large_and_small_pictures(films):
    _, picture, *_ = next(frames(films / "real/a b.mp4", 1))
    (x, y, w, h), = faces.retinaface(picture)
    (X, Y, W, H), = faces.retinaface(np.asarray(Image.fromarray(picture).resize((1280, 960))))
    assert 8 <= x and x + w <= 110 and np.allclose(np.array([X, Y, W, H]) / 8, [x, y, w, h], atol=10)


@pytest.mark.parametrize("high, wide, face", [(1080, 1920, 70), (2160, 3840, 120)])
def test_small_faces_in_large_frames(high, wide, face):
    "At 640 pixels alone nothing was found below 80 in full HD, 160 in 4K."
    drawn = ClueFaces(2, 110, seed=5).x[1].permute(1, 2, 0).numpy()
    picture = np.full((high, wide, 3), 120, np.uint8)
    picture[300:300 + face, 900:900 + face] = np.asarray(Image.fromarray(drawn).resize((face, face), Image.LANCZOS))
    assert not faces.look_at(picture, 640)
    (x, y, w, h), = faces.retinaface(picture)
    assert 880 < x < 900 + face and 280 < y < 300 + face and .4 * face < h < 1.3 * face


def test_a_detector_that_leaves(films):
    "sys.exit(0) in somebody's detector ended the command as if all were well."
    (films.parent / "leaves.py").write_text("import sys\ndef find(picture): sys.exit(0)\n")
    with pytest.raises(faces.DetectorError, match="SystemExit"):
        faces.load_detector("leaves:find")(np.zeros((9, 9, 3), np.uint8))


def test_a_detector_gets_a_picture_of_its_own():
    "What it writes into it is not cut; a box that no picture has is its fault."
    from infobottle_dfd.faces.detector import DetectorError, guarded

    def black(picture):
        picture[:] = 0
        return [(2, 2, 9, 9)]
    picture = np.full((20, 20, 3), 99, np.uint8)
    assert guarded(black, "own:black")(picture) == [(2, 2, 9, 9)] and picture.min() == 99
    with pytest.raises(DetectorError, match="four numbers of a picture"):
        guarded(lambda _: [(-1e9, -1e9, 3e9, 3e9)], "own:huge")(picture)
