"""The faces of one film, their place, and the line about it."""
import pytest

from helpers import FIXED, film
from infobottle_dfd.core import InputError
from infobottle_dfd.faces import cutting


def test_a_cut_off_video_gives_what_is_left(tmp_path, monkeypatch):
    film(tmp_path / "long.avi", frames=60)
    whole = (tmp_path / "long.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[:len(whole) * 2 // 3])
    args = cutting.Prepare(tmp_path, tmp_path / "out", frames=8, size=32, detector="own:find")
    (tmp_path / "own.py").write_text(FIXED)
    monkeypatch.syspath_prepend(tmp_path)
    done = cutting.cut_faces(tmp_path / "cut.avi", "cut", args)
    assert len(done["crops"]) >= 5 and done["problem"] == "breaks off early"


def test_names_become_short_folders():
    assert all(len(part.encode()) <= 100 for name in ("a" * 300, "あ" * 90, "x/" + "Ж" * 99) for part in cutting.folder(name).split("/"))
    assert cutting.folder("Deepfakes/004_982") == "Deepfakes/004_982" and cutting.folder("../a: b") == "_/a_ b"


@pytest.mark.parametrize("line", ["[1, 2]", "3", '{"path": "a"}', '{"path": "a", "crops": {}, "problem": "", "frames": 1, "several": 0}',
                                  '{"path": "a", "crops": ["../mine.png"], "problem": "", "frames": 1, "several": 0}', "\xff",
                                  '{"path": "a", "crops": ["prepare.json"], "problem": "", "frames": 1, "several": 0}', '{"path": "a", "crops": [7], "problem": "", "frames": 1, "several": 0}',
                                  '{"path": "a", "crops": [], "problem": "", "frames": 1, "several": 0, "lost": "x"}',
                                  *('{"path": "a", "crops": ["faces/0.jpg"], "problem": "", "frames": 1, "several": 0, %s}' % more for more in (
                                      '"boxes": 3', '"boxes": [[1, 2, 3]]', '"boxes": [[1, 2, 3, NaN]]', '"boxes": []', '"masks": ["m"]', '"masks": [3], "marked": [0], "origin": ["difference"], "unmarked": {}',
                                      '"masks": ["m"], "marked": ["x"], "origin": ["difference"], "unmarked": {}', '"masks": ["m"], "marked": [0], "origin": [], "unmarked": {}',
                                      '"masks": ["m"], "marked": [0], "origin": ["difference"], "unmarked": {"a": "b"}', '"masks": ["m"], "marked": [0], "origin": ["difference"], "unmarked": [1]')),
                                  '{"path": "a", "crops": ["faces/x.jpg"], "problem": "", "frames": 1, "several": 0, "boxes": [[1, 2, 3, 4]]}'])
def test_lines_that_are_no_outcome(tmp_path, line):
    (tmp_path / "done.jsonl").write_bytes(line.encode("latin-1") + b"\n")
    with pytest.raises(InputError, match="line 1: was not written by"):
        cutting.read_log(tmp_path / "done.jsonl")


def test_what_a_killed_process_left_is_swept(tmp_path, monkeypatch):
    "A draft of a crop stayed in the folder for good."
    film(tmp_path / "a.mp4")
    args = cutting.Prepare(tmp_path, tmp_path / "out", frames=2, size=32, detector="own:find")
    (tmp_path / "own.py").write_text(FIXED)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "out/faces/a/1").mkdir(parents=True), (tmp_path / "out/faces/a/1/.0ab-1.draft").touch(), (tmp_path / "out/faces/a/.0ab-2.draft").touch()
    assert len(cutting.cut_faces(tmp_path / "a.mp4", "a", args)["crops"]) == 2 and not [*(tmp_path / "out").rglob("*.draft")]
