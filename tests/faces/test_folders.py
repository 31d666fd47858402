"""Which pictures of a folder are one video, and what else lies in it."""
import shutil
from pathlib import Path

import pytest

from infobottle_dfd.core import InputError
from infobottle_dfd.faces.folders import below, classes, name_of, stem, videos
from infobottle_dfd.faces.manifest import read_faces, read_folder


@pytest.fixture
def put(tmp_path):
    "Makes empty files in a folder of their own."
    def make(*names):
        for name in names:
            (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "set" / name).touch()
        return tmp_path / "set"
    return make


def test_links_that_lead_in_circles(tmp_path, face_folder):
    shutil.copytree(face_folder, tmp_path / "faces")
    (tmp_path / "faces/real/real").symlink_to("../real")
    (tmp_path / "faces/real/up").symlink_to("../..")
    (tmp_path / "faces/real/mate").symlink_to("../fake")                 # somebody's wish: followed, once
    assert len(below(tmp_path / "faces/fake", (".png",))) == 30 and len(below(tmp_path / "faces/real", (".png",))) == 60


@pytest.mark.parametrize("name, right", [("vid01_0000.jpg", "vid01_#"), ("0001.png", "#"), ("anna.jpg", "anna"), ("a1 (2) b.jpg", "a1 (#) b"), ("clip.v2.0007.png", "clip.v2.#")])
def test_stem(name, right):
    assert stem(name) == right


def test_frames_side_by_side_are_videos_and_counted(put):
    "Each frame was a video of its own, without a word."
    said = []
    rows = read_folder(put(*(f"{k}/vid{v}_{i:04}.jpg" for k in ("real", "fake") for v in range(3) for i in range(4))), say=said.append)
    assert len({r.video for r in rows}) == 6 and "24 pictures in flat folders are 6 videos" in said[0]


def test_photographs_stay_as_they_were(put):
    "Names that share nothing, with numbers or without: the video of a row is its own file, as in older runs."
    rows = read_folder(put("real/anna.jpg", "real/bob7.jpg", "fake/cid.jpg", "fake/a/1.jpg", "fake/a/2.jpg"))
    assert [r.video for r in rows] == ["real/anna.jpg", "real/bob7.jpg", "fake/a", "fake/a", "fake/cid.jpg"]


@pytest.mark.parametrize("way, count", [("none", 8), ("stem", 2), ("folder", 2), (r"(\d)\.", 8), (r"^(\w+)_", 2)])
def test_a_stem_that_holds_half_a_class_is_a_question(put, way, count):
    "real_00001.jpg: nothing can be known, and the way out is named."
    root = put(*(f"{k}/{k}_0000{i}.jpg" for k in ("real", "fake") for i in range(4)))
    with pytest.raises(InputError, match="4 of 4 pictures are called real_#.*--group-by none, stem, folder"):
        read_faces(root)
    assert len({r.video for r in read_faces(root, way)}) == count


def test_strange_ways_to_group(put):
    root = put("real/anna.jpg", "fake/bob.jpg")
    for way, word in (("(", "is no regular expression"), (r"\d", "matches nothing in it")):
        with pytest.raises(InputError, match=word):
            read_faces(root, way)


def test_a_group_of_an_expression_names_the_video():
    assert name_of("x/take3_f7.png", r"take(\d)") == "3" and name_of("x/take3_f7.png", r"take\d") == "take3"


def test_splits_by_other_names(put):
    "valid/ beside train/ was dropped in silence, and so was the second of real/ and Real/."
    root = put("train/real/a.png", "train/Real/b.png", "train/fake/c.png", "valid/real/d.png", "valid/fake/e.png")
    assert sorted((r.split, r.label, r.path.name) for r in read_faces(root)) == [("train", 0, "a.png"), ("train", 0, "b.png"), ("train", 1, "c.png"), ("val", 0, "d.png"), ("val", 1, "e.png")]
    put("dev/real/f.png")
    with pytest.raises(InputError, match="dev: holds real/, but is no split"):
        read_faces(root)
    shutil.rmtree(root / "dev")
    put("val/real/g.png")
    with pytest.raises(InputError, match="both are val"):
        classes(root)


def test_what_is_passed_over_is_counted(put):
    said = []
    read_faces(put("real/a.bmp", "real/b.avif", "fake/c.tif", "fake/notes.txt", "fake/clip.mp4"), say=said.append)
    assert said == ["passed over: 1 of .mp4, 1 of .txt"]


def test_a_film_is_never_grouped(put):
    root = put(*(f"real/clip{i}.mp4" for i in range(3)))
    assert len(set(videos(root / "real", below(root), None).values())) == 3


def test_a_folder_that_may_not_be_read_is_not_passed_over(tmp_path, monkeypatch):
    "Its pictures were missing without a word."
    import os
    for name in ("a", "b", "lost+found"):
        (tmp_path / name).mkdir(), (tmp_path / name / "1.png").touch()
    scan = os.scandir
    def closed(path):
        if Path(path).name in ("b", "lost+found"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)
    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(InputError, match="b: Permission denied; ask for the right"):
        below(tmp_path)
    (tmp_path / "b").rename(tmp_path / ".b")
    assert [p.parent.name for p in below(tmp_path)] == ["a"]


def test_a_number_inside_that_alone_differs_is_a_question(put):
    "clip0_frame007_face0.png: every frame was a video of its own, without a word."
    root = put(*(f"{k}/clip{v}_frame{i:03}_face0.png" for k in ("real", "fake") for v in range(3) for i in range(20)), "real/clip0_frame000_face1.png")
    with pytest.raises(InputError, match="59 pictures are called clip#_frame#_face# and differ in an inner number, as clip0_frame001_face#; .*--group-by none, stem, folder"):
        read_faces(root)
    assert [len({r.video for r in read_faces(root, way)}) for way in (r"clip\d", "none")] == [6, 121]


def test_one_frame_a_stem_in_a_few_is_no_question(put):
    "Names of which most differ in more than a number stay photographs."
    assert len({r.video for r in read_faces(put("real/ann_1_1.jpg", "real/bob_2_1.jpg", "real/vid1_1.jpg", "real/vid2_1.jpg", "fake/cid.jpg"))}) == 5


def test_a_group_that_finds_nothing_is_refused(put):
    "It made one video of all."
    root = put("real/anna.jpg", "fake/bob.jpg")
    for way in (r"(\d)?a?", r"\d*"):
        with pytest.raises(InputError, match="matches nothing in it"):
            read_faces(root, way)


@pytest.mark.parametrize("name", ["real/train/a.png", "Fake/Testing/a.png", "train/real/val/a.png"])
def test_a_split_inside_a_class_is_refused(put, name):
    "Each of these folders became one video."
    with pytest.raises(InputError, match=f"{Path(name).parent}: a split inside a class; make it {Path(name).parts[-2]}/{Path(name).parts[-3]}/"):
        classes(put(name, "train/fake/b.png"))


@pytest.mark.parametrize("more, named", [(["fakes/a.png", "Synthetic/b/c.PNG", ".hidden/d.png", "docs/e.txt", "docs/.f.png"], "Synthetic, fakes"), (["train/real/a.png", "val/pristine/b.png", "val/fake/c.png", "dev/genuine/d.png"], "dev, val/pristine"), (["g.png", "h.png", "train/real/a.png", "train/i.jpg"], "g.png, train/i.jpg")], ids=["beside", "in splits", "loose"])
def test_folders_that_are_not_read_are_said(put, more, named):
    "They vanished without a word."
    said = []
    read_folder(put("real/a.png", "fake/b.png", *more), say=said.append)
    assert said == [f"not read, as they lie in neither real/ nor fake/: {named}"]


def test_an_expression_that_begins_with_a_slash_keeps_the_class():
    "Joined to a folder, /07 was a place of its own: real and fake were one film."
    assert name_of("a/07/f.png", r"/\d\d") == "07"
    with pytest.raises(InputError, match="matches nothing"):
        name_of("a/07/f.png", "/")
