"""What a person may choose; the docstrings are the command line's help."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from limbshift.agents import RecurrentCell
from limbshift.envs.errors import InputError
from limbshift.envs.physics import EngineName
from limbshift.meta.rl2.config import PPOConfig

DEFAULT_MINUTES = 10.0

Device = Literal["auto", "cpu", "cuda"]
WandbMode = Literal["auto", "online", "offline", "disabled"]
"""`auto` is what WANDB_MODE or the user's W&B settings say; else online where a key is configured, else offline."""
Algorithm = Literal["lstm", "gru", "no-memory"]
FamilyArgument = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FAMILY")]
ControllerArgument = Annotated[str, tyro.conf.arg(metavar="CONTROLLER")]
NumTasks = Annotated[int, tyro.conf.arg(name="tasks")]


@dataclass(frozen=True)
class TrainConfig:
    """Meta-train a controller on a task family."""

    family: FamilyArgument = ""
    """Task family, as `limbshift families` lists them; with --robot, one of Limbs (the default), Payload, Ground,
    Motors and Wiring."""
    robot: Path | None = None
    """MJCF file of your own robot."""
    family_file: str | None = None
    """A task family of your own: FILE.py:Class or module:Class. Its code is run."""
    variant: str = "default"
    """Variant of the family."""
    preset: Path | None = None
    """Settings that `limbshift tune` found; options on the command line override them."""
    minutes: float | None = None
    """Stop after this much training; 10 if --steps is not given either. With --resume, the new total."""
    steps: int | None = None
    """Stop after this many env steps over all simulations. With --resume, the new total."""
    seed: int = 0
    """Seed of everything: weights, tasks, initial states, exploration."""
    run_dir: Path | None = None
    """Where the run's files go; by default a new directory below runs/."""
    resume: bool = False
    """Go on with the run in --run-dir, with its settings. --minutes or --steps replaces its budget; --device, --wandb,
    --eval-minutes, --video-minutes and --family-file may change too; what contradicts the run is refused."""
    num_envs: int = 64
    """Number of trials that run in parallel."""
    episodes: int | None = None
    """Episodes in a trial; by default the family's."""
    horizon: int | None = None
    """Steps in an episode; by default the family's."""
    device: Device = "auto"
    """Where the network and MuJoCo Warp run; auto takes the GPU if there is one."""
    physics: EngineName = "mujoco"
    """Simulator: MuJoCo on CPU threads, or MuJoCo Warp on the network's device (pip install '.[gpu]')."""
    wandb: WandbMode = "auto"
    """Weights & Biases mode; auto is online if an API key is configured, else offline."""
    no_memory: bool = False
    """Train without recurrent state, previous action and reward: a robust policy to compare with."""
    observe_task: bool = False
    """Show the policy its task: an oracle to compare with."""
    hide_reward: bool = False
    """Hide the reward: adapt from observations and actions alone, as a robot in the field must."""
    train_tasks: int | None = None
    """Train on only this many tasks, drawn once; by default on all of the family's, mostly an unlimited number."""
    shift_probability: float = 0.0
    """Probability that a trial's task changes once, unannounced, at a random step."""
    gamma: float | None = None
    """Discount factor; by default the family's."""
    initial_log_std: float | None = None
    """Log standard deviation of an untrained policy's actions; by default the family's."""
    hidden_size: int = 128
    """Width of the encoder and of the recurrent cell."""
    cell: RecurrentCell = "lstm"
    """Recurrent cell: an LSTM, or a GRU, which is smaller."""
    eval_minutes: float = 2.0
    """Minutes of training between evaluations on held-out tasks."""
    video_minutes: float = 10.0
    """Minutes of training between videos; one is always made at the end."""
    ppo: PPOConfig = field(default_factory=PPOConfig)

    def __post_init__(self) -> None:
        if not (self.robot or self.resume):
            require_family(
                self.family, self.family_file, "one that `limbshift families` lists, --robot or --family-file"
            )
        for name in (
            "minutes",
            "steps",
            "num_envs",
            "episodes",
            "horizon",
            "train_tasks",
            "hidden_size",
            "eval_minutes",
            "video_minutes",
        ):
            require_positive(name, getattr(self, name))
        for name in ("learning_rate", "clip_coef", "max_grad_norm", "update_epochs", "num_minibatches"):
            require_positive(f"ppo.{name}", getattr(self.ppo, name))
        if self.gamma is not None and not 0 <= self.gamma <= 1:
            raise InputError(f"gamma is {self.gamma}, expected a number from 0 to 1")
        if self.initial_log_std is not None and not -5 <= self.initial_log_std <= 2:
            raise InputError(f"initial_log_std is {self.initial_log_std}, expected a number from -5 to 2")
        if not 0 <= self.shift_probability <= 1:
            raise InputError(f"shift_probability is {self.shift_probability}, expected a number from 0 to 1")

    @property
    def budget_minutes(self) -> float | None:
        """Minutes of training; None where steps alone decide."""
        return DEFAULT_MINUTES if self.minutes is None and self.steps is None else self.minutes


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure how a controller adapts to unseen tasks, beside controls without memory and random actions."""

    controller: tyro.conf.Positional[ControllerArgument]
    """A run directory, a .safetensors file, or the name of a shipped controller."""
    split: str = "heldout"
    """Which tasks: train, heldout or extrapolation."""
    num_tasks: NumTasks = 64
    """Number of tasks, one trial on each."""
    episodes: int | None = None
    """Episodes in a trial; by default as trained."""
    horizon: int | None = None
    """Steps in an episode; by default as trained."""
    seed: int = 0
    """Seed of the tasks and initial states."""
    sample: bool = False
    """Sample actions instead of taking the mean."""
    shift_at: int | None = None
    """Change each trial's task before this step, unannounced; the first step of a trial is 0."""
    device: Device = "auto"
    """Where the network and MuJoCo Warp run; auto takes the GPU if there is one."""
    physics: EngineName = "mujoco"
    """Simulator; it need not be the one that the controller was trained on."""
    json: Path | None = None
    """Write all results to this JSON file."""
    plot: Path | None = None
    """Draw the adaptation curve to this PNG file."""
    family_file: str | None = None
    """The family of your own that the controller was trained on: FILE.py:Class or module:Class. Its code is run."""

    def __post_init__(self) -> None:
        require_positive("tasks", self.num_tasks)
        for name in ("episodes", "horizon"):
            require_positive(name, getattr(self, name))


@dataclass(frozen=True)
class RenderConfig:
    """Make a captioned video of whole trials on several tasks side by side."""

    controller: tyro.conf.Positional[ControllerArgument] = ""
    """A run directory, a .safetensors file, or the name of a shipped controller."""
    split: str = "heldout"
    """Which tasks: train, heldout or extrapolation."""
    num_tasks: NumTasks = 3
    """Number of tasks, shown side by side."""
    seed: int = 0
    """Seed of the tasks and initial states."""
    episodes: int | None = None
    """Episodes in a trial; by default as trained."""
    horizon: int | None = None
    """Steps in an episode; by default as trained."""
    out: Path = Path("adaptation.mp4")
    """The video file."""
    device: Device = "auto"
    """Where the network and MuJoCo Warp run; auto takes the GPU if there is one."""
    physics: EngineName = "mujoco"
    """Simulator; it need not be the one that the controller was trained on."""
    dump: Path | None = None
    """Show instead how a simulation diverged while training: a file diverged-STEPS.safetensors of a run directory."""
    family_file: str | None = None
    """The family of your own that the controller was trained on: FILE.py:Class or module:Class. Its code is run."""

    def __post_init__(self) -> None:
        if not (self.controller or self.dump):
            raise InputError("CONTROLLER is missing: see limbshift render --help")
        require_positive("tasks", self.num_tasks)
        for name in ("episodes", "horizon"):
            require_positive(name, getattr(self, name))


@dataclass(frozen=True)
class FamiliesConfig:
    """List the task families, or describe one."""

    family: FamilyArgument = ""
    """Family to describe."""
    family_file: str | None = None
    """A task family of your own to describe: FILE.py:Class or module:Class. Its code is run."""
    markdown: bool = False
    """Print the list as a Markdown table, as in the README."""
    picture: Path | None = None
    """Write a picture of every robot to this PNG file."""


@dataclass(frozen=True)
class DemoConfig:
    """Train a small controller for about 90 seconds, evaluate it, and make a video of it adapting."""

    out: Path | None = None
    """Directory for the results; by default runs/demo, with a number if that is taken."""
    minutes: float = 1.5
    """Minutes of training."""
    wandb: WandbMode = "auto"
    """Weights & Biases mode; auto is online if an API key is configured, else offline."""

    def __post_init__(self) -> None:
        require_positive("minutes", self.minutes)


@dataclass(frozen=True)
class BenchConfig:
    """Measure the speed of this machine: of the simulator alone, of our env, and of training."""

    family: FamilyArgument = ""
    """Task family; by default HalfCheetahDir."""
    family_file: str | None = None
    """A task family of your own: FILE.py:Class or module:Class. Its code is run."""
    num_envs: int = 64
    """Number of trials that run in parallel."""
    episodes: int = 2
    """Episodes in a trial."""
    horizon: int = 100
    """Steps in an episode."""
    device: Device = "auto"
    """Where the network and MuJoCo Warp run; auto takes the GPU if there is one."""
    physics: EngineName = "mujoco"
    """Simulator: MuJoCo on CPU threads, or MuJoCo Warp on the network's device."""
    rounds: int = 15
    """How often each speed is measured; medians are printed."""
    gpu: bool = False
    """Compare the two simulators instead: speed by number of parallel trials, and time to learn."""
    worlds: tuple[int, ...] = (64, 256, 1024, 4096, 16384)
    """With --gpu: numbers of parallel trials."""
    seconds: float = 3.0
    """With --gpu: seconds for which each speed is measured."""
    goal: float = 200.0
    """With --gpu: return per episode that counts as learnt."""
    minutes: float = 5.0
    """With --gpu: minutes after which learning is given up."""

    def __post_init__(self) -> None:
        for name in ("num_envs", "episodes", "horizon", "rounds", "seconds", "minutes"):
            require_positive(name, getattr(self, name))
        if not self.worlds:
            raise InputError("worlds is empty, expected numbers above 0")
        for count in self.worlds:
            require_positive("worlds", count)


@dataclass(frozen=True)
class RegressionConfig:
    """Show the idea of meta-learning in a minute: an LSTM and MAML fit lines and sinusoids from a few points."""

    seed: int = 0
    """Seed of weights, functions and points."""
    iterations: int = 400
    """Meta-training steps of each learner on each kind of function."""
    plot: Path | None = None
    """Draw the errors to this PNG file."""

    def __post_init__(self) -> None:
        require_positive("iterations", self.iterations)


def require_family(family: str, family_file: str | None, expected: str) -> None:
    """Raises InputError unless there is one of the two."""
    if not (family or family_file):
        raise InputError(f"FAMILY is missing, expected {expected}")


def require_positive(name: str, value: float | None) -> None:
    """Raises InputError unless value is None or a finite number above 0."""
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise InputError(f"{name} is {value}, expected a number above 0")
