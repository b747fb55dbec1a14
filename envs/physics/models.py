"""Loads MuJoCo's models, and keeps what MuJoCo has to say off the user's terminal."""

import hashlib
import logging
import warnings
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

_log = logging.getLogger(__name__)


class MujocoMessages:
    """MuJoCo's warnings: out of its log file, and all but the expected into Python's `logging`.

    Not into `warnings`: where those are errors, one raised inside MuJoCo would abort the process.
    """

    def __init__(self) -> None:
        self.expected: str | None = None
        if mujoco.get_mju_user_warning() is None:
            mujoco.set_mju_user_warning(self)

    def __call__(self, message: str) -> None:
        if self.expected is None or self.expected not in message:
            _log.warning("MuJoCo: %s", message.strip())

    def expecting(self, text: str) -> "MujocoMessages":
        """Returns a context in which messages that contain the text are dropped."""
        self.expected = text
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self.expected = None


MESSAGES = MujocoMessages()
# A handler is one for the whole process, and to change it at each step would cost more than to keep it.


def load_model(xml: Path) -> mujoco.MjModel:
    """Returns the model of an MJCF file."""
    # Gymnasium's robots still use a deprecated attribute, of which MuJoCo warns in two ways.
    with MESSAGES.expecting("settotalmass"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*settotalmass", category=UserWarning)
        spec = mujoco.MjSpec.from_file(str(xml))
        give_sky(spec)
        return spec.compile()


def give_sky(spec: mujoco.MjSpec) -> None:
    """Adds a sky, which videos show, where a model has none."""
    if not any(texture.type == mujoco.mjtTexture.mjTEXTURE_SKYBOX for texture in spec.textures):
        spec.add_texture(
            name=free_name("sky", [texture.name or Path(texture.file).stem for texture in spec.textures]),
            type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
            width=100,
            height=600,
        )


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Returns the name, numbered if it is taken.

    >>> free_name("sky", ["ground"]), free_name("sky", ["sky", "sky_2"])
    ('sky', 'sky_3')
    """
    candidate, number = wanted, 2
    while candidate in taken:
        candidate, number = f"{wanted}_{number}", number + 1
    return candidate


def gymnasium_xml(name: str) -> Path:
    """Returns the path of an MJCF file that Gymnasium ships."""
    return Path(str(files("gymnasium"))) / "envs" / "mujoco" / "assets" / name


def numbers_of(model: mujoco.MjModel) -> dict[str, NDArray[Any]]:
    """Returns all that a compiled model is, by name, but for where its files lay."""
    fields = {name: getattr(model, name) for name in dir(model) if name[0] != "_" and "path" not in name}
    options = {f"opt.{name}": getattr(model.opt, name) for name in dir(model.opt)}
    numbers = {name: value for name, value in options.items() if isinstance(value, int | float)}
    arrays = {name: value for name, value in (fields | options).items() if isinstance(value, np.ndarray)}
    return {name: np.asarray(value) for name, value in (arrays | numbers).items()}


def digest_of(model: mujoco.MjModel) -> str:
    """Returns a few letters that tell one compiled model from another, wherever its files lie."""
    digest = hashlib.blake2b(digest_size=4)
    for name, value in numbers_of(model).items():
        digest.update(f"{name} {value.shape}\n".encode() + value.tobytes())
    return digest.hexdigest()
