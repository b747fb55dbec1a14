"""Charts by task parameter: one that takes few values has places for these, and nothing between them."""

import numpy as np
import pytest

from limbshift.envs.catalogue import make_family
from limbshift.experiments.commands.evaluate import evaluate
from limbshift.experiments.comparison.by_parameter import Bin
from limbshift.experiments.figures import comparison_charts
from limbshift.experiments.figures.parameter_charts import by_parameter
from limbshift.meta.evaluation.statistics import interquartile_mean


def test_a_choice_has_a_column_of_dots_and_their_mean_beside_it() -> None:
    result = evaluate("HalfCheetahWiring", num_tasks=16, horizon=3)
    charts = by_parameter({"one": [result], "two": [result]}, make_family("HalfCheetahWiring"))
    assert [chart.x for chart in charts] == list(result.tasks[0])
    for chart in charts:
        dots, means, *_ = chart.series
        assert chart.ticks == (-1.0, 1.0)
        assert chart.ground is None
        assert not any(each.line for each in chart.series)
        assert set(dots.x) == {-1.0, 1.0}
        assert len(set(dots.aside)) == 16, "so that none hides another"
        returns = np.array([y for x, y in zip(dots.x, dots.y, strict=True) if x == 1.0], dtype=float)
        assert means.y[1] == pytest.approx(interquartile_mean(returns))
        assert max(means.places(chart.shift("one"))) < min(
            place for x, place in zip(dots.x, dots.places(chart.shift("two")), strict=True) if x == 1.0
        ), "beside those of the next"
    assert dots.notes[0].startswith("heldout: reversed: ")


def test_a_choice_that_no_task_makes_has_a_place_too() -> None:
    family = make_family("AntCrippled")
    (first, *_) = by_parameter({"one": [evaluate("AntCrippled", num_tasks=3, horizon=3)]}, family)
    _, means = first.series
    assert (means.x, means.notes) == ((0.0, 1.0), ["mean of 0", "mean of 3"])
    assert means.y[0] is None
    assert means.places(0.0)[0] == 0.0, "so that its place is on the axis"
    assert means.interval
    assert means.interval[0][0] is None


def test_methods_stand_beside_each_other_over_each_of_few_values() -> None:
    few = [Bin("direction", value, value, True, 4, {"ppo": 1.0, "random": 0.0}) for value in (-1.0, 1.0)]
    many = [Bin("speed", low, low + 1, True, 4, {"ppo": 1.0, "random": 0.0}) for low in (0.0, 1.0)]
    of_few, of_many = comparison_charts.by_parameter([*few, *many], "score")
    assert (of_few.ticks, of_few.ground, of_few.sidestep) == ((-1.0, 1.0), None, 0.7)
    assert not any(series.line for series in of_few.series)
    assert (of_many.ticks, of_many.ground) == ((), (0.0, 2.0))
    assert all(series.line for series in of_many.series)
