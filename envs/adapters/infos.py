"""What info holds, in the forms that other projects read."""

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

Info = dict[str, Any]


def final_info(obs: NDArray[np.float32], infos: Info, ended: NDArray[np.bool_]) -> Info:
    """Returns what info says of episodes that ended, in Gymnasium's form: None for the others' observations."""
    final_obs = np.full(len(ended), None, dtype=object)
    for env in np.flatnonzero(ended):
        final_obs[env] = obs[env]
    final_info = deepcopy(infos)
    return {"final_obs": final_obs, "_final_obs": ended.copy(), "final_info": final_info, "_final_info": ended.copy()}


def flattened(infos: Info) -> Info:
    """Returns the same without mappings inside, but for Gymnasium's final_info, itself flat: "task/mass" and so on.

    >>> flattened({"task": {"mass": 2.0}, "_task": True})
    {'task/mass': 2.0, '_task/mass': True}
    """
    flat: Info = {}
    for name, value in infos.items():
        mask = infos.get(f"_{name}")
        if name == "final_info":
            flat[name] = flattened(value)
        elif isinstance(value, dict):
            flat |= {f"{name}/{part}": entry for part, entry in value.items()}
            flat |= {} if mask is None else {f"_{name}/{part}": mask for part in value}
        elif not isinstance(infos.get(name.removeprefix("_")), dict) or name == "_final_info":
            flat[name] = value
    return flat


def flattened_alone(info: Info) -> Info:
    """Returns one robot's info in the same form, with NumPy's numbers.

    >>> flattened_alone({"task": {"mass": 2.0}})["task/mass"].dtype
    dtype('float64')
    """
    return {name: np.asarray(value)[()] for name, value in flattened(info).items()}


def info_of(infos: Info, env: int) -> Info:
    """Returns the info of one robot.

    >>> info_of({"task": {"mass": np.array([0.5, 2.0])}}, 1)
    {'task': {'mass': 2.0}}
    """
    alone: Info = {}
    for name, value in infos.items():
        if name.startswith("_") or not infos.get(f"_{name}", [True] * (env + 1))[env]:
            continue
        if isinstance(value, dict):
            alone[name] = info_of(value, env)
        else:
            alone[name] = value[env].item() if isinstance(value[env], np.generic) else value[env]
    return alone
