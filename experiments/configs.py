"""What a person may choose; the docstrings are the command line's help."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from limbshift.agents import ActionHead, RecurrentCell, belief_fault, width_fault
from limbshift.envs.errors import InputError
from limbshift.envs.mjcf.fall_rule import FallLimit
from limbshift.envs.physics import EngineName
from limbshift.envs.schema import (
    ANY_SEQUENCE,
    Checked,
    Count,
    FilePath,
    Positive,
    Seed,
    Share,
    Steps,
    Width,
    between,
)
from limbshift.meta.rl2.config import PPOConfig, Precision

DEFAULT_MINUTES = 10.0
MAX_TAG = 64
"""Letters of a W&B tag."""

Device = Literal["auto", "cpu", "cuda"]
Log = Literal["wandb", "tensorboard"]
WandbMode = Literal["auto", "online", "offline", "disabled"]
"""`auto` is what WANDB_MODE says, or the user's W&B settings, if they keep data here; else offline."""
Algorithm = Literal["lstm", "gru", "hyper", "transformer", "no-memory", "ppo", "recurrent-ppo"]
FamilyArgument = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FAMILY")]
ControllerArgument = Annotated[str, tyro.conf.arg(metavar="CONTROLLER")]
NumTasks = Annotated[Count, tyro.conf.arg(name="tasks")]
LogStd = Annotated[float, between(-5, 2)]
Ranks = Annotated[int, between(1, 1024)]
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""Off unless it is given; others can be given as --name and as --no-name."""


@dataclass(frozen=True)
class TrainConfig(Checked):
    """Meta-train a controller on a task family."""

    family: FamilyArgument = ""
    """Task family, as `limbshift families` lists them; with --robot, one of Limbs (the default), Payload, Ground,
    Motors and Wiring."""
    robot: FilePath | None = None
    """MJCF file of your own robot."""
    fall_height: FallLimit = None
    """With --robot: it has fallen below this share of its starting height above the ground (none: never); by default
    0.5, and none where nothing pulls it down."""
    fall_tilt: FallLimit = None
    """With --robot: it has fallen when tilted by more than these degrees from its start (none: never); by default 60,
    and none where nothing pulls it down."""
    allow_outside: Flag = False
    """With --robot: let it refer to meshes, textures and other files outside its directory."""
    family_file: str | None = None
    """A task family of your own: FILE.py:Class or module:Class. Its code is run."""
    variant: str = "default"
    """Variant of the family."""
    preset: FilePath | None = None
    """Settings that `limbshift tune` found; options on the command line override them."""
    minutes: Positive | None = None
    """Stop after this much training; 10 if --steps is not given either. With --resume, the new total."""
    steps: Steps | None = None
    """Stop after this many env steps over all simulations. With --resume, the new total."""
    seed: Seed = 0
    """Seed of everything: weights, tasks, initial states, exploration."""
    run_dir: FilePath | None = None
    """Where the run's files go; by default a new directory below runs/."""
    resume: Flag = False
    """Go on with the run in --run-dir, with its settings. --minutes or --steps replaces its budget; --device,
    --threads, --ranks, --precision, --log, --wandb and what begins with it, --eval-minutes, --video-minutes and
    --family-file may change too; what contradicts the run is refused."""
    num_envs: Count = 32
    """Number of trials that run in parallel. More are played faster, above all on a GPU, but learnt from less often."""
    episodes: Count | None = None
    """Episodes in a trial; by default the family's."""
    horizon: Count | None = None
    """Steps in an episode; by default the family's."""
    device: Device = "auto"
    """Where the network and MuJoCo Warp run; auto takes the GPU if there is one."""
    physics: EngineName = "mujoco"
    """Simulator: MuJoCo on CPU threads, or MuJoCo Warp on the network's device (pip install '.[gpu]')."""
    ranks: Ranks | None = None
    """Processes that learn as one, each from --num-envs trials, on its share of this machine's cores, or on a GPU of
    its own; by default one, or as many as torchrun started."""
    scale_learning_rate: Flag = False
    """Multiply the learning rates by the square root of --ranks, as is usual for Adam on batches so many times larger;
    without it R ranks of N trials learn as one of R x N does."""
    threads: Count | None = None
    """CPU threads for simulation and learning together, of all of a machine's ranks; by default as many as there are
    cores."""
    overlap: bool = False
    """Collect the next trials while learning from the last ones, with the policy of one update before; never with
    MuJoCo Warp."""
    precision: Precision = "float32"
    """Numbers that the network computes with while learning; auto is bfloat16 where processor or GPU have it in
    hardware. Parameters are float32."""
    log: Log = "wandb"
    """Where metrics go beside metrics.jsonl: Weights & Biases, or files for TensorBoard in the run's directory (pip
    install '.[tensorboard]')."""
    wandb: WandbMode = "auto"
    """Weights & Biases mode; auto is what WANDB_MODE says, else offline: nothing is uploaded that nobody asked for."""
    wandb_group: str = ""
    """Group of the W&B run, such as the name of a sweep."""
    wandb_tags: Annotated[tuple[str, ...], ANY_SEQUENCE] = ()
    """Tags of the W&B run."""
    no_memory: Flag = False
    """Train without recurrent state, previous action and reward: a robust policy to compare with."""
    observe_task: Flag = False
    """Show the policy its task: an oracle to compare with."""
    teacher: FilePath | None = None
    """Imitate this controller, which is shown its task, in trials that the student plays, in place of learning from
    rewards: a run directory or a .safetensors file, trained with --observe-task. `limbshift distill` is shorter."""
    hide_reward: Flag = False
    """Hide the reward: adapt from observations and actions alone, as a robot in the field must."""
    train_tasks: Count | None = None
    """Train on only this many tasks, drawn once; by default on all of the family's, mostly an unlimited number."""
    shift_probability: Share = 0.0
    """Probability that a trial's task changes once, unannounced, at a random step."""
    mirror: Flag = False
    """See half of the trials in a mirror, as a robot that is alike on both sides may: what is learnt of one side is
    known of the other."""
    gamma: Share | None = None
    """Discount factor; by default the family's."""
    initial_log_std: LogStd | None = None
    """Log standard deviation of an untrained policy's actions; by default the family's."""
    hidden_size: Width = 128
    """Width of the encoder and of the recurrent cell; for a transformer a multiple of 8."""
    cell: RecurrentCell = "lstm"
    """What remembers: an LSTM; a GRU, which is smaller; or a transformer, which attends to all steps of a trial, and
    learns from whole trials."""
    head: ActionHead = "linear"
    """What reads actions: linear, from what is remembered beside the encoding; or hyper, a hypernetwork by which what
    is remembered makes the weights that read the encoding."""
    belief_size: Annotated[int, between(0, 16_384)] | None = None
    """Width of a belief network, such as 64: it infers the task, and the policy sees its guess; for the first part of
    the budget (--ppo.told-share) the task itself. 0 for none; by default the family's, which for most is 0."""
    eval_minutes: Positive = 2.0
    """Minutes of training between evaluations on validation tasks, by which the best checkpoint is chosen."""
    video_minutes: Positive = 10.0
    """Minutes of training between videos; one is always made at the end."""
    ppo: PPOConfig = field(default_factory=PPOConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.robot or self.resume or self.teacher):
            require_family(
                self.family, self.family_file, "one that `limbshift families` lists, --robot or --family-file"
            )
        for name in ("wandb_group", "preset", "family_file"):
            check_text(str(getattr(self, name) or ""), name)
        for tag in self.wandb_tags:
            check_text(tag, "wandb_tags")
            if not 1 <= len(tag) <= MAX_TAG:
                raise InputError(f"wandb_tags holds one of {len(tag)} letters, expected 1 to {MAX_TAG}")
        sees_task = self.observe_task
        belief = belief_fault(self.belief_size or 0, self.cell, memory=not self.no_memory, sees_task=sees_task)
        if fault := belief or width_fault(self.cell, self.hidden_size):
            raise InputError(fault)

    @property
    def budget_minutes(self) -> float | None:
        """Minutes of training; None where steps alone decide."""
        return DEFAULT_MINUTES if self.minutes is None and self.steps is None else self.minutes


@dataclass(frozen=True)
class DistillConfig(TrainConfig):
    """Teach a controller with memory what one does that is shown its task, on the same family."""

    family: tyro.conf.Suppress[str] = ""
    variant: tyro.conf.Suppress[str] = "default"
    resume: tyro.conf.Suppress[bool] = False
    observe_task: tyro.conf.Suppress[bool] = False
    teacher: Annotated[tyro.conf.Positional[FilePath | None], tyro.conf.arg(metavar="TEACHER")] = None
    """A run directory or a .safetensors file of a controller that was trained with --observe-task."""

    def __post_init__(self) -> None:
        if not self.teacher:
            raise InputError("TEACHER is missing, expected a run that was trained with --observe-task")
        super().__post_init__()


@dataclass(frozen=True)
class FamiliesConfig(Checked):
    """List the task families, or describe one."""

    family: FamilyArgument = ""
    """Family to describe."""
    family_file: str | None = None
    """A task family of your own to describe: FILE.py:Class or module:Class. Its code is run."""
    markdown: Flag = False
    """Print the list as a Markdown table, as in the README."""
    picture: FilePath | None = None
    """Write a picture of every robot to this PNG file."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.picture and self.picture.suffix.lower() != ".png":
            raise InputError(f"picture is {self.picture}, expected a name that ends in .png")


@dataclass(frozen=True)
class DemoConfig(Checked):
    """Train a small controller for about 90 seconds, evaluate it, and make a video of it adapting."""

    out: FilePath | None = None
    """Directory for the results; by default runs/demo, with a number if that is taken."""
    minutes: Positive = 1.5
    """Minutes of training."""
    wandb: WandbMode = "auto"
    """Weights & Biases mode; auto is what WANDB_MODE says, else offline: nothing is uploaded that nobody asked for."""


@dataclass(frozen=True)
class RegressionConfig(Checked):
    """Show the idea of meta-learning in a minute: an LSTM and MAML fit lines and sinusoids from a few points."""

    seed: Seed = 0
    """Seed of weights, functions and points."""
    iterations: Count = 400
    """Meta-training steps of each learner on each kind of function."""
    plot: FilePath | None = None
    """Draw the errors to this PNG file."""


def check_text(text: str, name: str) -> None:
    """Raises InputError for what a file of text could not hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{name} is {text!r}, expected letters of Unicode") from error


def require_family(family: str, family_file: str | None, expected: str) -> None:
    """Raises InputError unless there is one of the two."""
    if not (family or family_file):
        raise InputError(f"FAMILY is missing, expected {expected}")
