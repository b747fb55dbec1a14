"""What an evaluation says on the terminal."""

import pytest

from limbshift.experiments.figures.tables import measured_sentence
from limbshift.meta.evaluation.adaptation import Measurement

MEANS = [[1.0, 2.0], [2.0, 3.0]]


@pytest.mark.parametrize(
    ("measured", "sentence"),
    [
        (Measurement("speed", "m/s", MEANS, None, MEANS, None), "Mean speed by episode: 1.5, 2.5 m/s."),
        (
            Measurement("speed", "m/s", MEANS, [[0.5, 0.1], [0.5, 0.3]], MEANS, None),
            "Mean speed by episode: 1.5, 2.5 m/s; 0.5, 0.2 m/s from what is asked.",
        ),
        (  # zero is asked for: how far it is from that is said once
            Measurement("error", "rad", MEANS, MEANS, MEANS, None),
            "Mean error by episode: 1.5, 2.5 rad.",
        ),
        (
            Measurement("distance", "m", MEANS, MEANS, [[0.1, 0.6], [0.1, 0.5]], 0.5),
            "Mean distance by episode: 1.5, 2.5 m; at the end of the last within 0.5 m on 50 % of tasks.",
        ),
    ],
)
def test_measurements_in_words(measured: Measurement, sentence: str) -> None:
    assert measured_sentence(measured) == sentence
