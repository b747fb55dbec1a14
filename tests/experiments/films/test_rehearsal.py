"""What the charts of films measure by."""

import numpy as np
import pytest

from limbshift.experiments.films.rehearsal import scales_of
from limbshift.experiments.films.video_chart import Scale
from limbshift.meta.evaluation.trials import TrialRewards


def test_scales_are_the_controllers_own() -> None:
    """Trials of two slots of 30 steps on one task, in rows of one: the second robot is measured by the first."""
    first = np.stack([np.repeat([0.0, 4.0], [5, 25]), np.full(30, 4.0)])
    slow = np.stack([np.zeros(30), np.full(30, 1.0)])
    random = np.full((2, 2, 30), -1.0)
    falls, steps = np.zeros((2, 2)), np.full((2, 2), 30)
    played = TrialRewards(np.stack([first, slow]), falls, steps)
    one, other = scales_of(played, TrialRewards(random, falls, steps), rows=2)
    # nine tenths of the way from -1 to 4 are 3.5: a mean over 20 steps of 2.5 zeros and 17.5 fours, in whole steps 3
    assert one == Scale(-1.0, 4.0, 23, (0.0, 4.0))
    assert other == Scale(-1.0, 4.0, None, (0.0, 1.0))
    alone = scales_of(
        TrialRewards(slow[None], falls[:1], steps[:1]), TrialRewards(random[:1] + 5, falls[:1], steps[:1])
    )
    assert alone == [Scale(4.0, 1.0, None, (0.0, 1.0))]  # worse than random actions: nothing was learnt


@pytest.mark.parametrize(
    ("steps", "scale"),
    [
        ((30, 30), Scale(-1.0, 5.0, 20, (0.0, 5.0))),
        ((25, 30), Scale(-1.0, 5.0, None, (0.0, 5.0))),
        ((30, 12), Scale(-1.0, 4.75, None, (0.0, 5.0))),  # 12 steps of 5 return less than 30 of 4.75
    ],
)
def test_a_robot_that_falls_is_measured_by_the_steps_that_count(steps: tuple[int, int], scale: Scale) -> None:
    """Two slots of 30 steps that earn 4.75 and 5 a step, up to falls; beside them random actions, 3 steps of -1."""

    def trials(*earned: float, steps: tuple[int, int]) -> TrialRewards:
        counted = np.array([steps])
        rewards = np.where(np.arange(30) < counted[..., None], np.array(earned)[:, None], 0.0)
        return TrialRewards(rewards, counted < 30, counted)

    assert scales_of(trials(4.75, 5.0, steps=steps), trials(-1.0, -1.0, steps=(3, 3))) == [scale]
