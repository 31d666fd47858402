"""Manifests and folders, splits that no person crosses."""
import shutil

from infobottle_dfd.faces.manifest import Face, below, cut, groups, leaks, read_faces, warning, with_splits


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


def test_split_folders(face_folder, tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / split).symlink_to(face_folder)
    rows = read_faces(tmp_path)
    assert {r.split for r in rows} == {"train", "val", "test"} and len(rows) == 180
    assert {r.label for r in rows if "fake" in r.path.parts} == {1}


def test_manifest_reads_what_spreadsheets_write(face_folder, tmp_path):
    "A byte-order mark, CRLF, quotes, absolute and relative paths."
    file = sorted((face_folder / "real").iterdir())[0]
    (tmp_path / "b c.png").write_bytes(file.read_bytes())
    (tmp_path / "m.csv").write_bytes(("\ufeffpath,label,split,video,identity,method\r\n" f'"{file}",0,,v,,\r\n"b c.png",1,,w,,swap').encode())
    rows = read_faces(tmp_path / "m.csv")
    assert [r.label for r in rows] == [0, 1] and rows[1].path == tmp_path / "b c.png" and rows[1].method == "swap"


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


def test_links_that_lead_in_circles(tmp_path, face_folder):
    shutil.copytree(face_folder, tmp_path / "faces")
    (tmp_path / "faces/real/real").symlink_to("../real")
    (tmp_path / "faces/real/up").symlink_to("../..")
    (tmp_path / "faces/real/mate").symlink_to("../fake")                 # somebody's wish: followed, once
    assert len(below(tmp_path / "faces/fake", (".png",))) == 30 and len(below(tmp_path / "faces/real", (".png",))) == 60


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
