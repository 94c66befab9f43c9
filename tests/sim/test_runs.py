"""What is kept out of a simulated run: the real network, a second seed, callers that cannot have it; and its clock."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio._core import _run

from alternator_trio import ConfigurationError, open_alternator
from alternator_trio.testing import CountingProxy, LocalCluster, SimulatedCluster, current_run, simulate
from alternator_trio.testing.simulation import Run

HOST = "127.0.0.1"


async def nothing() -> None:
    await trio.lowlevel.checkpoint()


async def an_app(cluster: SimulatedCluster) -> None:
    """It opens a client of its own."""
    async with open_alternator(*cluster.seeds):
        pass


async def a_library() -> None:
    """It is on Trio, and knows nothing of simulations."""
    await trio.open_tcp_stream(HOST, 9)


async def a_name() -> None:
    await trio.socket.getaddrinfo("localhost", 9)


async def a_number() -> None:
    await trio.socket.getnameinfo((HOST, 9), 0)


async def a_cluster() -> None:
    async with LocalCluster(1):
        pass


async def a_proxy() -> None:
    async with CountingProxy([f"http://{HOST}:9"]):
        pass


@pytest.mark.parametrize("open_it", [a_library, a_name, a_number, a_cluster, a_proxy])
def test_a_simulation_has_no_network(open_it: Callable[[], Awaitable[None]]) -> None:
    """Whatever goes through Trio, or listens, is told what to use in its place."""
    refusals: list[str] = []

    async def main() -> None:
        try:
            await open_it()
        except* RuntimeError as errors:  # Trio's own connecting wraps them
            refusals.extend(map(str, errors.exceptions))

    simulate(main)
    assert ["no network: open clients with cluster.open_client" in each for each in refusals] == [True]


def test_an_app_in_a_simulation_does_not_find_the_way_out() -> None:
    """A client from the cluster's seeds would dial what has these addresses in the real world."""

    async def main() -> None:
        async with SimulatedCluster(1) as cluster:
            await an_app(cluster)

    with pytest.raises(RuntimeError, match=r"cluster\.open_client"):
        simulate(main)


async def test_outside_of_simulate_an_open_cluster_keeps_the_network_out(autojump_clock) -> None:
    """Also while another one is closed; afterwards the hooks are what they were."""
    before = trio.socket.set_custom_socket_factory(None)
    async with SimulatedCluster(1) as cluster:
        async with SimulatedCluster(1) as other:
            pass
        with pytest.raises(RuntimeError, match=r"cluster\.open_client"):
            await an_app(other)
        with pytest.raises(RuntimeError, match=r"cluster\.open_client"):
            trio.socket.socket()
        assert cluster.nodes
    trio.socket.socket().close()
    async with open_alternator(f"http://{HOST}:9", discovery=False):
        pass
    assert trio.socket.set_custom_socket_factory(before) is None


def test_a_transport_with_a_network_of_its_own_is_refused() -> None:
    """Httpx would connect over real sockets."""

    async def main() -> None:
        async with SimulatedCluster(1) as cluster, cluster.open_client(transport="httpx"):
            pass

    with pytest.raises(ConfigurationError, match="transport: 'httpx'"):
        simulate(main)


def test_one_simulation_at_a_time() -> None:
    """A second one in another thread is refused, and leaves the scheduler as it is."""
    refused: list[str] = []

    def second() -> None:
        try:
            simulate(nothing)
        except RuntimeError as error:
            refused.append(str(error))

    async def main() -> None:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    switch = _run._ALLOW_DETERMINISTIC_SCHEDULING
    simulate(main)
    simulate(main)
    assert len(refused) == 2
    assert "in another thread" in refused[0]
    assert switch == _run._ALLOW_DETERMINISTIC_SCHEDULING


async def test_within_a_trio_run_it_is_refused() -> None:
    """The usual mistake: an async test."""
    with pytest.raises(RuntimeError, match="from a synchronous test"):
        simulate(nothing)


def test_a_coroutine_is_refused() -> None:
    """The other one."""
    coroutine = nothing()
    with pytest.raises(TypeError, match=r"write simulate\(main\)"):
        simulate(coroutine)
    coroutine.close()


@pytest.mark.parametrize(("seed", "run"), [(7, None), (0, Run(7))])
def test_a_failure_names_its_seed(seed: int, run: Run | None) -> None:
    """Whoever reads it can run it again."""

    async def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        simulate(fail, seed=seed, run=run)
    assert caught.value.__notes__ == ["simulate(..., seed=7)"]


def test_code_under_test_has_a_clock() -> None:
    """It shows 2026-01-01 at the beginning, and goes with virtual time; no real clock has a say."""

    async def main() -> list[float]:
        times = [current_run().time()]
        await trio.sleep(3000)
        return [*times, current_run().time()]

    assert simulate(main) == [1767225600.0, 1767228600.0]


def test_outside_of_a_run_there_is_none() -> None:
    """It is said, and not left to an AttributeError of None."""
    with pytest.raises(RuntimeError, match="outside of simulate"):
        current_run()
