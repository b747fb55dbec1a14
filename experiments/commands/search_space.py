"""The settings of training that a search goes through."""

from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from limbshift.envs.errors import InputError
from limbshift.envs.family import TaskFamily
from limbshift.experiments.comparison.config import TuneConfig
from limbshift.experiments.configs import Algorithm

if TYPE_CHECKING:
    from optuna import Trial

CELLS = ("lstm", "gru")
"""Of limbshift itself; other algorithms are methods of their own."""


class Choice(NamedTuple):
    """Any of some values."""

    values: tuple[Any, ...]

    def suggested(self, trial: "Trial", name: str) -> object:
        return trial.suggest_categorical(name, self.values)

    def in_sweep(self) -> dict[str, object]:
        return {"values": list(self.values)}


class Range(NamedTuple):
    """Numbers from low to high."""

    low: float
    high: float
    log: bool = False

    def suggested(self, trial: "Trial", name: str) -> object:
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def in_sweep(self) -> dict[str, object]:
        spread = "log_uniform_values" if self.log else "uniform"
        return {"distribution": spread, "min": self.low, "max": self.high}


class Whole(NamedTuple):
    """Whole numbers from low to high."""

    low: int
    high: int

    def suggested(self, trial: "Trial", name: str) -> object:
        return trial.suggest_int(name, self.low, self.high)

    def in_sweep(self) -> dict[str, object]:
        return {"distribution": "int_uniform", "min": self.low, "max": self.high}


def search_space(algorithms: tuple[Algorithm, ...], family: TaskFamily) -> dict[str, Choice | Range | Whole]:
    """Returns what is searched, by the names of `limbshift train`'s settings; `algorithm` stands for several."""
    return {
        "algorithm": Choice(algorithms),
        "hidden_size": Choice((64, 128, 256)),
        "gamma": Range(min(0.9, family.gamma), 0.999),
        "initial_log_std": Range(-2.0, 0.0),
        "ppo.learning_rate": Range(1e-4, 3e-3, log=True),
        "ppo.clip_coef": Range(0.05, 0.3),
        "ppo.gae_lambda": Range(0.8, 1.0),
        "ppo.ent_coef": Range(1e-4, 2e-2, log=True),
        "ppo.update_epochs": Whole(2, 8),
        "ppo.num_minibatches": Choice((4, 8, 16, 32)),
    }


def sweep(config: TuneConfig, family: TaskFamily) -> str:
    """Returns the same search as a sweep of Weights & Biases, in YAML; InputError for what is no cell."""
    if others := set(config.algorithms) - set(CELLS):
        raise InputError(f"algorithms are {', '.join(sorted(others))}, expected {' or '.join(CELLS)} in a W&B sweep")
    space = search_space(config.algorithms, family)
    space["cell"] = space.pop("algorithm")
    budget = {"steps": config.trial_steps} if config.trial_steps else {"minutes": config.trial_minutes}
    options: dict[str, object] = {
        **budget,
        "num-envs": config.num_envs,
        "seed": config.seed,
        "variant": config.variant,
        "wandb": "online",
        **{name: value for name in ("episodes", "horizon") if (value := getattr(config, name)) is not None},
        **({"family-file": config.family_file} if config.family_file else {}),
    }
    own = [] if config.family_file else [family.name]
    fixed = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    episodes = config.episodes or family.episodes_per_trial
    content = {
        "project": "limbshift",
        "program": "limbshift",
        "command": ["limbshift", "train", *own, *fixed, "${args}"],
        "method": "bayes",
        "metric": {"name": f"validation/return_episode_{episodes}", "goal": "maximize"},
        "parameters": {name.replace("_", "-"): part.in_sweep() for name, part in space.items()},
    }
    text: str = yaml.safe_dump(content, sort_keys=False)
    return text
