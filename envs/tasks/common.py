"""Task parameters that families of several robots share; a family joins those that it wants."""

from collections.abc import Sequence
from dataclasses import replace

from limbshift.envs.tasks.effects import AddMass, ScaleBodyMass, ScaleDamping, ScaleFriction, Slope
from limbshift.envs.tasks.motor_effects import KillMotor, ScaleMotors
from limbshift.envs.tasks.parameter import Caption, Effect, TaskParameter

ANY_MOTOR = KillMotor()
DIRECTION = TaskParameter(
    "direction", -1.0, 1.0, "which way to run: 1 forward, -1 backward", choices=(-1.0, 1.0), mark="arrow"
)
HEADING = TaskParameter(
    "heading",
    -180.0,
    180.0,
    "which way to run, from +x towards +y",
    unit="deg",
    nominal=0.0,
    kind="angle",
    mark="arrow",
)
TARGET_VELOCITY = TaskParameter(
    "target_velocity",
    0.0,
    3.0,
    "speed to hold",
    unit="m/s",
    nominal=0.0,
    extrapolation=((3.0, 4.0),),
    mark="post",
)


def factor(
    name: str,
    low: float,
    high: float,
    *,
    description: str,
    effect: Effect,
    extrapolation: tuple[tuple[float, float], ...] = (),
    caption: Caption | None = None,
) -> TaskParameter:
    """Returns a positive factor, spread evenly over its logarithm.

    >>> grip = factor("grip", 0.5, 2.0, description="factor on sliding friction", effect=ScaleFriction())
    >>> grip.scale, grip.nominal, grip.positive
    ('log', 1.0, True)
    """
    return TaskParameter(
        name,
        low,
        high,
        description,
        scale="log",
        extrapolation=extrapolation,
        positive=True,
        effect=effect,
        caption=caption,
    )


def mass_factor(name: str, effect: Effect, widest: float, *, extrapolation: float | None = None) -> TaskParameter:
    """Returns a factor on mass and inertia of what is named: 1.5^U(-widest, widest), beyond it to 1.5^extrapolation.

    >>> torso = mass_factor("torso", ScaleBodyMass("torso"), 1, extrapolation=2)
    >>> torso.name, torso.high, torso.extrapolation[1]
    ('torso_mass', 1.5, (1.5, 2.25))
    """
    low, high = 1.5**-widest, 1.5**widest
    return factor(
        f"{name}_mass",
        low,
        high,
        description=f"factor on mass and inertia of the {name}",
        effect=effect,
        extrapolation=((1.5**-extrapolation, low), (high, 1.5**extrapolation)) if extrapolation else (),
        caption=Caption("mass", name),
    )


def mass_factors(bodies: Sequence[str], widest: float, extrapolation: float | None = None) -> tuple[TaskParameter, ...]:
    """Returns a factor on mass and inertia for each of these bodies.

    >>> [parameter.name for parameter in mass_factors(("torso", "foot"), 2)]
    ['torso_mass', 'foot_mass']
    """
    return tuple(mass_factor(body, ScaleBodyMass(body), widest, extrapolation=extrapolation) for body in bodies)


def motor_sign(name: str, description: str, effect: Effect) -> TaskParameter:
    """Returns how a motor is wired: 1 as designed, -1 reversed.

    >>> motor_sign("hip", "how the hip's motor is wired", ScaleMotors(("hip",))).choices
    (-1.0, 1.0)
    """
    caption = Caption("wiring", name)
    return TaskParameter(
        f"{name}_sign",
        -1.0,
        1.0,
        f"{description}: 1 as designed, -1 reversed",
        choices=(-1.0, 1.0),
        effect=effect,
        caption=caption,
    )


def motor_signs(joints: Sequence[str]) -> tuple[TaskParameter, ...]:
    """Returns how each joint's motor is wired.

    >>> [parameter.name for parameter in motor_signs(("hip", "knee"))]
    ['hip_sign', 'knee_sign']
    """
    return tuple(motor_sign(joint, f"how the {joint} motor is wired", ScaleMotors((joint,))) for joint in joints)


def motor_lives(groups: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[TaskParameter, ...]:
    """Returns whether the motors of each named group of joints give anything.

    >>> (leg,) = motor_lives([("front_leg", ("front_hip", "front_knee"))])
    >>> leg.name, leg.choices
    ('front_leg_alive', (0.0, 1.0))
    """
    return tuple(
        TaskParameter(
            f"{name}_alive",
            0.0,
            1.0,
            f"whether the {name} motors give anything: 1 as designed, 0 dead",
            choices=(0.0, 1.0),
            effect=ScaleMotors(joints),
            caption=Caption("dead", name),
        )
        for name, joints in groups
    )


def dead_motor(motors: Sequence[str], effect: KillMotor = ANY_MOTOR) -> TaskParameter:
    """Returns which one of these motors is dead, if any: by default all the robot's, in order.

    >>> dead_motor(("hip", "knee")).description
    'which motor is dead: 0 none, 1 hip, 2 knee'
    """
    numbers = tuple(float(number) for number in range(len(motors) + 1))
    return TaskParameter(
        "dead_motor",
        0.0,
        numbers[-1],
        f"which motor is dead: 0 none, {', '.join(f'{number} {motor}' for number, motor in enumerate(motors, 1))}",
        nominal=0.0,
        choices=numbers,
        kind="category",
        effect=effect,
    )


def never_trained(parameter: TaskParameter, *outside: tuple[float, float]) -> TaskParameter:
    """Returns the parameter held at its nominal value in training, and drawn from these intervals in extrapolation.

    >>> steep = never_trained(slope(10.0), (5.0, 10.0))
    >>> steep.low, steep.high, steep.extrapolation
    (0.0, 0.0, ((5.0, 10.0),))
    """
    return replace(parameter, low=parameter.nominal, high=parameter.nominal, extrapolation=outside)


def motor_power(joints: Sequence[str], low: float, high: float, *outside: tuple[float, float]) -> TaskParameter:
    """Returns one factor on the force of all motors; `outside` are its intervals of extrapolation.

    >>> motor_power(("hip", "knee"), 0.5, 1.5).effect
    ScaleMotors(joints=('hip', 'knee'))
    """
    return factor(
        "motor_power",
        low,
        high,
        description="factor on the force of all motors",
        effect=ScaleMotors(tuple(joints)),
        extrapolation=outside,
    )


def friction(low: float, high: float, *outside: tuple[float, float]) -> TaskParameter:
    """Returns one factor on the sliding friction of the robot and of the ground.

    >>> friction(0.5, 2.0, (2.0, 4.0)).extrapolation
    ((2.0, 4.0),)
    """
    description = "factor on sliding friction"
    return factor("friction", low, high, description=description, effect=ScaleFriction(), extrapolation=outside)


def joint_damping(low: float, high: float, *outside: tuple[float, float]) -> TaskParameter:
    """Returns one factor on the damping of all joints.

    >>> joint_damping(0.5, 2.0).effect
    ScaleDamping()
    """
    description = "factor on joint damping"
    return factor("joint_damping", low, high, description=description, effect=ScaleDamping(), extrapolation=outside)


def slope(steepest: float, *outside: tuple[float, float]) -> TaskParameter:
    """Returns how the ground rises along +x, in degrees.

    >>> slope(15.0).low, slope(15.0).unit
    (-15.0, 'deg')
    """
    return TaskParameter(
        "slope",
        -steepest,
        steepest,
        "how the ground rises along +x",
        unit="deg",
        nominal=0.0,
        extrapolation=outside,
        effect=Slope(),
    )


def payload(heaviest: float, beyond: float) -> TaskParameter:
    """Returns the mass of what lies on the body named payload, which has none of its own, in kg.

    >>> payload(4.0, beyond=5.0).extrapolation
    ((4.0, 5.0),)
    """
    return TaskParameter(
        "payload_mass",
        0.0,
        heaviest,
        "mass of the load",
        unit="kg",
        nominal=0.0,
        extrapolation=((heaviest, beyond),),
        effect=AddMass("payload"),
        caption=Caption("mass", "payload"),
    )


def hidden_place(
    radius: float, effects: tuple[Effect | None, Effect | None] = (None, None)
) -> tuple[TaskParameter, TaskParameter]:
    """Returns the coordinates, in m, of a hidden place within this radius; effects show it to whoever looks on.

    >>> [parameter.name for parameter in hidden_place(0.2)]
    ['goal_x', 'goal_y']
    """
    along_x, along_y = effects
    return (
        TaskParameter(
            "goal_x",
            -radius,
            radius,
            "where the hidden target is along x",
            unit="m",
            nominal=0.0,
            effect=along_x,
            mark="disc_x",
        ),
        TaskParameter(
            "goal_y",
            -radius,
            radius,
            "where the hidden target is along y",
            unit="m",
            nominal=0.0,
            effect=along_y,
            mark="disc_y",
        ),
    )


def wirings(names: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """Returns wirings by name, such as "+-++-+", as rows of task values.

    >>> wirings(["+-+"])
    ((1.0, -1.0, 1.0),)
    """
    return tuple(tuple(1.0 if sign == "+" else -1.0 for sign in name) for name in names)


def all_but(
    rows: Sequence[tuple[float, ...]], heldout: Sequence[tuple[float, ...]]
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Returns the listed tasks of a finite family: the rows, of which some are held out.

    >>> all_but([(0.0,), (1.0,), (2.0,)], [(1.0,)])
    {'train': ((0.0,), (2.0,)), 'heldout': ((1.0,),)}
    """
    return {"train": tuple(row for row in rows if row not in heldout), "heldout": tuple(heldout)}
