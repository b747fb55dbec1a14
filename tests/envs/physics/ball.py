"""A ball whose weight can be worked out by hand."""

BALL = """<mujoco><option gravity="0 0 -10" timestep="0.002"/><worldbody><geom type="plane" size="5 5 1"/>
<body pos="0 0 .099"><joint type="slide" axis="0 0 1" damping="50"/><geom size=".1" mass="3"/></body></worldbody>
</mujoco>"""
"""Of 3 kg, sunk by 1 mm into the ground, under 10 m/s^2."""
