"""Physics, network and update on a CUDA device, against MuJoCo on the CPU; `make check-gpu` runs these."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mujoco
import mujoco_warp
import numpy as np
import pytest
import torch
from torch import Tensor

from limbshift.agents.recurrent import PolicySpec, RecurrentActorCritic
from limbshift.envs.catalogue import families, make_family
from limbshift.envs.errors import CapacityError
from limbshift.envs.physics import warp as warp_physics
from limbshift.envs.physics.engine import CPU, Engine
from limbshift.envs.physics.warp import WarpPhysics
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.cli import main
from limbshift.meta.rl2.build import make_trainer as build_trainer
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.trainer import Trainer
from tests.envs.physics.test_warp import HEAP, REFUSED, SUBSTEPS, begun

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
CUDA = torch.device("cuda", 0)
WARP = Engine("warp", CUDA)
TINY = ["--num-envs", "4", "--episodes", "2", "--horizon", "5", "--hidden-size", "8", "--wandb", "disabled"]
ROBOTS = {make_family(name).robot.name: name for name in families() if name not in REFUSED}
"""A family of each robot: others of the same robot run the same kernels."""
DERIVED = ("body_mass", "body_subtreemass", "dof_invweight0", "body_invweight0", "actuator_acc0")
"""What a task's masses and motors come to."""


@contextmanager
def no_waiting() -> Iterator[None]:
    """A context in which torch raises where the host would wait for the device."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", ROBOTS.values())
def test_it_moves_as_mujoco_does(name: str) -> None:
    """Under per-world dynamics, robots in the air; a float32 robot in hard contact parts from a float64 one."""
    family = make_family(name)
    expected, actual = begun(family, CPU), begun(family, WARP)
    for _ in range(SUBSTEPS):
        for physics in (expected, actual):
            assert not physics.step(1).any()
        torch.testing.assert_close(actual.state("qpos").cpu().double(), expected.state("qpos"), rtol=0, atol=1e-4)
        for derived in family.robot.computed_fields:
            live = actual.computed_field(derived).cpu().double()
            torch.testing.assert_close(live, expected.computed_field(derived), rtol=0, atol=1e-4)
    actual.check()


@pytest.mark.parametrize("name", [name for name in families() if name not in REFUSED])
def test_what_tasks_change_is_the_same(name: str) -> None:
    """Each world's fields of the model, and what the simulators derive from them, where one has it by that name."""
    family = make_family(name)
    expected, actual = begun(family, CPU), begun(family, WARP)
    for field in family.model_fields:
        live = actual.model_field(field).cpu().double()
        torch.testing.assert_close(live, expected.model_field(field).double(), rtol=1e-6, atol=1e-6)
    for sim in range(2):
        (model, _), (own, _) = expected.snapshot(sim), actual.snapshot(sim)
        for field in DERIVED:
            np.testing.assert_allclose(getattr(own, field), getattr(model, field), rtol=1e-5, err_msg=field)


def test_a_replayed_step_is_the_step() -> None:
    replayed, eager = (begun(make_family("HalfCheetahLimbs"), WARP, 8) for _ in range(2))
    assert isinstance(replayed, WarpPhysics)
    assert isinstance(eager, WarpPhysics)
    on_device, data = eager.on_device, eager._data
    for _ in range(6):
        replayed.step(2)
        for _ in range(2):
            eager._launch(lambda: mujoco_warp.step(on_device, data))
    torch.testing.assert_close(replayed.state("qpos"), eager.state("qpos"), rtol=0, atol=1e-5)


@pytest.mark.parametrize("bad", [1e15, float("nan"), float("inf")])
def test_a_divergence_is_seen_alone(bad: float) -> None:
    physics = begun(make_family("InvertedPendulumBody"), WARP, 3)
    physics.state("qvel")[1, 0] = bad
    assert physics.step(5).tolist() == [False, True, False]
    assert physics.state("qpos").isfinite().all()
    assert physics.step(5).tolist() == [False, False, False]


def test_too_little_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warp_physics, "MAX_CONSTRAINTS", 8)
    crowded = WARP.simulate(mujoco.MjModel.from_xml_string(HEAP), 2)
    crowded.step(1)
    with pytest.raises(CapacityError, match=r"ran out of room \(NEFC\)"):
        crowded.check()


def play(env: TrialEnv) -> Tensor:
    """(T, N, trial_obs_dim) observations of two trials, on the CPU, under the same actions every time."""
    seen, generator = [], torch.Generator().manual_seed(3)
    shape = (env.steps_per_trial, env.num_envs, env.task_env.action_dim)
    actions = (2 * torch.rand(shape, generator=generator) - 1).to(env.task_env.device)
    for _ in range(2):
        seen.append(env.reset())
        seen += [env.step(action).obs.clone() for action in actions]
    return torch.stack(seen).cpu()


@pytest.mark.parametrize("name", ["InvertedPendulumBody", "HalfCheetahHardware", "HalfCheetahWiring"])
def test_a_trial_is_the_same_trial_on_both_engines(name: str) -> None:
    family = make_family(name)
    expected, actual = (play(TrialEnv(family, 4, 2, horizon=10, seed=5, engine=engine)) for engine in (CPU, WARP))
    torch.testing.assert_close(actual, expected, rtol=2e-2, atol=2e-2)


def make_trainer(name: str) -> Trainer:
    env = TrialEnv(make_family(name), 16, 2, horizon=6, observe_task=True, shift_probability=0.5, engine=WARP)
    spec = PolicySpec(env.task_env.obs_dim, env.task_env.action_dim, hidden_size=8)
    return Trainer(env, RecurrentActorCritic(spec).to(CUDA), PPOConfig(), gamma=0.95, seed=0)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")  # torch says so of the check itself
@pytest.mark.parametrize(
    "name", ["InvertedPendulumBody", "HalfCheetahDir", "HalfCheetahHardware", "AntLimbs", "ReacherLimbs"]
)
def test_an_iteration_never_waits_for_the_device(name: str) -> None:
    trainer = make_trainer(name)
    for _ in range(2):  # captures what is replayed, and makes the optimiser's state
        trainer.iterate(0.0)
    with no_waiting():
        update = trainer.learn(trainer.experience.take(), 0.2)
    assert update is not None
    assert all(value.isfinite() for value in (*update.losses, update.grad_norm))


def test_a_run_is_resumed_and_its_controller_acts_on_the_cpu(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out.json"
    command = ["train", "InvertedPendulumBody", "--physics", "warp", "--device", "cuda", "--run-dir", str(run)]
    assert main([*command, "--steps", "80", *TINY]) == 0
    assert main(["train", "--run-dir", str(run), "--resume", "--steps", "160", "--wandb", "disabled"]) == 0
    config = json.loads((run / "config.json").read_text())
    assert (config["physics"], config["device"]) == ("warp", "cuda")
    for physics, device in (("mujoco", "cpu"), ("warp", "cuda"), ("mujoco", "cuda")):
        asked = ["--physics", physics, "--device", device, "--tasks", "3", "--json", str(out)]
        assert main(["evaluate", str(run), *asked]) == 0
        assert json.loads(out.read_text())["device"] == device


@pytest.mark.parametrize(
    "options",
    [[], ["--overlap"], ["--overlap", "--ppo.sequence-length", "5", "--precision", "auto"]],
    ids=["in turn", "overlapped", "overlapped, in pieces, in the GPU's numbers"],
)
def test_physics_on_the_cpu_trains_a_network_on_the_gpu(options: list[str], tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out.json"
    command = ["train", "HalfCheetahDir", "--device", "cuda", "--run-dir", str(run), "--steps", "120"]
    assert main([*command, *options, *TINY]) == 0
    assert json.loads((run / "config.json").read_text())["device"] == "cuda"
    assert main(["evaluate", str(run), "--device", "cpu", "--tasks", "3", "--json", str(out)]) == 0
    assert json.loads(out.read_text())["device"] == "cpu"


def test_overlapped_training_on_the_gpu_is_the_same_each_time() -> None:
    """The learner's and the collector's streams wait for each other where one reads what the other writes."""
    policies = [overlapped_policy() for _ in range(2)]
    for one, other in zip(*policies, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def overlapped_policy() -> list[Tensor]:
    """Returns the parameters that five iterations give, of physics on CPU threads and a network on the GPU."""
    trainer = build_trainer(
        make_family("HalfCheetahDir"), num_envs=8, episodes=2, horizon=10, hidden_size=8, overlap=True, device=CUDA
    )
    for _ in range(5):
        iteration = trainer.iterate(0.0)
    trainer.env.close()
    assert np.isfinite(list(iteration.losses.values())).all()
    return [parameter.detach().cpu() for parameter in trainer.policy.parameters()]
