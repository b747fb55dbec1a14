"""What the benchmark may be told; the docstrings are the command line's help."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import MinLen

from limbshift.envs.physics import EngineName
from limbshift.envs.schema import ANY_SEQUENCE, Checked, Count, FilePath, Positive
from limbshift.experiments.configs import Device, FamilyArgument, Flag


@dataclass(frozen=True)
class BenchConfig(Checked):
    """Measure speed on this machine, as ratios: ours beside what it stands on and beside others, in turn."""

    family: FamilyArgument = ""
    """Measure this task family, by what can be measured of any; by default all is measured, each of its own family."""
    family_file: str | None = None
    """A task family of your own: FILE.py:Class or module:Class. Its code is run."""
    measures: Annotated[tuple[str, ...], ANY_SEQUENCE] = ()
    """Any of trials, envpool, ant, ant-gymnasium, gymnasium-sync, gymnasium-async, make-vec, single, overlap, cores,
    cores-overlap, ranks, recurrent-ppo-few, worlds, recurrent-ppo, learn and learn-recurrent-ppo; by default all but
    the last three, which take many minutes."""
    num_envs: Count = 64
    """Number of trials that run in parallel; some measures take a quarter of them, or also 64 times as many."""
    episodes: Count = 2
    """Episodes in a trial."""
    horizon: Count = 100
    """Steps in an episode."""
    device: Device = "auto"
    """Where the network and MuJoCo Warp run; auto takes the GPU if there is one."""
    physics: EngineName = "mujoco"
    """Simulator of trials, overlap and cores: MuJoCo on CPU threads, or MuJoCo Warp on the network's device."""
    rounds: Count = 5
    """How often each is measured, in turn with what it is compared with; medians are told."""
    minutes: Positive = 15.0
    """Minutes after which learning is given up."""
    json: FilePath | None = None
    """Write all that was measured to this JSON file."""
    gpu: Flag = False
    """Measure instead both simulators by number of parallel trials, beside a network on the GPU, and time to learn."""
    latency: Flag = False
    """Measure instead how long one step of a shipped controller takes in PyTorch and as an ONNX file (pip install
    '.[onnx]'), on one core, beside its control period."""
    worlds: Annotated[tuple[Count, ...], ANY_SEQUENCE, MinLen(1)] = (64, 256, 1024, 4096, 16384)
    """With --gpu: numbers of parallel trials."""
    seconds: Positive = 2.0
    """With --gpu and --latency: seconds for which each speed is measured."""
    goal: float = 1000.0
    """With --gpu: return of an episode, of twice as many steps, that counts as learnt."""
