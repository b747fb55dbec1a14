"""What numbers the update computes with."""

from typing import get_args

import torch

from limbshift.envs.errors import InputError
from limbshift.envs.given import choice
from limbshift.meta.rl2.config import Precision


def choose_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Returns the type asked for; auto is bfloat16 where the device has it in hardware.

    Raises InputError for one that the device lacks.

    >>> choose_precision("float32", torch.device("cpu"))
    torch.float32
    """
    choice("precision", precision, get_args(Precision))
    available = has_bfloat16(device)
    if precision == "bfloat16" and not available:
        where = "this GPU has none" if device.type == "cuda" else "this processor has neither AMX nor AVX512-BF16"
        raise InputError(f"precision is bfloat16, expected float32: {where}")
    return torch.bfloat16 if available and precision != "float32" else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Returns whether a device multiplies such numbers in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
