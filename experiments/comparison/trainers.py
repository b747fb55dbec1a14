"""How each method of a comparison is trained."""

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from limbshift.agents.actor import PolicyActor
from limbshift.agents.feedforward import FeedforwardActorCritic
from limbshift.agents.heads import GuessHead
from limbshift.envs.errors import InputError, RunFailure
from limbshift.envs.trial_env import TrialEnv
from limbshift.experiments.comparison.methods import METHODS, Method
from limbshift.experiments.comparison.timed_training import MakeAct, Setting, TimedTraining
from limbshift.experiments.runs.own_code import OwnCode, code_hash, importing_beside, place_of
from limbshift.meta.distillation.distiller import Distiller
from limbshift.meta.evaluation.trials import Act, random_actor
from limbshift.meta.maml.outer_loop import MAML, MAMLConfig
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.trainer import Trainer

Train = Callable[[Setting, TimedTraining], MakeAct]
"""Trains a method until the clock says stop, and returns the policy that came of it."""
MAX_NAME = 64
"""Letters of a method's name, which files have too."""
CODE = OwnCode("method_files", "function", InputError)


@dataclass
class Ours:
    """A policy of ours as it is now, ready for new trials; and what its memory knows of their tasks."""

    trainer: Trainer
    guesses: GuessHead | None = None
    """What tells the task from its memory, where it learnt to tell one that it is not shown."""

    def __call__(self, env: TrialEnv) -> PolicyActor:
        return PolicyActor(self.trainer.policy, env.num_envs)

    def guessing(self, env: TrialEnv) -> "PolicyActor | GuessingActor":
        """Returns the policy with its guesses kept, where it guesses."""
        return self(env) if self.guesses is None else GuessingActor(self(env), self.guesses, env)


@dataclass
class GuessingActor:
    """Acts as a policy does, and keeps by how much guesses from its memory miss the tasks."""

    actor: PolicyActor
    head: GuessHead
    env: TrialEnv
    errors: list[float] = field(default_factory=list)
    """By step: squared errors, as a share of the tasks' variance. Who knows their mean has 1, and who knows all 0; none
    where all tasks are one."""

    @torch.no_grad()
    def __call__(self, obs: Tensor) -> Tensor:
        action = self.actor(obs)
        task = self.env.task_env.encoded_task()
        missed = (self.head(self.actor.features) - task).square().sum()
        spread = (task - task.mean(dim=0)).square().sum()
        self.errors += [float(missed / spread)] if spread > 0 else []
        return action


def trainer_for(setting: Setting, **options: Any) -> Trainer:
    """Returns a trainer of ours with what all methods have in common, and these options of `make_trainer`."""
    return make_trainer(
        setting.family,
        num_envs=setting.num_envs,
        episodes=setting.episodes,
        horizon=setting.horizon,
        seed=setting.seed,
        hidden_size=setting.hidden_size,
        cell=setting.cell,
        head=setting.head,
        belief_size=setting.belief_size,
        gamma=setting.gamma,
        initial_log_std=setting.initial_log_std,
        ppo=setting.ppo,
        **options,
    )


def train_ours(
    setting: Setting,
    timed: TimedTraining,
    *,
    memory: bool = True,
    observe_task: bool = False,
    auxiliary_loss: bool = True,
) -> MakeAct:
    """Trains as `limbshift train` does; without the auxiliary loss, by which the memory tells the task, plain RL²."""
    trainer = trainer_for(
        setting if auxiliary_loss else setting.tuned({"ppo.task_coef": 0.0}),
        memory=memory,
        observe_task=observe_task,
        sees_reward=not setting.hide_reward,
    )
    make_act = Ours(trainer, guesses=trainer.ppo.known_task_head if memory and not observe_task else None)
    with closing(trainer.env):
        timed.run(trainer.iterate, lambda: trainer.progress.steps, make_act)
    return make_act


def train_rma(setting: Setting, timed: TimedTraining) -> MakeAct:
    """Trains a teacher that is shown its task, for half of the budget, and then a student that imitates it."""
    teacher = trainer_for(setting, observe_task=True)
    learner = partial(Distiller, teacher=teacher.policy)
    student = trainer_for(setting, sees_reward=not setting.hide_reward, learner=learner)

    def iterate(spent: float) -> None:
        if spent < 0.5:
            teacher.iterate(2 * spent)
        else:
            student.iterate(2 * spent - 1)

    make_act = Ours(student)
    timed.run(iterate, lambda: teacher.progress.steps + student.progress.steps, make_act)
    for trainer in (teacher, student):
        trainer.env.close()
    if not student.progress.steps:
        raise InputError("the budget of rma ends with its teacher's first iteration, expected one of two at least")
    return make_act


def train_maml(setting: Setting, timed: TimedTraining) -> MakeAct:
    """Trains a policy of which each task has its own copy, which is improved after each of its episodes."""
    env = TrialEnv(setting.family, setting.num_envs, setting.episodes, horizon=setting.horizon, seed=setting.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.seed)
        policy = FeedforwardActorCritic.of_size(
            env.task_env.obs_dim,
            env.task_env.action_dim,
            setting.hidden_size,
            initial_log_std=setting.initial_log_std,
        )
    config = MAMLConfig(first_order=setting.first_order)
    maml = MAML(env, policy, config, gamma=setting.gamma, seed=setting.seed)

    def make_act(env: TrialEnv) -> Act:
        return maml.actor(env, torch.Generator().manual_seed(setting.seed))

    timed.run(maml.iterate, lambda: maml.steps, make_act)
    env.close()
    return make_act


def train_random(setting: Setting, timed: TimedTraining) -> MakeAct:
    """Acts at random: nothing is learnt."""

    def make_act(env: TrialEnv) -> Act:
        return random_actor(env, setting.seed)

    timed.look(0, make_act)
    return make_act


def train_sb3(name: str) -> Train:
    """Returns one of Stable-Baselines3's, which is imported when it is asked for: an optional extra."""

    def train(setting: Setting, timed: TimedTraining) -> MakeAct:
        from limbshift.experiments.comparison import sb3_baselines

        return sb3_baselines.TRAIN[name](setting, timed)

    return train


TRAIN: dict[str, Train] = {
    "limbshift": train_ours,
    "rl2": partial(train_ours, auxiliary_loss=False),
    "hyper": train_ours,
    "transformer": train_ours,
    "belief": train_ours,
    "no-memory": partial(train_ours, memory=False),
    "oracle": partial(train_ours, observe_task=True),
    "ceiling": partial(train_ours, observe_task=True),
    "rma": train_rma,
    "maml": train_maml,
    "ppo": train_sb3("ppo"),
    "sac": train_sb3("sac"),
    "recurrent-ppo": train_sb3("recurrent-ppo"),
    "finetune": train_sb3("finetune"),
    "random": train_random,
}
"""By method."""


def add_own(references: Sequence[str]) -> list[str]:
    """Makes methods of the user's own known, each a function `FILE.py:function`, and returns their names.

    Raises InputError where there is no such function, where it does not take a setting and a training, and where
    another of them, or one of ours, has its name.
    """
    own: dict[str, tuple[Method, Train]] = {}
    modules = {place: CODE.load(place) for place in dict.fromkeys(CODE.split(each)[0] for each in references)}
    for reference in references:
        name, found = own_method(modules[CODE.split(reference)[0]], reference)
        if name in own or (name in METHODS and not METHODS[name].code):
            known = "two methods" if name in own else "a method that comes with limbshift"
            raise InputError(f"method_files: {name} is the name of {known}, expected each method to have its own")
        if len(name) > MAX_NAME:
            raise InputError(f"method_files: {name} has {len(name)} letters, expected {MAX_NAME} at most")
        own[name] = found
    METHODS.update((name, method) for name, (method, _) in own.items())
    TRAIN.update((name, train) for name, (_, train) in own.items())
    return list(own)


def own_method(module: ModuleType, reference: str) -> tuple[str, tuple[Method, Train]]:
    """Returns the name of a function of the user's, what is known of it, and the function."""
    place, name = CODE.split(reference)
    train = vars(module).get(name)
    if not inspect.isfunction(train):
        raise InputError(f"{place} has no function {name}, expected one")
    try:
        inspect.signature(train).bind("setting", "timed")
    except TypeError as error:
        raise InputError(f"{reference} cannot be called with a setting and a training ({error})") from error
    description = next(iter((inspect.getdoc(train) or "").splitlines()), f"of {place}")
    return name, (Method(description, tuned_as=None, reference=reference, code=code_hash(place)), train)


@contextmanager
def of_own(method: Method) -> Iterator[None]:
    """Tells in one line what a method of the user's own raises, and where; and takes back what it changed for all."""
    if not method.reference:
        yield
        return
    folder, kind, gradients = Path.cwd(), torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        with importing_beside(place_of(method.reference)):
            yield
    except RunFailure:
        raise
    except InputError as error:
        raise InputError(f"{method.reference}: {error}") from error
    except (Exception, SystemExit) as error:  # whatever a user's code may raise
        raise CODE.failure(method.reference, error) from error
    finally:
        os.chdir(folder)
        torch.set_default_dtype(kind)
        torch.set_grad_enabled(gradients)
