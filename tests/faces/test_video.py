"""Frames of a film: the right moments, the right way up, and what could not be seen."""
import struct

import av
import numpy as np
import pytest
from PIL import Image

from helpers import film
from infobottle_dfd.core import InputError
from infobottle_dfd.faces import packets, video as faces
from infobottle_dfd.faces.folders import below


@pytest.mark.parametrize("there, wanted, right", [(300, 3, [50, 150, 250]), (2, 5, [0, 1]), (0, 5, []), (1, 1, [0])])
def test_moments(there, wanted, right):
    assert faces.moments(there, wanted) == right


def test_frames_are_the_ones_asked_for(films):
    "Every picture of the clip has its own brightness."
    for t, picture, *_ in faces.frames(films / "real/c.avi", 4):
        assert abs(picture[60, 150].mean() - (20 + 8 * t)) < 4


@pytest.mark.parametrize("error, word", [("No module named 'av'", r"infobottle_dfd\[faces\]"), ("libGL.so.1: cannot open shared object file", "opencv-python-headless")])
def test_without_the_extra(films, monkeypatch, error, word):
    def missing(name):
        raise ImportError(error)
    monkeypatch.setattr(packets.importlib, "import_module", missing)
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


def quadrants(path, **setup):
    "A film of four colours, red and green above, blue and white below."
    picture = np.zeros((120, 200, 3), np.uint8)
    picture[:60, :100], picture[:60, 100:], picture[60:, :100], picture[60:, 100:] = (220, 30, 30), (30, 200, 30), (30, 30, 220), 240
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 200, 120, "yuv420p"
        for k, v in setup.items():
            setattr(stream.codec_context, k, v)
        for _ in range(8):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    return path


def corners(path):
    "Colours of a film's first frame, read like a page, and its size."
    picture = next(faces.frames(path, 1))[1].astype(int)
    h, w = picture.shape[:2]
    name = lambda c: "W" if c.min() > 150 else "RGB"[int(c.argmax())]
    return "".join(name(picture[y, x]) for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)), (w, h)


@pytest.mark.parametrize("matrix, right, size", [
    ((1, 0, 0, 1), "RGBW", (200, 120)), ((0, 1, -1, 0), "BRWG", (120, 200)), ((-1, 0, 0, -1), "WBGR", (200, 120)), ((0, -1, 1, 0), "GWRB", (120, 200)),
    ((-1, 0, 0, 1), "GRWB", (200, 120)), ((1, 0, 0, -1), "BWRG", (200, 120)), ((0, 1, 1, 0), "RBGW", (120, 200))], ids=["plain", "cw", "half", "ccw", "mirror", "upside", "selfie"])
def test_the_right_way_up(tmp_path, matrix, right, size):
    "Of the matrix in a film's header only a rotation was read: mirrored faces stood on their heads."
    raw = quadrants(tmp_path / "plain.mp4").read_bytes()
    i = raw.index(b"tkhd") + 44
    one, last = (lambda v: struct.pack(">i", v * 65536)), struct.pack(">i", 1 << 30)
    a, b, c, d = map(one, matrix)
    (tmp_path / "turned.mp4").write_bytes(raw[:i] + a + b + one(0) + c + d + one(0) + one(0) * 2 + last + raw[i + 36:])
    assert corners(tmp_path / "turned.mp4") == (right, size)


def test_pixels_that_are_not_square(tmp_path):
    "A film of wide pixels was shown narrow."
    from fractions import Fraction
    assert corners(quadrants(tmp_path / "a.mp4", sample_aspect_ratio=Fraction(16, 11))) == ("RGBW", (291, 120))


def test_a_cover_picture_is_not_the_film(tmp_path):
    "A cover that stands before the film's track was judged in its place."
    import io
    raw = quadrants(tmp_path / "plain.mp4").read_bytes()

    def boxes(at, end):
        while at < end:
            size, = struct.unpack(">I", raw[at:at + 4])
            yield raw[at + 4:at + 8], at, size
            at += size
    at, size = next((a, n) for k, a, n in boxes(0, len(raw)) if k == b"moov")
    inner = [(k, raw[p:p + n]) for k, p, n in boxes(at + 8, at + size)]
    jpeg = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(jpeg, "JPEG")
    box = lambda kind, data: struct.pack(">I", 8 + len(data)) + kind + data
    cover = box(b"ilst", box(b"covr", box(b"data", struct.pack(">II", 13, 0) + jpeg.getvalue())))
    handler = box(b"hdlr", struct.pack(">II", 0, 0) + b"mdirappl" + bytes(9))
    tags = box(b"udta", box(b"meta", struct.pack(">I", 0) + handler + cover))
    parts = [d for k, d in inner if k == b"mvhd"] + [tags] + [d for k, d in inner if k not in (b"mvhd", b"udta")]
    (tmp_path / "cover.mp4").write_bytes(raw[:at] + box(b"moov", b"".join(parts)))
    with av.open(str(tmp_path / "cover.mp4")) as file:
        assert len(file.streams.video) == 2
    assert corners(tmp_path / "cover.mp4")[0] == "RGBW"


@pytest.mark.parametrize("first, last", [(30, 74), (0, 29), (20, 39), (40, 40)])
def test_a_film_trimmed_without_loss(tmp_path, first, last):
    "Files with an edit list were called broken, and decoded again at every call; their frames are those that a player shows."
    with av.open(str(tmp_path / "whole.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"g": "15", "bf": "2", "crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for t in range(75):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((96, 128, 3), 20 + 3 * t, np.uint8), format="rgb24")))
        out.mux(stream.encode())
    raw = (tmp_path / "whole.mp4").read_bytes()
    whole, track = (struct.unpack(">I", raw[(i := raw.index(name)) + 16:i + 20])[0] for name in (b"mvhd", b"mdhd"))
    e = raw.index(b"elst") + 8
    _, _, start = struct.unpack(">IIi", raw[e:e + 12])
    cut = struct.pack(">IIi", 1, round((last - first + 1) / 25 * whole), start + round(first / 25 * track))
    (tmp_path / "cut.mp4").write_bytes(raw[:e] + cut + raw[e + 12:])
    shown = [round((picture.mean() - 20) / 3) for _, picture, *_ in faces.frames(tmp_path / "cut.mp4", 99)]
    assert shown == list(range(first, last + 1))


def test_frames_are_even_in_time(tmp_path):
    "Thirty frames in the first second, three in each that follows: the middle of the film is not the middle frame."
    times = [*range(30)] + [30 + 10 * k for k in range(12)]
    assert faces.spread(times, 5) != faces.moments(len(times), 5)
    middles = [(k + .5) * 150 / 5 for k in range(5)]
    assert [times[i] for i in faces.spread(times, 5)] == [max(t for t in times if t <= m) for m in middles]
    assert faces.spread([0, 33, 67, 100, 133, 167], 3) == faces.moments(6, 3)               # rounded to milliseconds


def test_a_film_that_breaks_off_says_so_after_all_it_has(tmp_path):
    film(tmp_path / "a.avi", frames=60)
    whole = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "a.avi").write_bytes(whole[:len(whole) * 2 // 3])
    got = []
    with pytest.raises(faces.Lost, match="breaks off after .* of 60 frames"):
        got.extend(faces.frames(tmp_path / "a.avi", 8))
    assert len(got) == 8


def test_what_is_lost_comes_out_of_another_process():
    import pickle
    lost = pickle.loads(pickle.dumps(faces.Lost("a.mp4: 3 of 9 frames could not be read", 3)))
    assert lost.count == 3 and str(lost).startswith("a.mp4") and isinstance(lost, InputError)


def test_what_is_transparent_in_a_film_is_not_seen(tmp_path):
    "The colour behind transparent pixels was shown."
    picture = np.dstack([np.full((64, 64, 3), (255, 0, 255), np.uint8), np.zeros((64, 64), np.uint8)])
    picture[:, 32:] = (9, 90, 9, 255)
    with av.open(str(tmp_path / "a.mov"), "w") as out:
        stream = out.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgba"
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgba")))
        out.mux(stream.encode())
    for _, x, *_ in faces.frames(tmp_path / "a.mov", 2):
        assert (x[:, :32] == 255).all() and (x[:, 32:] == (9, 90, 9)).all()


def test_a_length_that_is_not_kept_is_noticed(tmp_path):
    "Matroska names no number of frames: half a download was judged without a word. Sound may be longer than the film."
    film(tmp_path / "a.mkv", frames=80)
    whole = (tmp_path / "a.mkv").read_bytes()
    assert len(list(faces.frames(tmp_path / "a.mkv", 8))) == 8
    (tmp_path / "a.mkv").write_bytes(whole[:len(whole) // 2])
    got = []
    with pytest.raises(faces.Lost, match="breaks off after .* of 80 frames"):
        got.extend(faces.frames(tmp_path / "a.mkv", 8))
    assert len(got) == 8
    with av.open(str(tmp_path / "long.mkv"), "w") as out:
        stream, sound = out.add_stream("mpeg4", rate=10), out.add_stream("pcm_s16le", rate=8000)
        stream.width, stream.height, stream.pix_fmt, sound.layout = 64, 64, "yuv420p", "mono"
        for _ in range(10):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        for k in range(50):
            part = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
            part.sample_rate, part.pts = 8000, 800 * k
            out.mux(sound.encode(part))
        out.mux(stream.encode()), out.mux(sound.encode())
    assert len(list(faces.frames(tmp_path / "long.mkv", 8))) == 8


TORN = [("a.mpg", "mpegts", "mpeg2video", {}), ("a.mpg", "mpegts", "libx264", {}), ("a.mpg", "mpeg", "mpeg2video", {}), ("a.wmv", "asf", "wmv2", {}), ("a.mkv", "matroska", "libx264", {"live": "1"}),
        ("a.webm", "matroska", "libvpx", {"live": "1"}), ("a.mpg", "mpeg2video", "mpeg2video", {})]


@pytest.mark.parametrize("name, form, codec, options", TORN, ids=[f"{form} {codec}" for _, form, codec, _ in TORN])
def test_a_torn_end_is_noticed_where_no_length_is_kept(tmp_path, name, form, codec, options):
    "Half a download was judged without a word, in containers that do not say how long they are. Whole ones stay without a word."
    rng, path = np.random.default_rng(0), tmp_path / name
    base = rng.integers(0, 255, (96, 128, 3), dtype=np.uint8)
    with av.open(str(path), "w", format=form, options=options) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for t in range(50):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(base, t, 1), format="rgb24")))
        out.mux(stream.encode())
    whole, before = path.read_bytes(), av.logging.get_level()
    for length in (len(whole), *(int(len(whole) * part) // 188 * 188 + 100 for part in (.9, .7, .5))):
        path.write_bytes(whole[:length])
        got, said = [], ""
        try:
            got.extend(faces.frames(path, 6))
        except faces.Lost as e:
            said = str(e)
        assert len(got) >= 3 and ("breaks off" in said or "could not be read" in said) == (length < len(whole)), (length, said)
    assert av.logging.get_level() == before


def test_a_film_that_is_torn_in_a_frame_says_both(tmp_path):
    "Its last frame could not be read; that half of it was lacking was not said. The number of lost frames stays."
    film(tmp_path / "a.avi", frames=24)
    whole = (tmp_path / "a.avi").read_bytes()
    for part in range(50, 91, 5):
        (tmp_path / "a.avi").write_bytes(whole[:len(whole) * part // 100])
        with pytest.raises(faces.Lost, match="breaks off after [0-9]+ of 24 frames$") as said:
            list(faces.frames(tmp_path / "a.avi", 99))
        assert said.value.count == str(said.value).count("frames could not be read, as frame")
