"""What an evaluation says on the terminal."""

import io

import pytest
from rich.console import Console

from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.figures.tables import measured_sentence, print_adaptation
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


@pytest.mark.parametrize(
    ("family", "title", "over"),
    [
        ("AntCrippled", "return per episode in 3 trials of 1 held-out task, never trained on", "mean over trials with"),
        ("HalfCheetahVel", "return per episode on 3 held-out tasks, never trained on", "mean over tasks with"),
    ],
)
def test_several_trials_of_one_task_are_not_several_tasks(family: str, title: str, over: str) -> None:
    printed = io.StringIO()
    print_adaptation(evaluate(family, num_tasks=3, horizon=2), Console(file=printed, width=200))
    told = " ".join(printed.getvalue().split())
    assert f"{family}: {title}" in told
    assert over in told
