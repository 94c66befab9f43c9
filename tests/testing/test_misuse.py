"""What the servers of `alternator_trio.testing` are taken for, and what they say to it."""

from __future__ import annotations

import asyncio

import pytest

from alternator_trio.testing import CountingProxy, LocalCluster, SimulatedCluster


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: LocalCluster(1), "LocalCluster"),
        (lambda: SimulatedCluster(1), "SimulatedCluster"),
        (lambda: CountingProxy(["127.0.0.1:1"]), "CountingProxy"),
    ],
    ids=str,
)
def test_asyncio_is_told_from_trio(make, name):
    """A fixture that the wrong plug-in runs, most likely."""

    async def main() -> None:
        async with make():
            pass

    with pytest.raises(RuntimeError, match=rf"^a {name} needs a Trio run: trio\.run\(main\)"):
        asyncio.run(main())


@pytest.mark.parametrize("kind", [LocalCluster, SimulatedCluster])
def test_a_cluster_has_no_seeds_before_its_block(kind):
    """None would be an error of the client's, about seeds that nobody gave."""
    with pytest.raises(RuntimeError, match=rf"async with {kind.__name__}\(\.\.\.\) as cluster:"):
        _ = kind(1).seeds


async def test_a_simulated_cluster_shows_its_seed():
    """What repeats it, before its block and in it."""
    cluster = SimulatedCluster(2, seed=7)
    assert repr(cluster) == "<SimulatedCluster seed 7; not entered>"
    async with cluster:
        assert repr(cluster) == "<SimulatedCluster seed 7; 2 node(s)>"


def test_a_target_alone_is_no_list_of_targets():
    """Its letters would be the targets."""
    with pytest.raises(TypeError, match=r"^targets: '127\.0\.0\.1:1' is one string"):
        CountingProxy("127.0.0.1:1")
