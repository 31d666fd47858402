"""Folds that keep groups whole, heads chosen inside the faces they are fitted on."""
import numpy as np
import pytest
import torch

from infobottle_dfd.audit import audit
from infobottle_dfd.core import InputError
from infobottle_dfd.held_out import as_array, as_blocks, as_codes, deal, directions


def test_folds_keep_groups_whole_and_hold_every_label():
    g = np.random.default_rng(0)
    groups, y = np.repeat(np.arange(60), 3), np.repeat(g.permutation(60) % 2, 3)
    fold = deal(y, groups, 5, g)
    assert all(len(set(fold[groups == k])) == 1 for k in range(60))
    assert all(set(y[fold == k]) == {0, 1} for k in range(5))
    with pytest.raises(InputError, match="fewer than 5 folds"):
        deal(np.array([0] * 96 + [1] * 4), np.arange(100), 5, g)


def test_directions_are_those_of_the_training_rows():
    "Changing a row that is not trained on changes that row alone."
    x, train = np.random.default_rng(1).normal(size=(80, 6)), np.arange(80) < 60
    before, share = directions(x, train, 3)
    x[70] += 5
    after, _ = directions(x, train, 3)
    assert np.allclose(np.delete(before, 70, 0), np.delete(after, 70, 0)) and not np.allclose(before[70], after[70])
    assert 0 < share < 1


def test_what_can_be_measured():
    assert as_array(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32
    assert [t.shape for t in as_blocks([np.eye(3), np.arange(3.)])] == [(3, 3), (3, 1)]
    assert as_codes(["b", "a", "b"], 3, "y").tolist() == [1, 0, 1]
    with pytest.raises(InputError, match="one entry a face"):
        as_codes([0, 1], 3, "y")


def test_torch_and_numpy_are_the_same_numbers():
    "float64 of torch was halved to float32: groups of large numbers ran together, features far from 0 were lost."
    large = torch.arange(30).double() + 2 ** 25
    assert as_codes(large, 30, "groups").max() == as_codes(large.numpy(), 30, "groups").max() == 29
    z = torch.randn(1, 30, 2, dtype=torch.float64) + 1e9
    assert (as_blocks(z)[0] == z[0].numpy()).all() and as_blocks(z.bfloat16() * 0 + torch.rand(30, 1).bfloat16())[0].shape == (30, 2)


def test_what_is_masked_or_complex_is_not_measured():
    "The numbers under a mask were measured, imaginary parts dropped; squares that are no numbers gave a traceback."
    from infobottle_dfd.audit import audit
    from infobottle_dfd.held_out import as_numbers
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(2, 60, 3)), np.arange(60) % 2
    for wrong, word in ((np.ma.masked_array(z, z > 1), "masked"), (z + 1j, "must hold numbers"), (z * 1e200, "too large or too small"), (z * 1e-310, "too large or too small"), (torch.tensor(z[0]).to_sparse()[None], "must hold numbers")):
        with pytest.raises(InputError, match=word):
            audit(wrong, y)
    with pytest.raises(InputError, match="masked"):
        audit(z, np.ma.masked_array(y, y > 0))
    for options in ({"folds": 3.5}, {"shuffles": 2.5}, {"seed": -1}, {"seed": "x"}, {"base": "2"}):
        with pytest.raises(InputError):
            audit(z, y, **options)
    assert as_numbers([.1, .2], "scores").dtype == float and as_numbers([.1], "scores")[0] == .1


def test_a_block_that_says_nothing_in_training_is_idle():
    "It woke in one face of four hundred: where that face is tested, the training rows are constant."
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    z = rng.normal(size=(2, 400, 4))
    z[0, :, 0] += 2 * y
    z[1] = 0
    z[1, 7] = 1
    assert audit(z, y, shuffles=2).verdict == ["adds", "idle"]
