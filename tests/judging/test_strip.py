"""A film over time."""
import pytest
import torch

from infobottle_dfd.judging.strip import marked, strip


@pytest.mark.parametrize("faces, shown", [(1, 1), (20, 8)])
def test_a_film_of_one_face_and_of_many(faces, shown):
    fig = strip(torch.rand(faces, 3, 8, 8), torch.rand(faces).tolist(), torch.zeros(2, faces, 8, 8), [*range(faces)], .5, "a $film$", "run $x$", [([0, 1], [.1, .2])])
    assert len(fig.axes) == 1 + 3 * shown + 1
    fig.canvas.draw()


def test_stretches_are_marked_in_time():
    assert marked([.1] * 10 + [.9] * 4 + [.1] * 10, .8) == [(10, 13)]
    assert marked(([.1] * 9 + [.9] * 4) * 2, .8) == [(9, 12), (22, 25)]
    assert marked([.9] * 9, .5) == [(0, 8)] and marked([.1] * 9, .5) == []
