"""Counter-based random numbers: each depends only on its key and its counters."""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MASK32 = 0xFFFFFFFF
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry2x32(key: tuple[int, int], x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the two words of Threefry-2x32 with 20 rounds, on int64 tensors that hold 32-bit words.

    >>> words = threefry2x32((0, 0), torch.tensor([0]), torch.tensor([0]))
    >>> [hex(word.item()) for word in words]
    ['0x6b200159', '0x99ba4efe']

    Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), section 3.3.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA)
    x0, x1 = (x0 + keys[0]) & _MASK32, (x1 + keys[1]) & _MASK32
    for block in range(5):
        for rotation in _ROTATIONS[block % 2]:
            x0 = (x0 + x1) & _MASK32
            x1 = x0 ^ ((x1 << rotation | x1 >> (32 - rotation)) & _MASK32)
        x0 = (x0 + keys[(block + 1) % 3]) & _MASK32
        x1 = (x1 + keys[(block + 2) % 3] + block + 1) & _MASK32
    return x0, x1


def threefry_arrays(key: tuple[int, int], x0: NDArray[np.uint32], x1: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Returns the first word that `threefry2x32` does: on a CPU, where a hundred calls of PyTorch's take long.

    >>> hex(threefry_arrays((0, 0), np.zeros(1, np.uint32), np.zeros(1, np.uint32))[0])
    '0x6b200159'
    """
    keys = [np.uint32(word) for word in (key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA)]
    x0, x1 = x0 + keys[0], x1 + keys[1]  # in 32 bits, which wrap around
    turned = np.empty_like(x1)
    for block in range(5):
        for rotation in _ROTATIONS[block % 2]:
            x0 += x1
            np.left_shift(x1, rotation, out=turned)
            x1 >>= 32 - rotation
            x1 |= turned
            x1 ^= x0
        x0 += keys[(block + 1) % 3]
        x1 += keys[(block + 2) % 3]
        x1 += block + 1
    return x0


class RandomStream:
    """Draws random numbers that are named by what they are for, by an index and by an epoch.

    Row i of a draw depends on (name, index[i], epoch[i]) alone: not on how many rows are drawn
    together, nor on what was drawn before. Index and epoch may go up to 2^32 and 2^16.

    >>> stream, first = RandomStream("task", 7), torch.tensor([0])
    >>> bool((stream.uniform(first, first, 3) == RandomStream("task", 7).uniform(first, first, 3)).all())
    True
    """

    def __init__(self, *name: str | int, on_host: bool = True) -> None:
        """on_host: whether NumPy may draw where the indices are on the CPU."""
        self.on_host = on_host
        plain = tuple(str(part) if isinstance(part, str) else part for part in name)  # of NumPy's or an enum's, too
        digest = hashlib.blake2b(repr(plain).encode(), digest_size=8).digest()
        self.key = (int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big"))

    def uniform(self, index: Tensor, epoch: Tensor, size: int) -> Tensor:
        """Returns (N, size) float64 in the open interval (0, 1), for (N,) int64 index and epoch."""
        draw = (epoch << 16).unsqueeze(-1) + torch.arange(size, device=index.device)
        index = index.unsqueeze(-1).expand_as(draw)
        if self.on_host and draw.device.type == "cpu":
            words = [counter.numpy().astype(np.uint32) for counter in (index, draw)]
            return torch.from_numpy((threefry_arrays(self.key, *words) + 0.5) / 2**32)
        bits, _ = threefry2x32(self.key, index, draw)
        return (bits.double() + 0.5) / 2**32
