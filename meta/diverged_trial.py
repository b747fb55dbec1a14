"""A trial whose simulation blew up, kept so that it can be played again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pydantic_core import from_json
from safetensors.torch import save
from torch import Tensor

from limbshift.agents.atomic_write import replacing
from limbshift.agents.controller_file import ControllerCard
from limbshift.agents.safe_tensors import read_tensors
from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.engine import CPU, Engine
from limbshift.envs.schema import Checked, Count, Share, Total, make, shortened
from limbshift.envs.trial_env import TrialEnv

FORMAT = "limbshift-diverged-1"
STATES = ("qpos", "qvel", "act", "ctrl")


TOLD = ("task_index", "train_tasks", "shift_probability", "mirror", "task")
"""What a file says in JSON, beside the card."""


class DumpError(InputError):
    """A file that holds no diverged trial."""


@dataclass(frozen=True)
class DivergedTrial(Checked):
    """A trial up to the step in which its simulation diverged: the same actions lead there again.

    Task i and its initial states depend on i and the seed alone, so that one simulation repeats what one of many did:
    on the CPU bit for bit.
    """

    card: ControllerCard
    """What was being trained."""
    task_index: Total
    train_tasks: Count | None
    shift_probability: Share
    task: dict[str, float]
    """At the last step."""
    actions: Tensor
    """(t, A) float32, as the policy gave them; the last is that of the step that diverged."""
    state: dict[str, Tensor]
    """qpos, qvel, act and ctrl before the last step, by name."""
    model_fields: dict[str, Tensor]
    """What the task made of the robot, by the name of the model field."""
    mirror: bool = False
    """Whether half of the trials were seen in a mirror; this one may have been."""

    def env(self, family: TaskFamily, engine: Engine = CPU) -> TrialEnv:
        """Returns an env of one simulation, whose next trial is this one."""
        family = family.with_train_tasks(self.train_tasks)
        env = _env(family, self.card, self.shift_probability, mirror=self.mirror, engine=engine)
        motors = env.task_env.action_dim
        if self.actions.shape[1] != motors or not 0 < len(self.actions) <= env.steps_per_trial:
            expected = f"(1 to {env.steps_per_trial}, {motors})"
            raise DumpError(f"actions of the trial have shape {tuple(self.actions.shape)}, expected {expected}")
        env.task_env.task_index.fill_(self.task_index - 1)
        return env

    def save(self, path: Path) -> None:
        """Writes a .safetensors file."""
        tensors = {"actions": self.actions}
        tensors |= {f"state.{name}": value for name, value in self.state.items()}
        tensors |= {f"model.{name}": value for name, value in self.model_fields.items()}
        about = {name: getattr(self, name) for name in TOLD}
        metadata = {"format": FORMAT, "about": json.dumps({**about, "card": asdict(self.card)})}
        with replacing(path) as temporary:
            temporary.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))

    @classmethod
    def load(cls, path: Path) -> "DivergedTrial":
        """Reads such a file; DumpError says what is wrong with it."""
        tensors, metadata = read_tensors(path, "diverged trial", DumpError)
        found = metadata.get("format", "a file without a format")
        if found != FORMAT:
            raise DumpError(f"{path} is {found[:60]}, expected {FORMAT}")
        try:
            about = from_json(metadata.get("about", ""), allow_inf_nan=False)
        except ValueError as error:
            raise DumpError(f"{path} does not say what it holds: {error}, expected a JSON object") from error
        actions = tensors.get("actions")
        if actions is None or actions.dtype != torch.float32 or actions.dim() != 2 or not actions.isfinite().all():
            raise DumpError(f"{path} holds no actions, expected finite float32 of shape (steps, motors)")
        if not isinstance(about, dict):
            raise DumpError(f"{path} says {shortened(about)} of what it holds, expected an object")
        card = make(ControllerCard, about.get("card"), f"card in {path}")
        parts = {
            kind: {name.removeprefix(kind): value for name, value in tensors.items() if name.startswith(kind)}
            for kind in ("state.", "model.")
        }
        held = {"actions": actions, "state": parts["state."], "model_fields": parts["model."]}
        return make(cls, {**about, "card": card, **held}, str(path))


def trace_back(
    family: TaskFamily,
    card: ControllerCard,
    actions: Tensor,
    *,
    task_index: int,
    train_tasks: int | None = None,
    shift_probability: float = 0.0,
    mirror: bool = False,
    engine: Engine = CPU,
) -> DivergedTrial:
    """Returns the trial on a training task in which (t, A) actions led to a divergence, found by playing it again.

    family: with the tasks that it is trained on. Nothing needs to be recorded while a training runs.
    """
    env = _env(family, card, shift_probability, mirror=mirror, engine=engine)
    env.task_env.task_index.fill_(task_index - 1)
    env.reset()
    for action in actions[:-1]:
        env.step(action.unsqueeze(0).to(env.task_env.device))
    physics = env.task_env.physics
    trial = DivergedTrial(
        card,
        task_index,
        train_tasks,
        shift_probability,
        {name: float(value[0]) for name, value in env.task_env.task.items()},
        actions.cpu(),
        {name: physics.state(name)[0].cpu().clone() for name in STATES},
        {name: physics.model_field(name)[0].cpu().clone() for name in family.model_fields},
        mirror,
    )
    env.close()
    return trial


def _env(
    family: TaskFamily, card: ControllerCard, shift_probability: float, *, mirror: bool, engine: Engine
) -> TrialEnv:
    return TrialEnv(
        family,
        1,
        card.episodes_per_trial,
        horizon=card.horizon,
        seed=card.seed,
        shift_probability=shift_probability,
        mirror=mirror,
        engine=engine,
    )
