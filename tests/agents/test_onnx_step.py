"""A controller's step as an ONNX graph does what the controller does, in onnxruntime."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from limbshift.agents import ActionHead, RecurrentCell
from limbshift.agents.belief.network import BeliefNetwork
from limbshift.agents.controller import Controller
from limbshift.agents.controller_file import ControllerCard
from limbshift.agents.onnx_step import step_model
from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.errors import ControllerError

CARD = ControllerCard("HalfCheetahLimbs", "default", episodes_per_trial=2, horizon=4)
LOW, HIGH = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 3.0])
"""Of a robot whose second motor pulls alone."""
STEPS = 1000


class Stepper:
    """N robots that act by a model, step after step."""

    def __init__(self, model: bytes, num_robots: int, initial_action: list[float]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.told = {
            each.name: np.zeros((num_robots, *each.shape[1:]), np.float32) for each in self.session.get_inputs()
        }
        if "previous_action" in self.told:
            self.told["previous_action"][:] = initial_action

    def act(self, **sensed: np.ndarray) -> np.ndarray:
        self.told |= {name: value for name, value in sensed.items() if name in self.told}
        action, *state = self.session.run(None, self.told)
        names = [each.name.removeprefix("next_") for each in self.session.get_outputs()][1:]
        after = {"previous_action": action, **dict(zip(names, state, strict=True))}
        self.told |= {name: value for name, value in after.items() if name in self.told}
        return np.asarray(action)


def make_controller(**spec: Any) -> Controller:
    torch.manual_seed(0)
    policy = RecurrentActorCritic(PolicySpec(5, 2, hidden_size=16, **spec))
    policy.normaliser.update(3 + 2 * torch.randn(100, policy.spec.trial_obs_dim))
    with torch.no_grad():
        if policy.spec.num_candidates:
            policy.search_among(torch.randn(policy.spec.num_candidates, policy.spec.belief_dim))
        elif isinstance(policy.belief, BeliefNetwork):
            policy.belief.head.weight.normal_()
        policy.action_head.weight.normal_()  # actions that reach the motors' bounds
        policy.action_head.bias.normal_()
    return Controller(policy, CARD, LOW, action_high=HIGH)


def stepper(controller: Controller, num_robots: int) -> Stepper:
    return Stepper(step_model(controller, {}).SerializeToString(), num_robots, [0.0, 1.5])


def sensors(num_robots: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Observations, some of them far out, rewards, and starts of episodes."""
    generator = np.random.default_rng(0)
    for step in range(STEPS):
        obs = 3 + generator.normal(size=(num_robots, 5)) * (100 if step % 50 == 7 else 2)
        reward = generator.normal(size=num_robots)
        yield obs.astype(np.float32), reward.astype(np.float32), np.full(num_robots, step % 100 == 0, np.float32)


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("sees_reward", [True, False])
@pytest.mark.parametrize("head", ["linear", "hyper"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_network_acts_as_in_torch(cell: RecurrentCell, head: ActionHead, sees_reward: bool, memory: bool) -> None:
    controller = make_controller(cell=cell, head=head, sees_reward=sees_reward, memory=memory)
    controller.reset(3)
    robots, seen = stepper(controller, 3), []
    for obs, reward, start in sensors(3):
        expected = controller.act(obs, reward if sees_reward and memory else None, start)
        action = robots.act(obs=obs, previous_reward=reward, episode_start=start)
        np.testing.assert_allclose(action, expected, rtol=0, atol=1e-5)
        seen.append(action)
    reached = np.concatenate(seen)
    assert (reached.min(axis=0) == LOW.numpy()).all()
    assert (reached.max(axis=0) == HIGH.numpy()).all()


@pytest.mark.parametrize("sees_reward", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_belief_network_acts_as_in_torch(cell: RecurrentCell, sees_reward: bool) -> None:
    controller = make_controller(cell=cell, sees_reward=sees_reward, belief_size=6, belief_dim=3)
    controller.reset(3)
    robots = stepper(controller, 3)
    for obs, reward, start in sensors(3):
        expected = controller.act(obs, reward if sees_reward else None, start)
        action = robots.act(obs=obs, previous_reward=reward, episode_start=start)
        np.testing.assert_allclose(action, expected, rtol=0, atol=1e-5)
    assert robots.told["belief_hidden"].shape == (3, 6)
    assert controller.guessed_task().abs().min() > 0


def test_a_search_among_candidates_acts_as_in_torch() -> None:
    controller = make_controller(belief_size=6, belief_dim=3, num_candidates=20)
    controller.reset(3)
    robots, held = stepper(controller, 3), set()
    for obs, reward, start in sensors(3):
        expected = controller.act(obs, reward, start)
        action = robots.act(obs=obs, previous_reward=reward, episode_start=start)
        np.testing.assert_allclose(action, expected, rtol=0, atol=1e-5)
        held |= {float(guess) for guess in controller.guessed_task()[:, 0]}
    assert robots.told["likelihood"].shape == (3, 20)
    assert robots.told["likelihood"].min() < 0
    assert len(held) > 5


def test_robots_do_not_know_of_each_other() -> None:
    controller = make_controller()
    together, alone = stepper(controller, 2), stepper(controller, 1)
    for obs, reward, start in sensors(2):
        both = together.act(obs=obs, previous_reward=reward, episode_start=start)
        own = alone.act(obs=obs[1:], previous_reward=reward[1:], episode_start=start[1:])
        np.testing.assert_allclose(both[1:], own, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "inputs", "outputs"),
    [
        (
            {},
            {"obs": 5, "previous_action": 2, "previous_reward": None, "episode_start": None, "hidden": 16, "cell": 16},
            {"action": 2, "next_hidden": 16, "next_cell": 16},
        ),
        (
            {"cell": "gru", "sees_reward": False},
            {"obs": 5, "previous_action": 2, "episode_start": None, "hidden": 16},
            {"action": 2, "next_hidden": 16},
        ),
        ({"memory": False}, {"obs": 5}, {"action": 2}),
    ],
)
def test_what_goes_in_and_out(
    spec: dict[str, Any], inputs: dict[str, int | None], outputs: dict[str, int | None]
) -> None:
    session = stepper(make_controller(**spec), 1).session
    for found, expected in ((session.get_inputs(), inputs), (session.get_outputs(), outputs)):
        shapes = {name: ["robots", size] if size else ["robots"] for name, size in expected.items()}
        assert {each.name: each.shape for each in found} == shapes
        assert {each.type for each in found} == {"tensor(float)"}


def test_what_it_is_told_of_itself_is_in_the_file() -> None:
    model = step_model(make_controller(), {"family": "HalfCheetahLimbs", "limbs": "7"})
    told = onnxruntime.InferenceSession(model.SerializeToString()).get_modelmeta().custom_metadata_map
    assert told == {"family": "HalfCheetahLimbs", "limbs": "7"}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"task_dim": 1}, "this controller observes its task: it is an oracle to compare with, not to deploy"),
        (
            {"cell": "transformer", "context": 4},
            "cell of this controller is transformer, expected lstm or gru to export",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(spec: dict[str, Any], told: str) -> None:
    with pytest.raises(ControllerError) as error:
        step_model(make_controller(**spec), {})
    assert str(error.value) == told
