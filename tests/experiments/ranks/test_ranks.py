"""What ranks are told of wrong numbers, and how they share a host."""

import os
import re
import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

import limbshift
from limbshift.envs.catalogue import make_family
from limbshift.envs.errors import InputError, RunFailure
from limbshift.envs.physics.cores import available_cores
from limbshift.envs.physics.models import digest_of
from limbshift.experiments.cli import main
from limbshift.experiments.configs import TrainConfig
from limbshift.experiments.ranks.cores import Place, device_of, keeping_to, share_of
from limbshift.experiments.ranks.environment import started_ranks
from limbshift.experiments.ranks.joining import Joined, about_ranks, check_same, joined
from limbshift.experiments.runs.resume import resumed_config
from limbshift.experiments.runs.trainers import trainer_of
from limbshift.meta.ranks.alone import ALONE, Alone
from limbshift.meta.rl2.config import PPOConfig

CONFIG = TrainConfig("HalfCheetahDir", num_envs=4, episodes=2, horizon=5, hidden_size=8)
MEETING = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


class OneOfFour(Alone):
    """As it differs from alone where nobody is asked."""

    rank = 1
    size = 4


@pytest.mark.parametrize("value", ["0", "-2", "two"])
def test_a_number_of_ranks_that_is_none_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "HalfCheetahDir", f"--ranks={value}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"limbshift: .*ranks.* is .*, expected .*", line)


def test_a_family_that_is_an_object_is_refused() -> None:
    with pytest.raises(InputError, match="ranks is 2 with a family given as an object, expected its name"):
        limbshift.train(make_family("HalfCheetahDir"), ranks=2, steps=1)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RANK": "2"}, "RANK in the environment is 2, expected one from 0 on below WORLD_SIZE, 2"),
        ({"RANK": "first"}, "RANK in the environment is 'first', expected a whole number"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE in the environment is '', expected a whole number"),
        ({"MASTER_PORT": "abc"}, "MASTER_PORT in the environment is 'abc', expected a whole number"),
        ({"MASTER_PORT": "99999"}, "MASTER_PORT in the environment is 99999, expected a number below 65536"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR in the environment is '', expected a host"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(environment: dict[str, str], message: str) -> None:
    with patch.dict(os.environ, MEETING | environment), pytest.raises(InputError, match=re.escape(message)):
        started_ranks()


@pytest.mark.parametrize(("size", "ranks"), [("1", 0), ("2", 2)])
def test_ranks_are_those_that_were_started(size: str, ranks: int) -> None:
    with patch.dict(os.environ, MEETING | {"WORLD_SIZE": size}):
        assert started_ranks() == ranks


def test_without_a_place_to_meet_a_training_is_alone() -> None:
    environment = {name: value for name, value in MEETING.items() if name != "MASTER_ADDR"}
    with patch.dict(os.environ, environment), joined(CONFIG) as rank:
        assert rank == (ALONE, (0, 1), 0)


def test_other_ranks_than_were_started_are_refused() -> None:
    with (
        patch.dict(os.environ, MEETING),
        pytest.raises(InputError, match="ranks is 3, expected 2, as many as were started"),
        joined(replace(CONFIG, ranks=3)),
    ):
        pass


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            patch.dict(os.environ, MEETING | {"MASTER_PORT": str(port)}),
            pytest.raises(InputError, match=f"port of localhost:{port} is in use, expected a free one as MASTER_PORT"),
            joined(CONFIG),
        ):
            pass


def test_ranks_that_do_not_come_are_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbshift.meta.ranks.together.TIME_TO_MEET", timedelta(seconds=1))
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = str(probe.getsockname()[1])
    with (
        patch.dict(os.environ, MEETING | {"MASTER_PORT": port}),
        pytest.raises(RunFailure, match=f"^ranks did not meet at localhost:{port}: "),
        joined(CONFIG),
    ):
        pass


@pytest.mark.parametrize(
    ("cores", "total", "shares"),
    [
        ([0, 1], 2, [[0], [1]]),
        ([2, 3, 5, 7, 8], 2, [[2, 3], [5, 7, 8]]),
        ([0, 1, 2, 3], 3, [[0], [1], [2, 3]]),
        ([4], 2, [[4], [4]]),
    ],
)
def test_cores_are_shared_out(cores: list[int], total: int, shares: list[list[int]]) -> None:
    assert [share_of(cores, Place(number, total)) for number in range(total)] == shares


def test_a_rank_keeps_to_its_cores_and_gives_them_back() -> None:
    before, threads = available_cores(), torch.get_num_threads()
    with keeping_to(before[:1]):
        assert available_cores() == before[:1]
        assert torch.get_num_threads() == 1
    assert available_cores() == before
    assert torch.get_num_threads() == threads


def test_where_a_process_cannot_be_bound_its_share_is_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    for name in ("sched_getaffinity", "sched_setaffinity"):
        monkeypatch.delattr(os, name)
    assert available_cores() == list(range(os.cpu_count() or 1))
    with keeping_to([0]):
        assert torch.get_num_threads() == 1


def test_more_ranks_than_gpus_are_refused() -> None:
    with patch("torch.cuda.device_count", return_value=2), patch("torch.cuda.set_device") as chosen:
        assert device_of(torch.device("cuda"), Place(1, 2)) == torch.device("cuda:1")
        chosen.assert_called_once_with(1)
        message = "ranks on this host are 3, expected at most 2, as many as CUDA devices, or --device cpu"
        with pytest.raises(InputError, match=message):
            device_of(torch.device("cuda"), Place(0, 3))
    assert device_of(torch.device("cpu"), Place(0, 3)) == torch.device("cpu")


@pytest.mark.parametrize(
    ("rank", "lines"),
    [
        (Joined(), []),
        (Joined(OneOfFour(), Place(0, 2), 2), ["4 ranks of 4 trials each, 2 of them on the 2 cores of this host"]),
        (
            Joined(OneOfFour(), Place(0, 4), 2),
            [
                "4 ranks of 4 trials each, 4 of them on the 2 cores of this host",
                "4 ranks share 2 cores: fewer ranks are faster",
            ],
        ),
    ],
)
def test_more_ranks_than_cores_are_warned_of(rank: Joined, lines: list[str]) -> None:
    assert about_ranks(rank, CONFIG) == lines


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"num_envs": "8"}, r"num_envs on rank 1 \([^)]+\) is 4, expected 8 as on rank 0"),
        ({"ppo.gae_lambda": "0.9"}, r"ppo.gae_lambda on rank 1 \([^)]+\) is 0.95, expected 0.9 as"),
        ({"device": "cuda"}, "device on rank 1 .* is auto, expected cuda"),
        ({"version of torch": "1.0"}, "version of torch on rank 1 .* expected 1.0 as on rank 0"),
        ({"robot": "0a"}, "robot on rank 1 .* expected 0a as on rank 0"),
        ({}, None),
    ],
)
def test_ranks_that_differ_are_refused(theirs: dict[str, str], message: str | None) -> None:
    class Other(OneOfFour):
        def share(self, value: Any) -> dict[str, Any]:
            return {**value, **theirs}

    if message is None:
        check_same(Other(), CONFIG, make_family("HalfCheetahDir"))
        return
    with pytest.raises(InputError, match=message):
        check_same(Other(), CONFIG, make_family("HalfCheetahDir"))


def test_robots_are_told_apart() -> None:
    cheetah, again, ant = (make_family(name).robot for name in ("HalfCheetahDir", "HalfCheetahVel", "AntDir"))
    assert digest_of(cheetah.model) == digest_of(again.model) != digest_of(ant.model)


def test_learning_rates_grow_with_the_root_of_the_ranks_where_it_is_asked_for() -> None:
    """Four ranks: twice 7e-4 and 1e-4."""
    family, cpu = make_family("HalfCheetahDir"), torch.device("cpu")
    plain = trainer_of(CONFIG, family, cpu, ranks=OneOfFour())
    assert plain.ppo.config == PPOConfig(task_coef=family.task_coef, told_share=family.told_share)
    trainer = trainer_of(replace(CONFIG, scale_learning_rate=True), family, cpu, ranks=OneOfFour())
    rates = (trainer.ppo.config.learning_rate, trainer.ppo.config.final_learning_rate)
    assert rates == pytest.approx((1.4e-3, 2e-4))


@pytest.mark.parametrize(("threads", "beside", "own"), [(4, 2, 2), (5, 2, 2), (1, 2, 1), (4, 1, 4)])
def test_ranks_of_one_host_share_its_threads(threads: int, beside: int, own: int) -> None:
    config = replace(CONFIG, threads=threads)
    trainer = trainer_of(config, make_family("HalfCheetahDir"), torch.device("cpu"), ranks_beside=beside)
    assert trainer.ppo.gradients.num_threads == own
    assert trainer.env.task_env.physics.num_threads == own  # type: ignore[attr-defined]


def test_a_resumed_run_has_the_ranks_that_it_had_or_that_were_started(tmp_path: Path) -> None:
    run = limbshift.train(
        "HalfCheetahDir", run_dir=tmp_path / "run", steps=1, num_envs=2, episodes=1, horizon=2, hidden_size=4,
        wandb="disabled", ranks=1,
    )  # fmt: skip
    assert resumed_config({"run_dir": run}).ranks == 1
    assert resumed_config({"run_dir": run, "ranks": 3}).ranks == 3
    with patch.dict(os.environ, MEETING):
        assert resumed_config({"run_dir": run}).ranks is None
        assert resumed_config({"run_dir": run, "ranks": 3}).ranks == 3
