"""Benchmarks in their official layouts, with everything that goes wrong on disks: capitals, spaces, CRLF, missing files, turned labels."""
import json
from pathlib import Path

import pytest

from infobottle_dfd.core import InputError
from infobottle_dfd.faces.benchmarks import read_benchmark
from infobottle_dfd.faces.celeb import celeb_df
from infobottle_dfd.faces.forensics import FF_METHODS, FF_SPLIT
from infobottle_dfd.faces.readers import by_name, inventory
from infobottle_dfd.faces.splits import leaks


@pytest.fixture
def tree(tmp_path):
    "Makes a folder with a space in its name, holding empty files and small texts."
    def make(*files, **texts):
        for name in (*files, *texts):
            path = tmp_path / "a set" / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(texts[name].encode() if name in texts else b"")
        return tmp_path / "a set"
    return make


def celeb(tree, text, *more):
    root = tree("Celeb-real/id0_0000.mp4", "Celeb-real/id1_0000.mp4", "YouTube-real/00170.mp4", "Celeb-synthesis/id0_id1_0000.mp4", "Celeb-synthesis/id2_id3_0001.mp4", *more)
    (root / "List_of_testing_videos.txt").write_bytes(text)
    return root


def test_faceforensics(tree):
    "Four methods share a name; raw counts as c0; folders are found one level too deep and in capitals."
    fakes = [f"Data/manipulated_sequences/{m}/c23/videos/{v}.MP4" for m in FF_METHODS for v in ("000_003", "003_000", "719_720")]
    root = tree(*fakes, "Data/original_sequences/youtube/C23/videos/000.mp4", "Data/original_sequences/youtube/raw/videos/001.mp4", "Data/original_sequences/actors/c23/videos/hugging.mp4")
    found = read_benchmark(root)
    assert len(found.rows) == 9 and len({r.video for r in found.rows}) == 9                 # 719_720 is no official pair
    assert {r.split for r in found.rows} == {"test"} and {r.identity for r in found.rows} == {"000", "000+003", "003+000"}
    assert sorted({r.method for r in found.rows}) == ["", *FF_METHODS] and all(r.label == bool(r.method) for r in found.rows)
    assert "4 files with strange names, or of two splits at once" in inventory(found) and "left out: 1 files of actors (--reader dfd)" in inventory(found) and not leaks(found.rows)["identity"]
    assert [r.video for r in read_benchmark(root, "c0").rows] == ["youtube/001"]
    with pytest.raises(InputError, match="compression c40; there are: compressions c23, raw"):
        read_benchmark(root, "c40")
    with pytest.raises(InputError, match="choose c0, c23 or c40"):
        read_benchmark(root, "c41")


def test_official_split_is_closed_under_pairs():
    assert [list(FF_SPLIT.values()).count(s) for s in ("train", "val", "test")] == [720, 140, 140]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_celeb_df_writes_1_for_real(tree, end):
    root = celeb(tree, b"1 YouTube-real/00170.mp4" + end + b"0 celeb-synthesis/id0_id1_0000.mp4" + end + b"1 Celeb-real/id0_0000.mp4")     # no final newline
    rows = {r.video: r for r in read_benchmark(root).rows}
    assert {v: r.label for v, r in rows.items() if r.split == "test"} == {"youtube-real/00170": 0, "celeb-synthesis/id0_id1_0000": 1, "celeb-real/id0_0000": 0}
    assert rows["celeb-synthesis/id2_id3_0001"].identity == "id2+id3" and rows["youtube-real/00170"].identity == ""


def test_celeb_df_says_what_is_missing_and_what_leaks(tree):
    "Version 2 by the length of its list; a person in train and test is named; val is cut by connected groups, never from test."
    lines = [f"0 Celeb-synthesis/id{k}_id{k + 1}_0009.mp4" for k in range(400)] + ["0 Celeb-synthesis/id0_id1_0000.mp4"]
    more = [f"Celeb-synthesis/id{k}_id{k + 1}_0000.mp4" for k in range(20, 60, 2)] + [f"Celeb-real/id{k}_0000.mp4" for k in range(20, 60)]
    found = read_benchmark(celeb(tree, "\n".join(lines).encode(), *more))
    text = inventory(found)
    assert found.name == "Celeb-DF-v2" and "400 of 401 listed test videos" in text and "2 identity names (id0, id1) and 1 video name (celeb-real/id0_0000) in more than one split" in text
    part = {s: [r for r in found.rows if r.split == s] for s in ("train", "val", "test")}
    assert {r.label for r in part["val"]} == {0, 1} and [r.video for r in part["test"]] == ["celeb-synthesis/id0_id1_0000"]
    assert not leaks(part["train"] + part["val"])["identity"] and "cut with seed 0 from train's" in text
    assert "712" in text and sum(map(len, part.values())) == len(found.rows)


@pytest.mark.parametrize("text, word", [(b"1 Celeb-synthesis/id0_id1_0000.mp4", "line 1.*1 means real"), (b"\n0 YouTube-real/00170.mp4", "line 2"), (b"2 Celeb-real/id0_0000.mp4", "line 1"),
                                        (b"1 YouTube-real/00170.mp4\n1 FaceSwap/BlendFace/id1_id0_0007.mp4", "line 2.*a path begins with")])
def test_celeb_df_with_turned_labels(tree, text, word):
    with pytest.raises(InputError, match=word):
        read_benchmark(celeb(tree, text))


def test_celeb_df_without_its_list(tree):
    with pytest.raises(InputError, match="List_of_testing_videos.txt is missing"):
        read_benchmark(tree("Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4"))


def test_dfdc_preview(tree):
    about = {"method_A/1/x y.mp4": {"label": "fake", "set": "test", "augmentations": ["fps:15"], "target_id": "1", "swapped_id": "2", "source_video": "s"},
             "original_videos/1/r.mp4": {"label": "real", "set": "train", "target_id": "1", "swapped_id": None}, "original_videos/3/gone.mp4": {"label": "real", "set": "train", "target_id": "3"}}
    root = tree("Method_A/1/X y.mp4", "original_videos/1/r.mp4", **{"dataset.json": json.dumps(about)})
    found = read_benchmark(root)
    assert [(r.label, r.split, r.identity, r.method) for r in found.rows] == [(1, "test", "1+2", "method_A"), (0, "train", "1", "")]
    assert "missing: 1 videos of dataset.json, such as original_videos/3/gone.mp4" in inventory(found) and "identity name (1)" in inventory(found) and "4118" in inventory(found)
    about["method_A/1/x y.mp4"]["label"] = "FAKE?"
    with pytest.raises(InputError, match="lacks label"):
        read_benchmark(tree(**{"dataset.json": json.dumps(about)}))
    with pytest.raises(InputError, match="damaged"):
        read_benchmark(tree(**{"dataset.json": json.dumps(about)[:-9]}))


def test_dfdc(tree):
    "val is made of whole folders; labels.csv writes 1 for fake; files that are missing are counted per folder."
    texts = {}
    for k in range(10):
        about = {f"f{k}.mp4": {"label": "FAKE", "split": "train", "original": f"r{k}.mp4"}, f"r{k}.mp4": {"label": "REAL", "split": "train", "original": None}, f"g{k}.mp4": {"label": "REAL", "split": "train"}}
        texts[f"dfdc_train_part_{k}__metadata.json"] = json.dumps(about)
    texts["test__labels.csv"] = "\ufefffilename,label\r\nA.mp4,1\r\nb.mp4,0\r\nc.mp4,0"
    root = tree(*(f"dfdc_train_part_{k}/{v}{k}.mp4" for k in range(10) for v in "fr"), "test/videos/a.mp4", "test/videos/B.mp4", **texts)
    found = read_benchmark(root)
    folders = {s: {r.identity for r in found.rows if r.split == s} for s in ("train", "val", "test")}
    assert len(folders["val"]) == 2 and len(folders["train"]) == 8 and not folders["val"] & folders["train"]
    assert {r.video: r.label for r in found.rows if r.split == "test"} == {"test/a.mp4": 1, "test/b.mp4": 0}
    text = inventory(found)
    assert "1 of 3 test videos, such as c.mp4" in text and "1 of 3 videos of dfdc_train_part_0, such as g0.mp4" in text and "10 of 50 training folders" in text and "99990" in text
    (root / "test/labels.csv").write_text("filename,label\na.mp4,FAKE\n")
    with pytest.raises(InputError, match="1 fake or 0 real"):
        read_benchmark(root)


def bench(tree, splits, label="FF-DF", frames=("3.png", "20.png")):
    content = {s: {"c23": {v: {"label": label, "frames": [f"ff\\{v}\\{f}" for f in frames]} for v in videos}} for s, videos in splits.items()}
    videos = {v for names in splits.values() for v in names}
    root = tree(**{f"datasets__rgb__ff__{v}__{f}": "a picture" for v in videos for f in frames}, **{"preprocessing__FF.json": json.dumps({"FF": {label: content}})})
    return root / "preprocessing/FF.json"


def test_deepfakebench(tree):
    "Windows paths, frames in the order of numbers, compressions; two of its faults are mended and named."
    found = read_benchmark(bench(tree, {"train": ["a", "b", "c"], "val": ["b"], "test": ["c"]}))
    assert [(r.video, r.split, r.path.name) for r in found.rows if r.split == "test"] == [("FF-DF/c", "test", "3.png"), ("FF-DF/c", "test", "20.png")]
    assert {r.split for r in found.rows if r.video == "FF-DF/b"} == {"train"} and {r.label for r in found.rows} == {1} and found.cropped
    assert "1 of 3 train videos of this list stand in test too" in inventory(found) and "1 of 1 val videos of this list stand in train too" in inventory(found)


def test_masks_of_a_list_lie_beside_its_frames(tree):
    "Of fakes alone, the last `frames` of the path, and only where the file is there and holds something."
    rows = {label: {"train": {"c23": {v: {"frames": [f"frames/{label}/frames/{v}/{k}.png" for k in (1, 2)]}}}} for label, v in (("FF-DF", "000_003"), ("FF-real", "000"))}
    root = tree("frames/FF-DF/masks/000_003/2.png", **{f"{name.replace('/', '__')}.png": "a mask" for name in ("frames/FF-DF/masks/000_003/1", "frames/FF-real/masks/000/1", "masks/FF-DF/frames/000_003/2")},
                **{f"frames__{n}__frames__{v}__{k}.png": "a picture" for n, v in (("FF-DF", "000_003"), ("FF-real", "000")) for k in (1, 2)}, **{"FF.json": json.dumps({"FF": rows})})
    found = read_benchmark(root / "FF.json")
    assert {(r.video, r.path.name): Path(r.mask) for r in found.rows if r.mask} == {("FF-DF/000_003", "1.png"): root / "frames/FF-DF/masks/000_003/1.png"}
    assert "masks: 1 of 2 fakes have one of the list's" in inventory(found)


@pytest.mark.parametrize("spoil, word", [({"FF": {"FF-XX": {}}}, "label 'FF-XX' is none of"), ({"FF": {"FF-DF": {"train": {"v": {}}}}}, "not in DeepfakeBench's form"), ({"FF": 3}, "damaged, or no description"), ({}, "lists nothing of compression")], ids=str)
def test_strange_deepfakebench(tree, spoil, word):
    with pytest.raises(InputError, match=word):
        read_benchmark(tree(**{"x.json": json.dumps(spoil)}) / "x.json")


def test_plain_folder_and_nothing(tree):
    found = read_benchmark(tree("real/a b.MOV", "real/c.mp4", "fake/d.mp4", "fake/person/1.png", "fake/person/2.png"))
    assert [r.video for r in found.rows] == ["real/a b.MOV", "real/c.mp4", "fake/d.mp4", "fake/person", "fake/person"]
    for what, word in (("nowhere", "no such file or folder"), ("fake", "no benchmark here")):
        with pytest.raises(InputError, match=word):
            read_benchmark(tree() / what)


def test_real_beside_train_is_refused(tree):
    tree("train/real/a.mp4", "train/fake/b.mp4", "test/real/c.mp4", "test/fake/d.mp4", "Real/e.mp4")
    with pytest.raises(InputError, match="some have none.*folders: all in train/, val/ or test/"):
        read_benchmark(tree())
    assert len(read_benchmark(tree() / "train").rows) == 2


@pytest.mark.parametrize("text, word", [(b"", "is empty"), ("é".encode("latin-1"), "not plain text")])
def test_celeb_df_with_a_broken_list(tree, text, word):
    with pytest.raises(InputError, match=word):
        read_benchmark(celeb(tree, text))


def test_copies_and_two_versions_are_refused(tree):
    root = tree(*(f"{d}manipulated_sequences/Deepfakes/c23/videos/000_003.mp4" for d in ("", "backup/")))
    with pytest.raises(InputError, match="the same video twice"):
        read_benchmark(root)
    two = celeb(tree, b"1 YouTube-real/00170.mp4", "other/Celeb-real/id0_0000.mp4", "other/List_of_testing_videos.txt")
    with pytest.raises(InputError, match="one version of Celeb-DF at a time"):
        celeb_df(two)


def test_a_part_folder_as_the_current_one(tree, monkeypatch):
    about = {f"{k}.mp4": {"label": ("REAL", "FAKE")[k % 2], "split": "train"} for k in range(8)}
    root = tree(*(f"dfdc_train_part_3/{k}.mp4" for k in range(8)), **{"dfdc_train_part_3__metadata.json": json.dumps(about)})
    monkeypatch.chdir(root / "dfdc_train_part_3")
    found = read_benchmark(".")
    assert {r.identity for r in found.rows} == {"dfdc_train_part_3"} and {r.split for r in found.rows} == {"train"}


def put(root, *names):
    "Empty files whose names may hold two underscores."
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_dfd_and_faceshifter_are_sets_of_their_own(tmp_path):
    "Both lie in FaceForensics++'s folders; neither was read."
    real, fake = "original_sequences/{}/c23/videos/{}.mp4".format, "manipulated_sequences/{}/c23/videos/{}.mp4".format
    root = put(tmp_path, real("youtube", "000"), real("actors", "01__walking_outside"), real("actors", "02__walking_outside"), fake("FaceShifter", "000_003"),
               fake("Deepfakes", "000_003"), fake("DeepFakeDetection", "01_02__walking_outside__ABCD1234"))
    assert {r.method for r in read_benchmark(root).rows} == {"", "Deepfakes"}
    found = read_benchmark(root, name="dfd")
    assert [(r.label, r.identity, r.source) for r in found.rows] == [(1, "actor01+actor02", "actors/01__walking_outside"), (0, "actor01", ""), (0, "actor02", "")] and {r.split for r in found.rows} == {""}
    assert "3067" in inventory(found) and found.rows[0].source in {r.video for r in found.rows}
    found = read_benchmark(root, name="faceshifter")
    assert {(r.split, r.method) for r in found.rows} == {("test", ""), ("test", "FaceShifter")}
    with pytest.raises(InputError, match="unknown reader 'dff'; choose one of .*dfd, faceshifter"):
        read_benchmark(root, name="dff")


@pytest.mark.parametrize("frames", [False, True], ids=["films", "frames"])
def test_flat_copies_of_faceforensics(tree, frames):
    "original/, Deepfakes/, ... as people pass them on, as films or as frames only: the official splits, by number."
    names = [f"{k}/{v}" for k, v in (("original", "000"), ("original", "004"), ("Deepfakes", "000_003"), ("NeuralTextures", "000_003"), ("FaceShifter", "000_003"), ("DeepFakeDetection", "x"))]
    root = tree(*(f"FaceForensics++_C23/{n}/{k:04}.png" for n in names for k in range(3)) if frames else (f"FaceForensics++_C23/{n}.mp4" for n in names))
    found = read_benchmark(root)
    assert {(r.video, r.split) for r in found.rows} == {("youtube/000", "test"), ("youtube/004", "val"), ("Deepfakes/000_003", "test"), ("NeuralTextures/000_003", "test")}
    assert len(found.rows) == 4 * (3 if frames else 1) and "left out" in inventory(found) and "a copy" in found.name


def test_frames_in_the_official_layout(tree):
    root = tree(*(f"original_sequences/youtube/c23/frames/000/{k:03}.png" for k in range(2)), *(f"manipulated_sequences/Deepfakes/c23/frames/000_003/{k:03}.png" for k in range(2)))
    assert [r.video for r in read_benchmark(root).rows] == ["Deepfakes/000_003"] * 2 + ["youtube/000"] * 2


def test_celeb_df_plus_plus(tree):
    "It was called version 1, and the files that are there were called missing."
    files, listed = [], []
    for i in range(6):
        files += [f"Celeb-real/id{i}_0000.mp4", f"YouTube-real/{i:05}.mp4"]
        listed += [f"1 {f}" for f in files[-2:]] * (i < 2)
        for s, m in (("FaceSwap", "Celeb-DF"), ("FaceSwap", "SimSwap"), ("FaceReenact", "LIA"), ("TalkingFace", "SadTalker")):
            files.append(f"Celeb-synthesis/{s}/{m}/id{i}_id{(i + 1) % 6}_0000.mp4")
            listed += [f"0 {files[-1]}"] * (i < 2)
    found = read_benchmark(tree(*files, **{"List_of_testing_videos.txt": "\n".join(listed)}))
    test = [r for r in found.rows if r.split == "test"]
    assert found.name == "Celeb-DF++" and len(found.rows) == 36 == len({r.video for r in found.rows}) and len(test) == 12 and not any(n.startswith("missing") for n in found.notes)
    assert {r.method for r in found.rows} == {"", "Celeb-DF", "SimSwap", "LIA", "SadTalker"} and {r.source for r in test if r.label} <= {r.video for r in found.rows}
    text = inventory(found)
    assert all(f"{m:18}test{2:12}{n:10}" in text for m, n in (("SimSwap", 200), ("LIA", 200), ("SadTalker", 300), ("Celeb-DF", 340)))


def test_a_list_one_level_deeper(tree):
    "Celeb-DF++ and DF40 in DeepfakeBench's form: label, split, method, video; labels by their ending."
    video = lambda where, name: {name: {"label": "x", "frames": [f"{where}\\{name}\\{k}.png" for k in (2, 10)]}}
    content = {"Celeb-DF-v3": {"CelebDFv3_real": {"train": video("cdf", "id0_0000")}, "CelebDFv3_fake": {"train": {m: video(m, "id0_id1_0000") for m in ("FSRT", "LIA")}}}}
    root = tree(**{f"{v}__{k}.png": "a picture" for v in ("cdf__id0_0000", "FSRT__id0_id1_0000", "LIA__id0_id1_0000") for k in (2, 10)}, **{"Celeb-DF-v3.json": json.dumps(content)})
    rows = read_benchmark(root / "Celeb-DF-v3.json").rows
    assert len(rows) == 6 and {(r.video, r.method) for r in rows if r.label} == {(f"CelebDFv3_fake/{m}/id0_id1_0000", m) for m in ("FSRT", "LIA")}
    assert {r.identity for r in rows} == {"id0", "id0+id1"}


def test_df40(tree):
    "Windows paths that start at a folder spelled otherwise, mixed sets, missing frames, empty pictures, val and test that meet."
    path = "deepfakes_detection_datasets\\DF40_train\\simswap\\frames\\{}\\{:03}.png".format
    video = lambda name, n: {name: {"frames": [path(name, k) for k in range(n)]}}
    content = {"simswap_ff": {"simswap_Fake": {"train": video("001_870", 4), "val": video("002_006", 2), "test": video("002_006", 2) | video("003_000", 2)},
                              "simswap_Real": {"train": {"001": {"frames": ["deepfakes_detection_datasets/FaceForensics++/original_sequences/youtube/c23/frames/001/000.png"]}}}}}
    at = "deepfake_detection_datasets__DF40_train__simswap__frames__{}__{:03}.png".format
    there = {at("001_870", k): "a picture" for k in range(3)} | {at("002_006", k): "a picture" for k in range(2)} | {at("003_000", 0): "", at("003_000", 1): "a picture"}
    there["deepfake_detection_datasets__FaceForensics++__original_sequences__youtube__c23__frames__001__000.png"] = "a picture"
    root = tree(**there, **{"dataset_json__simswap_ff.json": json.dumps(content)})
    found = read_benchmark(root / "dataset_json/simswap_ff.json")
    text = inventory(found)
    assert len(found.rows) == 3 + 2 + 1 + 1 and "missing: 1 of 9 frames, such as" in text and "left out: 1 empty pictures, as" in text
    assert {r.identity for r in found.rows} == {"001", "001+870", "002+006", "003+000"} and {r.split for r in found.rows if "002_006" in r.video} == {"test"}


def test_dfdc_sample(tree):
    "400 films of many people in one folder counted as one person; a fake belongs to its original."
    about = {f"r{k}.mp4": {"label": "REAL", "split": "train", "original": None} for k in range(10)}
    about |= {f"f{k}.mp4": {"label": "FAKE", "split": "train", "original": f"r{k % 10}.mp4"} for k in range(40)}
    root = tree(*(f"train_sample_videos/{n}" for n in about), **{"train_sample_videos__metadata.json": json.dumps(about)})
    found = read_benchmark(root)
    assert found.name == "DFDC sample" and {r.split for r in found.rows} == {""} and len({r.identity for r in found.rows}) == 10
    assert {r.source for r in found.rows if r.label} == {r.video for r in found.rows if not r.label} and "50 of the 400 videos" in inventory(found)


@pytest.mark.parametrize("names, word", [
    (["original_sequence/youtube/c23/videos/000.mp4"], "nearest is FaceForensics.., which has original_sequences"), (["Celeb_real/id0_0000.mp4", "Celeb_synthesis/x.mp4"], "nearest is Celeb-DF.*here is Celeb_real, Celeb_synthesis"),
    (["a/b/c/Celeb-real/id0_0000.mp4"], "nearest is Celeb-DF.*here is a/b/c/Celeb-real"), (["holiday/1.mp4"], "known are .*Celeb-DF .celeb-real")], ids=["a letter", "two names", "too deep", "none"])
def test_the_nearest_layout_is_named(tree, names, word):
    with pytest.raises(InputError, match=f"no benchmark here; {word}"):
        read_benchmark(tree(*names))


def test_a_reader_is_a_function_under_a_line(tree):
    "One's own benchmark, from one decorator; it takes of the options what it names."
    from infobottle_dfd.faces import readers
    from infobottle_dfd.faces.manifest import Face

    @readers.reader("mine", "my films", "genuine", "forged", least=2)
    def mine(root, compression):
        return readers.Found(f"mine {compression}", [Face(p, int(p.parent.name == "forged"), "", p.stem) for p in by_name(root).values()], [], {})
    try:
        assert read_benchmark(tree("genuine/a.mp4", "forged/b.mp4"), "c40").name == "mine c40"
    finally:
        del readers.READERS["mine"]


def test_names_that_differ_in_capitals_alone(tmp_path):
    "One of the two was passed over without a word."
    for name in ("a.mp4", "A.mp4"):
        (tmp_path / name).touch()
    if len(list(tmp_path.iterdir())) == 2:                                  # not on every disk
        with pytest.raises(InputError, match="differ in capitals alone"):
            by_name(tmp_path)


def test_a_frame_that_a_list_calls_real_and_fake(tree):
    "Its last label was kept, without a word."
    content = {"D": {label: {"train": {v: {"frames": ["x/1.png"]}}} for label, v in (("FF-real", "000"), ("FF-DF", "000_003"))}}
    path = tree(**{"x__1.png": "a picture", "D.json": json.dumps(content)}) / "D.json"
    with pytest.raises(InputError, match=r"D.json: .*x/1.png is listed as real and as fake \(videos FF-real/000 and FF-DF/000_003\)"):
        read_benchmark(path)


@pytest.mark.parametrize("order", [("train", "test"), ("test", "train")], ids=str)
def test_a_frame_of_two_videos_is_kept_out_of_train(tree, order):
    "The last line of a list decided whether a frame of test was trained on."
    content = {"D": {"FF-DF": {s: {v: {"frames": ["x/1.png", f"x/{v}.png"]}} for s, v in zip(order, "ab")}}}
    root = tree(**{f"x__{k}.png": "a picture" for k in ("1", "a", "b")}, **{"D.json": json.dumps(content)})
    found = read_benchmark(root / "D.json")
    assert {r.path.name: r.split for r in found.rows} == {"1.png": "test", "a.png": order[0], "b.png": order[1]}
    assert "1 frames of this list stand in another video too" in inventory(found)


def test_a_list_beside_many_files(tree):
    "Of 200 names beside it, those were looked at that came first."
    from infobottle_dfd.faces.lists import home
    from infobottle_dfd.faces.manifest import Face
    root = tree(*(f"{k}.txt" for k in range(1000)), *(f"a{k}/1.txt" for k in range(50)), "other name/ff/1.png")
    assert home(root / "D.json", [Face(Path("their name/ff/1.png"), 1)]) == (root / "other name", 1)


@pytest.mark.parametrize("names", [("original/004.mp4", "original/004/1.png", "original/004/2.png", "deepfakes/004_982/1.png"), ("original_sequences/youtube/c23/videos/004.mp4", "original_sequences/youtube/c23/frames/004/1.png"), ("real/a/1.png", "real/a.mp4", "fake/b.mp4")], ids=["flat", "official", "plain"])
def test_a_film_beside_its_frames_is_refused(tree, names):
    "One video counted as two, and one of one's own could stand in two splits."
    with pytest.raises(InputError, match="the same video twice, as a film and as its frames; take one of them out"):
        read_benchmark(tree(*names))


@pytest.mark.parametrize("sign, name", [("metadata.json", "dfdc"), ("Labels.csv", "dfdc"), ("dataset.json", "dfdc-preview")])
def test_a_sign_among_thousands_of_films(tree, sign, name):
    "It was seen only if the disk named it among the first thousand."
    from infobottle_dfd.faces.readers import fitting
    for folder in ("", "test/"):
        root = tree(*(f"{folder}{k:04}.mp4" for k in range(1500)), *(f"{folder}zz{k:04}.mp4" for k in range(1500)), f"{folder}{sign}")
        assert fitting(root) == name
        (root / folder / sign).unlink()


@pytest.mark.parametrize("first", ["test", "train"])
def test_the_val_of_dfdc_is_a_video_in_place_of_videos(tree, first):
    "As DeepfakeBench's own script writes it, before or after the videos of train: the list was refused."
    video = lambda k, label: {"label": label, "frames": [f"DFDC\\test\\frames\\{k}\\{i}.png" for i in (2, 10)]}
    content = {label: {"train": {x: video(x, label)}, "test": {y: video(y, label), z: video(z, label)}, "val": video(z, label) | ({x: video(x, label)} if first == "test" else {})} for label, (x, y, z) in {"DFDC_Real": "abc", "DFDC_Fake": "def"}.items()}
    root = tree(**{f"DFDC__test__frames__{k}__{i}.png": "a picture" for k in "abcdef" for i in (2, 10)}, **{"DFDC.json": json.dumps({"DFDC": content})})
    found = read_benchmark(root / "DFDC.json")
    assert {(r.video.split("/")[1], r.split) for r in found.rows} == {("a", "train"), ("d", "train"), *((k, "test") for k in "bcef")} and len(found.rows) == 12
    assert "val videos of this list stand in test too" in inventory(found)


def test_films_that_no_list_names_are_said(tree, tmp_path):
    "Celeb-DF and DFDC passed them over without a word."
    text = inventory(read_benchmark(celeb(tree, b"1 YouTube-real/00170.mp4", "Celeb-synthetic/id0_id1_0002.mp4")))
    assert "left out: 1 films outside Celeb-DF's folders, such as celeb-synthetic/id0_id1_0002.mp4" in text
    for name, listed, what in (("dataset.json", {"original_videos/1/r.mp4": {"label": "real", "set": "train", "target_id": 1}}, "dataset.json"), ("dfdc_train_part_3/metadata.json", {"r.mp4": {"label": "REAL", "split": "train"}}, "dfdc_train_part_3's metadata.json")):
        root = put(tmp_path / what, *(str(Path(name).parent / k) for k in listed), str(Path(name).parent / "other.mp4"))
        (root / name).write_text(json.dumps(listed))
        assert f"left out: 1 films that {what} does not list, such as other.mp4" in inventory(read_benchmark(root))
    root = put(tmp_path / "test", "test/a.mp4", "test/b.mp4")
    (root / "test/labels.csv").write_text("filename,label\na.mp4,1\n")
    assert "left out: 1 films that labels.csv does not list, such as b.mp4" in inventory(read_benchmark(root))
