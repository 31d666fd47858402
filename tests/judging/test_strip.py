"""A film over time."""
import torch

from infobottle_dfd.judging.strip import strip


def test_a_film_of_one_face_and_of_many():
    for faces, shown in ((1, 1), (20, 8)):
        fig = strip(torch.rand(faces, 3, 8, 8), torch.rand(faces), torch.zeros(2, faces, 8, 8), range(faces), .5, "a $film$")
        assert len(fig.axes) == 1 + 3 * shown
