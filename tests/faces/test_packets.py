"""The frame of a certain time, or nothing."""
import av
import numpy as np
import pytest

from helpers import film
from infobottle_dfd.core import InputError
from infobottle_dfd.faces import packets
from infobottle_dfd.faces.packets import counted, index, opened, sought
from infobottle_dfd.faces.video import frames, moments


def clip(path, codec="libx264", frames=60, pix="yuv420p", **options):
    "A film with noise and motion, 96 x 128, whose frames grow lighter; a key frame every 15, and frames that refer to later ones."
    rng = np.random.default_rng(0)
    noise = rng.integers(-20, 20, (96, 256, 3))
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options={"g": "15", **options})
        stream.width, stream.height, stream.pix_fmt = 128, 96, pix
        for t in range(frames):
            picture = np.clip(40 + 2 * t + np.roll(noise, t, 1)[:, :128], 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize("name, codec, options", [
    ("a.mp4", "libx264", {"x264-params": "bframes=3:b-adapt=0"}), ("a.mkv", "libx264", {"x264-params": "bframes=2:b-adapt=0"}),
    ("a.mp4", "libx265", {"x265-params": "keyint=15:bframes=3:b-adapt=0:log-level=none"}),
    ("a.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}), ("a.webm", "libvpx", {"deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "1", "lag-in-frames": "10"}),
    ("a.avi", "mpeg4", {"bf": "2"}), ("a.mpg", "mpeg2video", {"bf": "2"})], ids=lambda x: x if isinstance(x, str) else "")
def test_seeking_gives_what_decoding_gives(tmp_path, name, codec, options):
    "To the last bit, whatever the container, with frames that refer to later ones."
    path = clip(tmp_path / name, codec, **options)
    whole = [frame.to_ndarray(format="rgb24") for frame, _ in counted(path)]
    got = list(frames(path, 16))
    assert len(whole) == 60 and [f.position for f in got] == moments(60, 16)
    assert all(np.array_equal(f.picture, whole[f.position]) for f in got)


def test_a_damaged_packet_costs_its_neighbours_and_no_more(tmp_path):
    "One zeroed packet ended the film: 11 of 32 frames were taken. What is built on it is not taken either."
    path = clip(tmp_path / "a.mp4", bf="0", sc_threshold="0", crf="12")
    about, raw = index(path), bytearray(path.read_bytes())
    with opened(path) as file:
        at, size = sorted((p.pos, p.size) for p in file.demux(video=0) if p.size)[20]
    raw[at:at + size] = bytes(size)
    path.write_bytes(raw)
    with opened(path) as file:
        lost = [i for i, frame in enumerate(sought(file, about, about.times)) if frame is None]
    assert lost == list(range(20, 30))
    with pytest.raises(InputError, match="10 of 60 frames could not be read, as frame 20"):
        got = []
        got.extend(frames(path, 60))


@pytest.mark.parametrize("codec, options", [("libx264", {"x264-params": "bframes=3:b-adapt=0"}), ("libx265", {"x265-params": "keyint=15:bframes=3:b-adapt=0:log-level=none"})])
def test_no_frame_comes_with_the_damage_of_another(tmp_path, codec, options):
    "Frames shown before a damaged packet but built on it came changed: 34 over all packets of the first clip. Those decoded before it are not lost."
    path = clip(tmp_path / "a.mp4", codec, frames=40, **options)
    about, whole, raw = index(path), [frame.to_ndarray(format="rgb24") for frame, _ in counted(path)], path.read_bytes()
    with opened(path) as file:
        packets_of, lost = [(p.pos, p.size, p.pts) for p in file.demux(video=0) if p.size], []
    assert [t for *_, t in packets_of] != about.times           # some refer to later ones
    for at, size, _ in packets_of[1:]:                          # the first holds what decodes all others
        (hurt := tmp_path / "hurt.mp4").write_bytes(raw[:at] + bytes(size) + raw[at + size:])
        with opened(hurt) as file:
            got = [frame and frame.to_ndarray(format="rgb24") for frame in sought(file, about, about.times)]
        assert all(g is None or np.array_equal(g, w) for g, w in zip(got, whole))
        lost.append(sum(g is None for g in got))
    assert 1 <= min(lost) and np.mean(lost) < 10


def test_no_counted_frame_comes_with_the_damage_of_another(tmp_path):
    "In a film that cannot be jumped in: 100 frames of 39 films with one damaged packet came changed, up to the next key frame."
    path = clip(tmp_path / "a.avi", "mpeg4", frames=40)
    whole, raw = [frame.to_ndarray(format="rgb24") for frame, _ in counted(path)], path.read_bytes()
    with opened(path) as file:
        packets_of = [(p.pos, p.size) for p in file.demux(video=0) if p.size]
    for k, (at, size) in enumerate(packets_of[1:], 1):
        (hurt := tmp_path / "hurt.avi").write_bytes(raw[:at + 8] + bytes(size - 8) + raw[at + size:])
        got = [frame and frame.to_ndarray(format="rgb24") for frame, _ in counted(hurt)]
        lost = [i for i, g in enumerate(got) if g is None]
        assert lost == [*range(k, min(40, k // 15 * 15 + 15))] and all(g is None or np.array_equal(g, w) for g, w in zip(got, whole))


@pytest.mark.parametrize("name", ["12:30.mp4", "-first.mp4", "a\nb.mp4", "http:x.mp4", "%d.mp4", "Ж" * 120 + ".mp4"])
def test_a_name_is_a_name(tmp_path, monkeypatch, name):
    "A colon made a protocol of a name."
    film(tmp_path / "a.avi")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.avi").rename(tmp_path / name)
    assert len(list(frames(packets.Path(name), 3))) == 3


def test_a_list_of_addresses_is_no_film(tmp_path):
    "A playlist called .mp4 would make the library open what it names."
    film(tmp_path / "a.avi")
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{tmp_path / 'a.avi'}\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.mp4").write_text("ffconcat version 1.0\nfile a.avi\n")
    for name in ("list.mp4", "concat.mp4"):
        with pytest.raises(InputError, match="not a readable video"):
            list(frames(tmp_path / name, 3))


def test_a_long_film_is_not_decoded(tmp_path, monkeypatch):
    "Of 1,000 frames with a key frame every 15, at most a key frame's worth is decoded for each wanted one."
    path, seen = clip(tmp_path / "a.mp4", frames=1000, preset="ultrafast"), []
    real = packets.decoded

    def spy(*args):
        for frame in real(*args):
            seen.append(frame)
            yield frame
    monkeypatch.setattr(packets, "decoded", spy)
    assert len(list(frames(path, 8))) == 8 and len(seen) <= 8 * 16
