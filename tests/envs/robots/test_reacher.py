"""The reacher's targets: where they are placed, and where those that are seen lie."""

import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.task_env import TaskEnv


def test_seen_targets_lie_in_their_ring_and_change_with_each_episode() -> None:
    env = TaskEnv(make_family("ReacherLimbs"), 500)
    env.begin_tasks(env.all_envs)
    env.begin_episodes(env.all_envs)
    first = env.observe()[:, 4:6]
    env.begin_episodes(env.all_envs)
    distance = first.norm(dim=-1)
    assert distance.min() >= 0.09
    assert distance.max() <= 0.145
    assert (first > 0).float().mean(dim=0).sub(0.5).abs().max() < 0.1
    assert not torch.isclose(first, env.observe()[:, 4:6]).all(dim=-1).any()


def test_the_reachers_target_is_placed_where_the_task_says() -> None:
    env = TaskEnv(make_family("ReacherGoal"), 2)
    env.set_tasks([{"goal_x": 0.1, "goal_y": -0.05}, {"goal_x": -0.02, "goal_y": 0.03}], env.all_envs)
    env.begin_episodes(env.all_envs)
    for _ in range(5):
        env.step(torch.ones(2, 2))
    target = env.robot.model.body("target").id
    expected = torch.tensor([[0.1, -0.05], [-0.02, 0.03]], dtype=torch.float64)
    torch.testing.assert_close(env.physics.computed_field("xpos")[:, target, :2], expected)
