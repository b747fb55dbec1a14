"""What the update computes with: learning is the same, parameters are float32, and a device must have it."""

from typing import Any

import pytest
import torch

from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError
from limbshift.meta.rl2 import precision
from limbshift.meta.rl2.build import make_trainer
from limbshift.meta.rl2.precision import choose_precision, has_bfloat16
from limbshift.meta.rl2.trainer import Trainer

CPU = torch.device("cpu")


def short_trainer(network: dict[str, Any], *, bfloat16: bool) -> Trainer:
    family = make_family("ReacherGoal", "dense")
    trainer = make_trainer(family, num_envs=8, episodes=2, horizon=10, hidden_size=16, **network)
    trainer.ppo.precision = torch.bfloat16 if bfloat16 else torch.float32
    return trainer


@pytest.mark.parametrize("found", [False, True])
def test_auto_asks_the_hardware(found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: found)
    assert choose_precision("auto", CPU) == (torch.bfloat16 if found else torch.float32)
    assert choose_precision("float32", CPU) == torch.float32
    if found:
        assert choose_precision("bfloat16", CPU) == torch.bfloat16
    else:
        with pytest.raises(InputError, match="precision is bfloat16, expected float32: this processor has neither AMX"):
            choose_precision("bfloat16", CPU)


def test_what_is_no_precision_is_refused() -> None:
    with pytest.raises(InputError, match="precision is 'half', expected one of auto, float32, bfloat16"):
        choose_precision("half", CPU)  # type: ignore[arg-type]


@pytest.mark.parametrize("network", [{}, {"cell": "transformer", "head": "hyper"}], ids=str)
def test_an_update_in_bfloat16_is_nearly_that_in_float32(network: dict[str, Any]) -> None:
    """Emulated where the processor lacks it: by PyTorch's own kernels, since oneDNN's refuse."""
    trainers = [short_trainer(network, bfloat16=each) for each in (False, True)]
    start = torch.nn.utils.parameters_to_vector(trainers[0].policy.parameters()).clone()
    with torch.backends.mkldnn.flags(enabled=has_bfloat16(CPU), allow_tf32=None):
        for trainer in trainers:
            for _ in range(2):
                iteration = trainer.iterate(0.0)
            assert iteration.skipped == 0
    exact, rounded = (torch.nn.utils.parameters_to_vector(trainer.policy.parameters()) - start for trainer in trainers)
    assert {parameter.dtype for parameter in trainers[1].policy.parameters()} == {torch.float32}
    assert not torch.equal(exact, rounded)
    assert torch.nn.functional.cosine_similarity(exact, rounded, dim=0) > 0.95
