"""Seeds of generators, all from that of a training."""

import hashlib


def derived_seed(seed: int, *use: object) -> int:
    """Returns the seed of a generator with a use of its own, below 2^32: PyTorch's on the CPU look at no more bits.

    >>> derived_seed(7, "rank", 1) != derived_seed(7, "rank", 2)
    True
    """
    return int.from_bytes(hashlib.blake2b(repr((*use, seed)).encode(), digest_size=4).digest(), "big")


def rank_seed(seed: int, rank: int) -> int:
    """Returns the seed of a rank's generators; that of rank 0 is the training's own.

    >>> rank_seed(7, 0), rank_seed(7, 1) != rank_seed(7, 2)
    (7, True)
    """
    return derived_seed(seed, "rank", rank) if rank else seed
