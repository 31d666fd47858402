"""Folds that keep groups whole, heads chosen inside the faces they are fitted on."""
import numpy as np
import pytest
import torch

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
