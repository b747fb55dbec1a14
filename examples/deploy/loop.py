"""Acts by an exported controller, with numpy and onnxruntime alone.

    python loop.py controller.onnx < sensors.txt > actions.txt

A line of sensors.txt is a step: the observation, then the reward of the step before, then 1 where an episode starts and
else 0. A line of actions.txt is what the motors are told. On a robot both are read and written every control period.
"""

import json
import sys

import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # a step is too small to be shared
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map

told = {each.name: np.zeros((1, *each.shape[1:]), np.float32) for each in session.get_inputs()}  # of one robot
outputs = [each.name for each in session.get_outputs()]
if "previous_action" in told:
    told["previous_action"][:] = json.loads(about["initial_action"])

for number, line in enumerate(sys.stdin, 1):
    *obs, reward, start = map(float, line.split())
    if len(obs) != told["obs"].size:
        sys.exit(f"line {number} has {len(obs) + 2} numbers, expected {told['obs'].size} of an observation, and two")
    for name, value in (("obs", obs), ("previous_reward", reward), ("episode_start", start)):
        if name in told:
            told[name][:] = np.reshape(value, told[name].shape)
    made = dict(zip(outputs, session.run(outputs, told), strict=True))
    print(*made["action"][0], flush=True)
    for name, value in made.items():  # what it did and what it remembers go into the next step
        before = "previous_action" if name == "action" else name.removeprefix("next_")
        if before in told:
            told[before] = value
