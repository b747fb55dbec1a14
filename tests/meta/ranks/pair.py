"""One of two ranks that learn, and what they must learn as: python -m tests.meta.ranks.pair OUT.

Noise is drawn for all trials at once, of which a rank takes its own, so that all that differs is who learns.
"""

import copy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from limbshift.envs.catalogue import make_family
from limbshift.meta.ranks.alone import Ranks
from limbshift.meta.ranks.together import Together
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.config import PPOConfig
from limbshift.meta.rl2.trainer import Trainer

TRIALS = 4
"""Of both ranks together."""
LSTM: Mapping[str, Any] = {}
ATTENDING = {"cell": "transformer", "head": "hyper"}


class SharedNoise:
    """Stands for torch in the collector: its noise has a row of trials more for each other rank."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def randn(self, shape: torch.Size, *, device: torch.device, **_: object) -> torch.Tensor:
        steps, trials, motors = shape
        generator = self.generator = getattr(self, "generator", torch.Generator().manual_seed(5))
        noise = torch.randn(steps, TRIALS, motors, generator=generator, device=device)
        return noise[:, self.ranks.rank * trials :][:, :trials]


def trainer_of(
    ranks: Ranks, *, overlap: bool, threads: int = 1, trials: int = TRIALS, network: Mapping[str, Any] = LSTM
) -> Trainer:
    """trials: of all ranks together."""
    return make_trainer(
        make_family("HalfCheetahLimbsDir"),
        num_envs=trials // ranks.size,
        episodes=2,
        horizon=10,
        hidden_size=8,
        ppo=PPOConfig(num_minibatches=1, sequence_length=5),
        overlap=overlap,
        num_threads=threads,
        ranks=ranks,
        **network,
    )


def learned(trainer: Trainer) -> dict[str, torch.Tensor]:
    states = {"policy": trainer.policy.state_dict(), "head": trainer.ppo.task_head.state_dict()}
    return {f"{part} {name}": value.clone() for part, state in states.items() for name, value in state.items()}


def learn(ranks: Ranks, *, overlap: bool, threads: int, network: Mapping[str, Any] = LSTM) -> dict[str, torch.Tensor]:
    """Returns what a trainer has come to after each of three iterations, of which the first fills the normalisers."""
    trainer = trainer_of(ranks, overlap=overlap, threads=threads, network=network)
    learnt: dict[str, torch.Tensor] = {}
    with patch("limbshift.meta.rl2.experience.collector.torch", SharedNoise(ranks)):
        for number in range(3):
            iteration = trainer.iterate(number / 10)
            learnt |= {f"{number} {name}": value for name, value in learned(trainer).items()}
            learnt[f"{number} scale"] = torch.tensor(iteration.reward_scale)
            learnt[f"{number} returns"] = torch.tensor(iteration.episode_returns)
            learnt[f"{number} losses"] = torch.tensor([*iteration.losses.values()])
            learnt[f"{number} steps"] = torch.tensor(trainer.progress.steps)
    tasks = ranks.gather({"tasks": trainer.storage.task_index})
    learnt["tasks"] = torch.cat([each["tasks"] for each in tasks])
    trainer.env.close()
    return learnt


def go_on(ranks: Ranks, out: Path) -> dict[str, torch.Tensor]:
    """Returns what a trainer comes to that is stopped and gone on from, less what the same one comes to at once."""
    straight, first, second = (trainer_of(ranks, overlap=True) for _ in range(3))
    for number in range(4):
        straight.iterate(number / 10)
    for number in range(2):
        first.iterate(number / 10)
    state = first.state_dict(ranks.gather(first.rank_state())[1:])
    torch.save(state, out / f"state-{ranks.rank}.pt")
    second.load_state_dict(ranks.share(copy.deepcopy(state) if ranks.rank == 0 else {}))
    for number in range(2, 4):
        second.iterate(number / 10)
    return {name: value - learned(straight)[name] for name, value in learned(second).items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    out, ranks = Path(sys.argv[1]), Together()
    results = {
        "in turn": learn(ranks, overlap=False, threads=1),
        "ahead, by two threads": learn(ranks, overlap=True, threads=2),
        "by attention": learn(ranks, overlap=False, threads=1, network=ATTENDING),
        "gone on": go_on(ranks, out),
    }
    ranks.leave()
    torch.save(results, out / f"{ranks.rank}.pt")
