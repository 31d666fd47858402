"The audit against blocks whose truth is known: laws, Gaussians, copies, idle blocks, groups, and input that cannot be measured."
import json
import math

import numpy as np
import pytest
import torch
from infobottle_dfd.audit import audit, gaussian_truth, known, picture
from infobottle_dfd.core import InputError
from infobottle_dfd.information import LAWS, profile
from scipy.integrate import quad
from scipy.stats import norm

NAT = math.e


def law_sample(name, faces=800, wrong=.1, seed=0):
    "Features (n b 1), labels (b), and the exact profile in nats, a label in ten replaced by any."
    axes, p = LAWS[name]
    p = (1 - wrong) * p + wrong * p.sum(-1, keepdim=True) / p.shape[-1]
    g = np.random.default_rng(seed)
    *symbols, y = np.unravel_index(g.choice(p.numel(), faces, p=p.flatten().numpy()), p.shape)
    return np.stack(symbols)[..., None] + .1 * g.normal(size=(len(symbols), faces, 1)), y, profile(p, axes, NAT)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in ("XOR", "copy") else pytest.mark.slow) for n in LAWS])
def test_laws(name):
    z, y, (added, together, alone) = law_sample(name)
    found = audit(z, y, shuffles=4, pairs=False)
    for got, true in ((found.added, added), (found.alone, alone), (found.together, together)):
        assert np.allclose(got, true, atol=.09)
    for word, a, b in zip(found.verdict, alone, added):
        assert word == ("adds" if b > .01 else "redundant" if a > .01 else "idle")


def test_truth_by_another_integral():
    for s in (.25, 2.25, 4):
        p = lambda x, m: norm.pdf(x, m, 1)
        loss = quad(lambda x: p(x, 0) * np.log(p(x, 0) / (.5 * p(x, 0) + .5 * p(x, s ** .5))), -9, 9)[0]
        assert gaussian_truth(s) == pytest.approx(loss, abs=1e-6)
    assert gaussian_truth(0) == pytest.approx(0, abs=1e-12)


def test_noise_that_is_mixed_in_costs_information():
    clean, noisy = known(3, d=8, faces=5)[2], known(3, d=64, faces=5)[2]
    assert clean["together"] == pytest.approx(gaussian_truth(3.5)) and noisy["together"] < clean["together"]
    assert noisy["together"] > .27 and noisy["added"][3] == pytest.approx(0)


def test_few_directions_in_many_features():
    z, y, truth = known(5, faces=1000)
    found = audit(z, y, shuffles=4, pairs=False)
    for name in ("together", "alone", "added"):
        miss = abs(np.subtract(getattr(found, name), truth[name]))
        assert (miss < 4 * np.array(getattr(found, name + "_se"))).all() and (miss < .08).all()
    assert found.verdict[:2] == ["adds", "adds"] and found.verdict[3] == "idle" and not found.warnings


def test_copy_of_unequal_width_and_pairs():
    z, y, truth = known(1, d=8, faces=600, lean=(1.5, 0))
    found = audit([z[0], np.hstack([z[0], z[0]]), torch.tensor(z[1])], y, shuffles=4)
    assert found.verdict == ["redundant", "redundant", "idle"]
    pairs = np.array(found.pairs)
    assert pairs[0, 1] == pytest.approx(truth["alone"][0], abs=.09) and abs(pairs[0, 0]) < .03
    assert np.allclose(pairs, pairs.T) and np.allclose(pairs.diagonal(), found.added)


def test_labels_of_any_kind_units_and_repetition():
    z, y, _ = known(2, d=4, faces=150, lean=(2, 0), latent=2)
    words = np.array(["real", "fake"], object)[y]
    state = np.random.get_state()[1].copy(), torch.get_rng_state()
    few = dict(shuffles=2, folds=3)
    a, b = (audit(torch.tensor(z).requires_grad_(), t, base=u, **few) for t, u in ((1 - y, NAT), (words, 2)))
    assert a.unit == "nats" and b.unit == "bits" and b.together == a.together / math.log(2)
    assert (np.random.get_state()[1] == state[0]).all() and torch.equal(torch.get_rng_state(), state[1])
    assert audit(z, words, base=2, **few).together == pytest.approx(b.together, abs=1e-3)      # float32 there
    assert (again := audit(z, y, **few)) == audit(z, y, **few)
    assert audit(z, y, seed=1, **few).together != again.together
    assert json.loads(json.dumps(vars(a)))["verdict"] == a.verdict and "together" in str(a)
    assert a.interval("alone").shape == (2, 2) and len(picture(a).axes) == 2


def test_three_classes():
    g = np.random.default_rng(0)
    y = np.arange(600) % 3
    found = audit([y + .1 * g.normal(size=600), g.normal(size=600)], y, shuffles=3)
    assert found.entropy == pytest.approx(math.log(3)) and found.together == pytest.approx(math.log(3), abs=.05)
    assert found.verdict == ["adds", "idle"]


def test_one_block_adds_what_it_knows():
    z, y, _ = known(2, d=4, faces=300, lean=(2,), latent=2)
    found = audit(z, y, shuffles=2)
    assert found.alone == found.added == [found.together] and found.verdict == ["adds"]


def test_frames_of_a_video_are_no_new_faces():
    z, y, _ = known(4, d=4, faces=150, lean=(1, 0), latent=2)
    frames, labels, videos = np.repeat(z, 4, 1), np.repeat(y, 4), np.repeat(np.arange(150), 4)
    once, kept = audit(z, y, shuffles=3), audit(frames, labels, videos, shuffles=3)
    assert kept.groups == 150 and abs(kept.together - once.together) < 2 * once.together_se
    assert .6 < kept.together_se / once.together_se < 1.7 and kept.verdict[1] == "idle"
    assert audit(frames, labels, shuffles=3).together > kept.together + .1      # it has seen these very faces


def test_warns_where_directions_hold_little():
    g = np.random.default_rng(0)
    y = g.integers(0, 2, 200)
    with pytest.warns(UserWarning, match="the directions looked at hold"):
        assert len(audit(g.normal(size=(2, 200, 256)), y, shuffles=2).warnings) == 2


def spoiled(value):
    "Two blocks of noise, one feature exchanged."
    z = np.random.default_rng(0).normal(size=(2, 40, 3))
    z[1, 5, 1] = value
    return z


Y = np.arange(40) % 2


@pytest.mark.parametrize("z, y, more, words", [
    (spoiled(np.nan), Y, {}, "block 2 has NaN"),
    (spoiled(np.inf), Y, {}, "block 2 has NaN or infinite"),
    (spoiled(0), Y * 0, {}, "one label only"),
    (spoiled(0), np.arange(40) < 3, {}, "3 groups, fewer than 5 folds"),
    (spoiled(0), Y, {"groups": Y}, "1 groups, fewer than 5 folds"),
    (spoiled(0), Y, {"groups": Y[:3]}, "groups must have one entry a face"),
    ([spoiled(0)[0], np.ones((40, 2))], Y, {}, "block 2 is one constant"),
    ([spoiled(0)[0], spoiled(0)[1, :30]], Y, {}, "one row a face"),
    (spoiled(0), Y[:30], {}, "y must have one entry a face"),
    (spoiled(0), np.where(Y, np.nan, 1.), {}, "y has NaN"),
    (spoiled(0), np.array([0, "a"] * 20, object), {}, "mixes kinds"),
    (spoiled(0), Y, {"folds": 2}, "folds = 2"),
    (spoiled(0), Y, {"shuffles": 1}, "shuffles = 1"),
    ([], Y, {}, "z must be (n b d)"),
    (3, Y, {}, "z must hold numbers"),
    (["ab", "cd"], Y, {}, "z must hold numbers"),
])
def test_one_sentence(z, y, more, words):
    with pytest.raises(InputError) as e:
        audit(z, y, **more)
    assert words in str(e.value) and "\n" not in str(e.value)


def test_no_engine_room_is_imported():
    import subprocess
    import sys
    code = ("import sys, infobottle_dfd.audit; bad = [m for m in sys.modules if m.startswith(('infobottle_dfd.faces', "
            "'infobottle_dfd.runs', 'infobottle_dfd.judging', 'infobottle_dfd.training'))]; assert not bad, bad")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_block_made_of_the_other_has_a_small_error():
    "Its shuffled self needs a head of another kind; judged by the wrong one, the error of `added` was .34 nat."
    g = np.random.default_rng(0)
    u = g.uniform(-1, 1, 2000)
    y = (g.random(2000) < 1 / (1 + np.exp(-4 * np.sin(4 * u)))).astype(int)
    found = audit([u, np.sin(4 * u)], y, shuffles=3, pairs=False)
    assert max(found.added_se) < .01 and found.verdict == ["redundant", "redundant"]
