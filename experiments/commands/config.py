"""What a person may choose of a controller that is evaluated, filmed or exported; docstrings are the help."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from limbshift.envs.errors import InputError
from limbshift.envs.physics import EngineName
from limbshift.envs.schema import Checked, Count, FilePath, Positive, Seed, Total
from limbshift.experiments.configs import ControllerArgument, Device, Flag, NumTasks


@dataclass(frozen=True)
class EvaluateConfig(Checked):
    """Measure how a controller adapts to unseen tasks, beside controls without memory and random actions."""

    controller: tyro.conf.Positional[ControllerArgument]
    """A run directory, a .safetensors file, the name of a shipped controller, or a run as wandb://ENTITY/PROJECT/RUN."""
    split: str = "heldout"
    """Which tasks: train, heldout, validation or extrapolation."""
    num_tasks: NumTasks = 64
    """Number of tasks, one trial on each."""
    episodes: Count | None = None
    """Episodes in a trial; by default as trained."""
    horizon: Count | None = None
    """Steps in an episode; by default as trained."""
    seed: Seed = 0
    """Seed of the tasks and initial states."""
    sample: Flag = False
    """Sample actions instead of taking the mean."""
    shift_at: Total | None = None
    """Change each trial's task before this step, unannounced; the first step of a trial is 0."""
    device: Device = "auto"
    """Where the network and MuJoCo Warp run; auto takes the GPU if there is one."""
    physics: EngineName = "mujoco"
    """Simulator; it need not be the one that the controller was trained on."""
    json: FilePath | None = None
    """Write all results to this JSON file."""
    plot: FilePath | None = None
    """Draw the adaptation curve to this PNG file."""
    family_file: str | None = None
    """The family of your own that the controller was trained on: FILE.py:Class or module:Class. Its code is run."""


@dataclass(frozen=True)
class CameraConfig(Checked):
    """From where the robot is seen; what is not given is as its designer chose."""

    distance: Positive | None = None
    """Metres from what is looked at."""
    azimuth: float | None = None
    """Degrees: 90 looks along y, with x to the right; 180 looks back along x."""
    elevation: float | None = None
    """Degrees: -90 looks straight down."""

    @property
    def given(self) -> dict[str, float]:
        """Returns what is given, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class RenderConfig(Checked):
    """Make a captioned video of whole trials on several tasks side by side."""

    controller: tyro.conf.Positional[ControllerArgument] = ""
    """A run directory, a .safetensors file, the name of a shipped controller, or a run as wandb://ENTITY/PROJECT/RUN."""
    split: str = "heldout"
    """Which tasks: train, heldout, validation or extrapolation."""
    num_tasks: NumTasks = 3
    """Number of tasks, shown side by side; all, where the split has fewer."""
    seed: Seed = 0
    """Seed of the tasks and initial states."""
    episodes: Count | None = None
    """Episodes in a trial; by default as trained."""
    horizon: Count | None = None
    """Steps in an episode; by default as trained."""
    against: str = ""
    """Below each robot the same task and initial state again: memory-off, for the same controller whose memory is
    wiped before each step; random, for random actions; or another controller, such as one trained with --no-memory."""
    camera: CameraConfig = CameraConfig()
    """From where robots are seen."""
    out: FilePath = Path("adaptation.mp4")
    """The video file, .mp4 or .gif."""
    device: Device = "auto"
    """Where the network and MuJoCo Warp run; auto takes the GPU if there is one."""
    physics: EngineName = "mujoco"
    """Simulator; it need not be the one that the controller was trained on."""
    dump: Path | None = None
    """Show instead how a simulation diverged while training: a file diverged-STEPS.safetensors of a run directory."""
    family_file: str | None = None
    """The family of your own that the controller was trained on: FILE.py:Class or module:Class. Its code is run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.controller or self.dump):
            raise InputError("CONTROLLER is missing: see limbshift render --help")
        if self.out.suffix not in (".mp4", ".gif"):
            raise InputError(f"out is {self.out}, expected a name that ends in .mp4 or .gif")


@dataclass(frozen=True)
class ExportConfig(Checked):
    """Write one step of a controller as an ONNX file, which runs where there is no PyTorch (pip install '.[onnx]')."""

    controller: tyro.conf.Positional[ControllerArgument]
    """A run directory, a .safetensors file, the name of a shipped controller, or a run as wandb://ENTITY/PROJECT/RUN."""
    out: FilePath = Path("controller.onnx")
    """The ONNX file."""
    family_file: str | None = None
    """The family of your own that the controller was trained on: FILE.py:Class or module:Class. Its code is run."""
