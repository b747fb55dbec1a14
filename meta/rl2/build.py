"""Puts a trainer together: env, policy and learner, all from one seed."""

from collections.abc import Callable

import torch

from limbshift.agents import ActionHead, RecurrentCell, chosen_belief_size
from limbshift.agents.belief.candidates import candidates_of
from limbshift.agents.recurrent import MAX_SIZE, PolicySpec, RecurrentActorCritic
from limbshift.envs.family import TaskFamily
from limbshift.envs.physics.engine import CPU, Engine
from limbshift.envs.tasks.streams import RandomStream
from limbshift.envs.tasks.task_space import TRAIN, TaskSpace
from limbshift.envs.trial_env import TrialEnv
from limbshift.meta.ranks.alone import ALONE, Ranks
from limbshift.meta.rl2.config import PPOConfig, Precision
from limbshift.meta.rl2.ppo import PPO
from limbshift.meta.rl2.precision import choose_precision
from limbshift.meta.rl2.trainer import Trainer

DEFAULT_PPO = PPOConfig()
CANDIDATE_DRAWS = 4096
"""Of so many tasks candidates are chosen."""


def make_trainer(
    family: TaskFamily,
    *,
    num_envs: int = 32,
    episodes: int | None = None,
    horizon: int | None = None,
    seed: int = 0,
    memory: bool = True,
    sees_reward: bool = True,
    observe_task: bool = False,
    hidden_size: int = 128,
    cell: RecurrentCell = "lstm",
    head: ActionHead = "linear",
    belief_size: int | None = None,
    gamma: float | None = None,
    initial_log_std: float | None = None,
    shift_probability: float = 0.0,
    mirror: bool = False,
    ppo: PPOConfig = DEFAULT_PPO,
    overlap: bool = False,
    precision: Precision = "float32",
    num_threads: int = 1,
    device: torch.device = CPU.device,
    engine: Engine = CPU,
    ranks: Ranks = ALONE,
    learner: Callable[..., PPO] = PPO,
) -> Trainer:
    """Returns a trainer with its env and its policy; what is None is the family's own. The network lives on the device.

    overlap, num_threads, ranks, learner: as `Trainer` takes them; trials of MuJoCo Warp are never collected ahead.
    A transformer sees whole trials, of up to 16,384 steps.

    >>> from limbshift.envs.catalogue import make_family
    >>> trainer = make_trainer(make_family("ReacherGoal"), num_envs=4, episodes=2, horizon=10, hidden_size=8)
    >>> iteration = trainer.iterate(spent=0.0)
    >>> trainer.progress.steps, len(iteration.episode_returns)
    (80, 2)
    >>> trainer.env.close()
    """
    belief_size = chosen_belief_size(belief_size, family.belief_size, cell, memory=memory, sees_task=observe_task)
    guided = family.guided and (observe_task or belief_size > 0)
    env = TrialEnv(
        family,
        num_envs,
        episodes,
        horizon=horizon,
        seed=seed,
        observe_task=True,  # for the learner; the policy looks at it only where it is the oracle
        shift_probability=shift_probability,
        mirror=mirror,
        look=family.guidance if guided else None,
        engine=engine,
        rank=ranks.rank,
        num_ranks=ranks.size,
    )
    spec = PolicySpec(
        env.task_env.obs_dim,
        env.task_env.action_dim,
        task_dim=family.task_space.encoding_dim if observe_task else 0,
        hidden_size=hidden_size,
        cell=cell,
        memory=memory,
        sees_reward=sees_reward,
        head=head,
        belief_size=belief_size,
        belief_dim=family.task_space.encoding_dim if belief_size else 0,
        num_candidates=family.num_candidates if belief_size and sees_reward else 0,
        context=min(env.steps_per_trial if memory else 1, MAX_SIZE) if cell == "transformer" else 0,
    )
    log_std = family.initial_log_std if initial_log_std is None else initial_log_std
    return Trainer(
        env,
        _make_policy(spec, log_std, family.task_space, seed=seed).to(device),
        ppo,
        gamma=family.gamma if gamma is None else gamma,
        seed=seed,
        overlap=overlap and engine.name == "mujoco",
        precision=choose_precision(precision, device),
        num_threads=num_threads,
        ranks=ranks,
        learner=learner,
    )


def _make_policy(spec: PolicySpec, log_std: float, space: TaskSpace, *, seed: int) -> RecurrentActorCritic:
    """Returns an untrained policy; candidates that it searches among are the same whatever the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = RecurrentActorCritic(spec, log_std)
    if spec.num_candidates:
        drawn = space.sample(TRAIN, RandomStream("candidates"), torch.arange(CANDIDATE_DRAWS))
        policy.search_among(candidates_of(space.encode(drawn).float(), spec.num_candidates))
    return policy
