"""Manifests: one table says what every picture is."""
import pytest
from PIL import Image

from infobottle_dfd.core import InputError
from infobottle_dfd.faces.manifest import Face, listing, read_faces, read_manifest, write_manifest

HEADER = "path,label,split,video,identity,method\n"


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


@pytest.mark.parametrize("text, word", [
    (HEADER.replace("method", "label") + "a.png,0,,,,1\n", "no column 'method'"), (HEADER[:-1] + ",label\na.png,0,,,,,1\n", "two columns are called 'label'"),
    (HEADER + "a.png,0,,,,swap, by hand\n", "line 2: 7 fields under 6 columns"), (HEADER + ",0,,,,\n", "line 2: no path")], ids=["missing", "two labels", "extra field", "no path"])
def test_slips_in_a_table(tmp_path, text, word):
    "The last of two label columns counted, an extra field was dropped, an empty path was the folder itself."
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(InputError, match=word):
        read_manifest(tmp_path / "m.csv")


def test_people_with_spaces_between_them(tmp_path):
    "`a + b` was one person called so."
    (tmp_path / "m.csv").write_text(HEADER + "a.png,1,,, ann + bob ,\n")
    assert read_manifest(tmp_path / "m.csv")[0].identity == "ann+bob"


def test_one_file_cannot_be_real_and_fake(tmp_path):
    "By a line or by a link, it was trained on with both labels."
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    (tmp_path / "m.csv").write_text(HEADER + "a.png,0,,,,\nb.png,1,,,,\n./a.png,1,,,,\n")
    with pytest.raises(InputError, match="are one file, listed as real and as fake"):
        read_faces(tmp_path / "m.csv")
    for label in ("real", "fake"):
        (tmp_path / "set" / label).mkdir(parents=True)
    (tmp_path / "set/real/anna.png").touch()
    (tmp_path / "set/fake/bob.png").symlink_to("../real/anna.png")
    with pytest.raises(InputError, match="are one file"):
        read_faces(tmp_path / "set")


def test_a_line_written_twice_is_said(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    (tmp_path / "m.csv").write_text(HEADER + "a.png,0,train,,,\nb.png,1,train,,,\na.png,0,train,,,\na.png,0,test,,,\n")
    said = []
    assert len(read_faces(tmp_path / "m.csv", say=said.append)) == 4
    assert "2 rows name a file that another row names" in said[0] and "1 of them in another split" in said[0]


def test_masks_and_sources(tmp_path):
    "Two columns that need not be there: written where known, read back, and no part of the fingerprint."
    old = [Face(tmp_path / "a.png", 1, "test", "v", "p", "swap")]
    new = [old[0]._replace(mask=str(tmp_path / "masks/a.png"), source="w")]
    for rows, header in ((old, HEADER), (new, HEADER[:-1] + ",mask,source\n")):
        write_manifest(rows, tmp_path / "m.csv")
        assert (tmp_path / "m.csv").read_text().startswith(header) and read_manifest(tmp_path / "m.csv") == rows
    assert listing(old) == listing(new)


def test_a_zero_byte_is_no_text(tmp_path):
    (tmp_path / "m.csv").write_text(HEADER + "a\0.png,1,,,,\n")
    with pytest.raises(InputError, match="m.csv, line 2: holds a zero byte"):
        read_manifest(tmp_path / "m.csv")


def test_a_quote_without_its_partner_swallows_no_rows(face_folder, tmp_path):
    "All rows after it were one name of a video, and nobody said that they are gone."
    rows = [f"{p},{int(p.parent.name == 'fake')},,v{i},," for i, p in enumerate(sorted(face_folder.rglob("*.png")))]
    rows[35] = rows[35].replace("v35", '"v35')
    (tmp_path / "m.csv").write_text("\n".join(["path,label,split,video,identity,method", *rows, ""]))
    with pytest.raises(InputError, match="every quote with its partner"):
        read_faces(tmp_path / "m.csv")


def test_names_that_end_in_a_number_sign(tmp_path):
    "Folders called clip#1, clip#2 are films, not people of one; a manifest of one's own that has such names is told what they mean."
    for label in ("real", "fake"):
        for k in range(3):
            (tmp_path / f"set/{label}/clip#{k}").mkdir(parents=True)
            Image.new("RGB", (16, 16), (k, 80, 9)).save(tmp_path / f"set/{label}/clip#{k}/a.png")
    rows = read_faces(tmp_path / "set")
    assert {r.film for r in rows} == {f"{label}/clip#{k}" for label in ("real", "fake") for k in range(3)}
    (tmp_path / "m.csv").write_text("path,label,split,video,identity,method\n" + "".join(f"{r.path},{r.label},,clip#{i},,\n" for i, r in enumerate(rows)))
    said = []
    read_faces(tmp_path / "m.csv", say=said.append)
    assert "6 names of videos end in # and a number: people of 1 films" in said
