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


def test_a_cluster_has_no_seeds_before_its_block():
    """None would be an error of the client's, about seeds that nobody gave."""
    with pytest.raises(RuntimeError, match=r"async with LocalCluster\(\.\.\.\) as cluster:"):
        _ = LocalCluster(1).seeds


def test_a_target_alone_is_no_list_of_targets():
    """Its letters would be the targets."""
    with pytest.raises(TypeError, match=r"^targets: '127\.0\.0\.1:1' is one string"):
        CountingProxy("127.0.0.1:1")
