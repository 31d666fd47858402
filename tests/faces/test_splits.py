"""Splits that no person and no video crosses."""
import shutil
from pathlib import Path

import pytest

from infobottle_dfd.core import InputError
from infobottle_dfd.faces.manifest import Face, read_faces
from infobottle_dfd.faces.splits import cut, groups, leaks, warning, with_splits


def test_no_unit_in_two_parts():
    rows = [Face(f"{i}.png", i % 2, video=f"v{i // 4}", identity=f"p{i // 8}") for i in range(160)]
    parts = cut(rows, {"val": .15, "test": .15})
    people = {name: {r.identity for r in part} for name, part in parts.items()}
    assert sum(map(len, people.values())) == 20 and set.union(*people.values()) == {r.identity for r in rows}
    assert len(people["val"]) == len(people["test"]) == 3 and sum(map(len, parts.values())) == 160


def test_val_is_cut_from_train_and_test_is_left_alone():
    rows = [Face(f"{i}.png", i % 2, "test" if i < 20 else "train", video=str(i // 2)) for i in range(100)]
    parts = with_splits(rows, "x.csv")
    assert parts["test"] == rows[:20] and parts["val"] and not set(parts["val"]) & set(parts["train"])


def test_the_cut_does_not_depend_on_how_a_path_is_written(tmp_path, face_folder, monkeypatch):
    "A manifest that mixes absolute and relative paths, called by its absolute name and by a relative one."
    shutil.copytree(face_folder, tmp_path / "mx/own")
    files = sorted((tmp_path / "mx/own").rglob("*.png"))
    lines = "".join(f"{p if i % 2 else p.relative_to(tmp_path / 'mx')},{int(p.parent.name == 'fake')},,,,\n" for i, p in enumerate(files))
    (tmp_path / "mx/m.csv").write_text("path,label,split,video,identity,method\n" + lines)
    monkeypatch.chdir(tmp_path)
    parts = [{s: [r.path.resolve() for r in part] for s, part in with_splits(read_faces(m), m).items()} for m in ("mx/m.csv", tmp_path / "mx/m.csv")]
    assert parts[0] == parts[1]
    rows = [r._replace(split=s) for s in ("train", "test") for r in read_faces("mx/m.csv")[:2]]
    assert len(leaks(rows)["picture"]) == 2


def test_groups_follow_people_through_swaps():
    rows = [Face("a", 0, identity="p"), Face("b", 1, identity="p+q"), Face("c", 1, identity="q+r"), Face("d", 0, video="v"), Face("e", 1, video="v"), Face("f", 0)]
    assert groups(rows).tolist() == [0, 0, 0, 1, 1, 2]


def test_a_giant_group_stays_in_train():
    rows = [Face(f"g{i}", i % 2, identity=f"a{i}+a{i + 1}") for i in range(80)] + [Face(f"s{i}", i % 2, video=f"v{i // 2}") for i in range(20)]
    parts = cut(rows, {"val": .15})
    assert 10 <= len(parts["val"]) <= 20 and all(r.video for r in parts["val"]) and cut(rows[::-1], {"val": .15}).keys() == parts.keys()


def test_warning_names_and_counts():
    rows = [Face(f"{k}{s}", 0, s, identity=f"p{k}") for k in range(5) for s in ("train", "test")]
    assert warning(rows) == "warning: 5 identity names (p0, p1, p2, ...) in more than one split; scores may be memory"


def test_rows_of_test_only_are_refused_in_a_sentence():
    "A manifest without a training row ended in a traceback of numpy."
    with pytest.raises(InputError, match="pictures in the train split"):
        with_splits([Face(f"{i}.png", i % 2, "test", str(i)) for i in range(4)], "m.csv")


def test_no_video_of_a_flat_folder_stands_in_two_splits(tmp_path):
    "44 videos of 5 frames side by side: cut by picture, as before, every test video was in train, too."
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        for v in range(22):
            for k in range(5):
                (tmp_path / label / f"vid{v:02}_{k:04}.jpg").touch()
    parts = with_splits(read_faces(tmp_path), tmp_path)
    films = {name: {r.path.name[:5] + r.path.parent.name for r in part} for name, part in parts.items()}
    assert sum(map(len, films.values())) == 44 and len(set.union(*films.values())) == 44 and films["test"]


def test_a_fake_and_its_source_are_one_group():
    "Where no name of a person tells it, as in DFDC, the source does: in groups, in a cut, in the check for leaks."
    real = [Face(f"r{k}", 0, video=f"real/{k}") for k in range(40)]
    fake = [Face(f"f{k}", 1, video=f"fake/{k}", source=f"real/{k}") for k in range(40)]
    assert (groups(real + fake)[:40] == groups(real + fake)[40:]).all()
    for part in cut(real + fake, {"val": .2}).values():
        assert {r.video for r in part if not r.label} == {r.source for r in part if r.label}
    torn = [real[0]._replace(split="train"), fake[0]._replace(split="test")]
    assert leaks(torn)["video"] == ["real/0"] and "real/0" in warning(torn)


def test_people_of_a_film_share_its_split():
    rows = [Face(Path(f"{k}{i}"), k % 2, video=f"clip{k}#{i}") for k in range(20) for i in (1, 2, 3)]
    for part in cut(rows, {"val": .2, "test": .2}).values():
        assert len(part) == 3 * len({r.film for r in part})
    assert warning([rows[0]._replace(split="train"), rows[1]._replace(split="test")]).startswith("warning: 1 video name (clip0)")
