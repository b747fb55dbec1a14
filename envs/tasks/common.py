"""Task parameters that families of several robots share; a family joins those that it wants."""

from collections.abc import Sequence
from dataclasses import replace

from limbshift.envs.tasks.effects import (
    AddMass,
    KillMotor,
    ScaleBodyMass,
    ScaleDamping,
    ScaleFriction,
    ScaleMotors,
    Slope,
)
from limbshift.envs.tasks.parameter import Effect, TaskParameter

DIRECTION = TaskParameter("direction", -1.0, 1.0, "which way to run: 1 forward, -1 backward", choices=(-1.0, 1.0))
HEADING = TaskParameter("heading", -180.0, 180.0, "which way to run, from +x towards +y", unit="deg", nominal=0.0)
TARGET_VELOCITY = TaskParameter(
    "target_velocity", 0.0, 3.0, "speed to hold", unit="m/s", nominal=0.0, extrapolation=((3.0, 4.0),)
)


def factor(
    name: str, low: float, high: float, description: str, extrapolation: tuple[tuple[float, float], ...] = ()
) -> TaskParameter:
    """A positive factor, spread evenly over its logarithm; its effect is for the caller to add."""
    return TaskParameter(name, low, high, description, scale="log", extrapolation=extrapolation, positive=True)


def mass_factor(name: str, effect: Effect, widest: float, extrapolation: float | None = None) -> TaskParameter:
    """A factor on mass and inertia of what is named: 1.5^U(-widest, widest), beyond it up to 1.5^extrapolation."""
    low, high = 1.5**-widest, 1.5**widest
    outside = ((1.5**-extrapolation, low), (high, 1.5**extrapolation)) if extrapolation else ()
    mass = factor(f"{name}_mass", low, high, f"factor on mass and inertia of the {name}", outside)
    return replace(mass, effect=effect)


def mass_factors(bodies: Sequence[str], widest: float, extrapolation: float | None = None) -> tuple[TaskParameter, ...]:
    """A factor for each of these bodies."""
    return tuple(mass_factor(body, ScaleBodyMass(body), widest, extrapolation) for body in bodies)


def motor_signs(joints: Sequence[str]) -> tuple[TaskParameter, ...]:
    """How each joint's motor is wired."""
    return tuple(
        TaskParameter(
            f"{joint}_sign",
            -1.0,
            1.0,
            f"how the {joint} motor is wired: 1 as designed, -1 reversed",
            choices=(-1.0, 1.0),
            effect=ScaleMotors((joint,)),
        )
        for joint in joints
    )


def motor_lives(groups: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[TaskParameter, ...]:
    """Whether the motors of each named group of joints give anything."""
    return tuple(
        TaskParameter(
            f"{name}_alive",
            0.0,
            1.0,
            f"whether the {name} motors give anything: 1 as designed, 0 dead",
            choices=(0.0, 1.0),
            effect=ScaleMotors(joints),
        )
        for name, joints in groups
    )


def dead_motor(motors: Sequence[str]) -> TaskParameter:
    """Which one of all the robot's motors, in order, is dead, if any."""
    numbers = tuple(float(number) for number in range(len(motors) + 1))
    return TaskParameter(
        "dead_motor",
        0.0,
        numbers[-1],
        f"which motor is dead: 0 none, {', '.join(f'{number} {motor}' for number, motor in enumerate(motors, 1))}",
        nominal=0.0,
        choices=numbers,
        effect=KillMotor(),
    )


def never_trained(parameter: TaskParameter, *outside: tuple[float, float]) -> TaskParameter:
    """The parameter held at its nominal value in training, and drawn from these intervals in extrapolation."""
    return replace(parameter, low=parameter.nominal, high=parameter.nominal, extrapolation=outside)


def motor_power(joints: Sequence[str], low: float, high: float, *outside: tuple[float, float]) -> TaskParameter:
    """One factor on the force of all motors."""
    power = factor("motor_power", low, high, "factor on the force of all motors", outside)
    return replace(power, effect=ScaleMotors(tuple(joints)))


def friction(low: float, high: float, *outside: tuple[float, float]) -> TaskParameter:
    """One factor on the sliding friction of the robot and of the ground."""
    return replace(factor("friction", low, high, "factor on sliding friction", outside), effect=ScaleFriction())


def joint_damping(low: float, high: float, *outside: tuple[float, float]) -> TaskParameter:
    """One factor on the damping of all joints."""
    return replace(factor("joint_damping", low, high, "factor on joint damping", outside), effect=ScaleDamping())


def slope(steepest: float, *outside: tuple[float, float]) -> TaskParameter:
    """How the ground rises along +x."""
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
    """The mass of what lies on the body named payload, which has none of its own."""
    return TaskParameter(
        "payload_mass",
        0.0,
        heaviest,
        "mass of the load",
        unit="kg",
        nominal=0.0,
        extrapolation=((heaviest, beyond),),
        effect=AddMass("payload"),
    )


def place(name: str, axis: str, radius: float) -> TaskParameter:
    """A coordinate of a hidden place within this radius."""
    return TaskParameter(name, -radius, radius, f"where the hidden target is along {axis}", unit="m", nominal=0.0)


def wirings(names: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """Wirings by name, such as "+-++-+", as rows of task values."""
    return tuple(tuple(1.0 if sign == "+" else -1.0 for sign in name) for name in names)


def all_but(
    rows: Sequence[tuple[float, ...]], heldout: Sequence[tuple[float, ...]]
) -> dict[str, tuple[tuple[float, ...], ...]]:
    """The members of the splits of a finite family: the rows, of which some are held out."""
    return {"train": tuple(row for row in rows if row not in heldout), "heldout": tuple(heldout)}
