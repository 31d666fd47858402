"""Frames of a film, faces in a frame, a square around a face."""
import numpy as np
import pytest
from PIL import Image

from infobottle_dfd.core import InputError
from infobottle_dfd.faces import video as faces
from infobottle_dfd.faces.folders import below


@pytest.mark.parametrize("there, wanted, right", [(300, 3, [50, 150, 250]), (2, 5, [0, 1]), (0, 5, []), (1, 1, [0])])
def test_moments(there, wanted, right):
    assert faces.moments(there, wanted) == right


def test_frames_are_the_ones_asked_for(films):
    "Every picture of the clip has its own brightness."
    for t, picture in faces.frames(films / "real/c.avi", 4):
        assert abs(picture[60, 150].mean() - (20 + 8 * t)) < 4


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
    _, picture = next(faces.frames(films / "real/a b.mp4", 1))
    (x, y, w, h), = faces.retinaface(picture)
    (X, Y, W, H), = faces.retinaface(np.asarray(Image.fromarray(picture).resize((1280, 960))))
    assert 8 <= x and x + w <= 110 and np.allclose(np.array([X, Y, W, H]) / 8, [x, y, w, h], atol=10)


@pytest.mark.parametrize("error, word", [("No module named 'av'", r"infobottle_dfd\[faces\]"), ("libGL.so.1: cannot open shared object file", "opencv-python-headless")])
def test_without_the_extra(films, monkeypatch, error, word):
    def missing(name):
        raise ImportError(error)
    monkeypatch.setattr(faces.importlib, "import_module", missing)
    with pytest.raises(InputError, match=word):
        list(faces.frames(films / "real/c.avi", 2))


def test_links_are_followed_and_hidden_files_passed_over(films, tmp_path):
    (tmp_path / "store").mkdir()
    (films / "fake/d.mkv").rename(tmp_path / "store/blob")
    (films / "fake/d.mkv").symlink_to(tmp_path / "store/blob")
    (films / "real/._c.avi").write_bytes(b"x")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/inside").symlink_to(films)
    assert [p.name for p in below(tmp_path / "linked", (".avi", ".mkv"))] == ["d.mkv", "c.avi"]
    assert len(list(faces.frames(films / "fake/d.mkv", 3))) == 3
