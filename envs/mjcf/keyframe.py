"""What a robot's first keyframe leaves out: the controls and activations that hold its pose."""

import mujoco
import numpy as np

SERVO_DYNAMICS = (
    int(mujoco.mjtDyn.mjDYN_NONE),
    int(mujoco.mjtDyn.mjDYN_FILTER),
    int(mujoco.mjtDyn.mjDYN_FILTEREXACT),
)
"""Under which an actuator's force follows its control, at once or after a while."""


def complete_keyframe(spec: mujoco.MjSpec, model: mujoco.MjModel) -> None:
    """Fills in the first keyframe's ctrl and act where its file gives none, so that servos hold its pose.

    A servo is commanded to where it exerts no force; one that integrates its control starts there, and
    one that lags behind its control has caught up.
    """
    if not model.nkey:
        return
    written, data = spec.keys[0], mujoco.MjData(model)
    has_ctrl, has_act = len(written.ctrl) > 0, len(written.act) > 0
    if has_ctrl and (has_act or not model.na):
        return
    mujoco.mj_resetDataKeyframe(model, data, 0)
    data.qvel[:] = 0
    mujoco.mj_forward(model, data)
    for actuator in range(model.nactuator):
        hold, control = holding_input(model, data, actuator), model.actuator_ctrladr[actuator]
        integrates = model.actuator_dyntype[actuator] == int(mujoco.mjtDyn.mjDYN_INTEGRATOR)
        if not has_ctrl and not integrates:
            low, high = model.actuator_ctrlrange[control]
            model.key_ctrl[0, control] = np.clip(hold, low, high)
        if not has_act and (address := model.actuator_actadr[actuator]) >= 0:
            follows = int(model.actuator_dyntype[actuator]) in SERVO_DYNAMICS
            model.key_act[0, address] = model.key_ctrl[0, control] if follows else hold


def holding_input(model: mujoco.MjModel, data: mujoco.MjData, actuator: int) -> float:
    """Returns the control (or activation) at which a servo at rest exerts no force; 0 for what is no servo."""
    fixed = model.actuator_gaintype[actuator] == int(mujoco.mjtGain.mjGAIN_FIXED)
    affine = model.actuator_biastype[actuator] == int(mujoco.mjtBias.mjBIAS_AFFINE)
    gain, bias = model.actuator_gainprm[actuator, 0], model.actuator_biasprm[actuator]
    if not (fixed and affine and gain):
        return 0.0
    length = float(data.actuator_length[model.actuator_outadr[actuator]])
    return float(-(bias[0] + bias[1] * length) / gain)
