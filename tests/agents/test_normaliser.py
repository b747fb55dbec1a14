"""The network's input."""

import torch

from limbshift.agents.normaliser import CLIP, InputNormaliser


def test_statistics_are_those_of_all_batches_together() -> None:
    normaliser = InputNormaliser(3, torch.tensor([1.0, 0.0]))
    batches = [torch.randn(size, 4, 5, generator=torch.Generator().manual_seed(size)) * 3 + 7 for size in (2, 9, 30)]
    for batch in batches:
        normaliser.update(batch)
    everything = torch.cat([batch.reshape(-1, 5) for batch in batches])
    var, mean = torch.var_mean(everything[:, :3], dim=0, correction=0)
    torch.testing.assert_close(normaliser.mean, mean)
    torch.testing.assert_close(normaliser.var, var)
    out = normaliser(everything)
    torch.testing.assert_close(out[:, :3].mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out[:, 3], everything[:, 3].clamp(-CLIP, CLIP))
    assert torch.equal(out[:, 4], torch.zeros(len(out)))


def test_it_is_frozen_outside_update_and_clips() -> None:
    normaliser = InputNormaliser(1, torch.ones(1))
    normaliser.update(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    before = {name: value.clone() for name, value in normaliser.state_dict().items()}
    assert normaliser(torch.tensor([[1e6, -1e6]])).tolist() == [[CLIP, -CLIP]]
    torch.testing.assert_close(dict(normaliser.state_dict()), before)
