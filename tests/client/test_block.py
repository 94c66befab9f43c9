"""How a client's block ends, whatever ends it: nothing is left, and the right exception leaves."""

from __future__ import annotations

import gc
import os
import pickle
import threading
from collections.abc import AsyncGenerator

import pytest
import trio

from alternator_trio import Client, ClientClosedError, ClientStoppedError, open_alternator
from alternator_trio._supervision import Message
from alternator_trio.testing import Hang, LocalCluster
from tests.users import KEY


class Leftovers:
    """Tasks, sockets and threads, counted before and after."""

    def __init__(self) -> None:
        self.before = self.count()

    @staticmethod
    def count() -> dict[str, int]:
        gc.collect()
        descriptors = 0
        for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
            try:
                descriptors += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
            except OSError:
                continue
        # Trio keeps idle workers for a while; they are not ours.
        threads = sum(not thread.name.startswith("Trio thread") for thread in threading.enumerate())
        tasks = trio.lowlevel.current_statistics().tasks_living
        return {"sockets": descriptors, "threads": threads, "tasks": tasks}

    async def assert_none(self, cluster: LocalCluster) -> None:
        with trio.fail_after(2):
            while any(node.open_connections for node in cluster.nodes):
                await trio.sleep(0.005)  # the server's side of closing is a matter of the kernel's
        assert self.count() == self.before


@pytest.fixture
async def servers() -> AsyncGenerator[LocalCluster, None]:
    async with LocalCluster(nodes=3) as servers:
        async with open_alternator(*servers.seeds) as client:
            await client.list_tables()
        with trio.fail_after(2):
            while any(node.open_connections for node in servers.nodes):
                await trio.sleep(0.005)
        yield servers


class Poison(Message):
    """No actor knows it: a crash."""


async def use(client: Client) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(client.list_tables)


async def test_return(servers: LocalCluster) -> None:
    """Leaving the block closes everything."""
    leftovers = Leftovers()
    async with open_alternator(*servers.seeds) as client:
        await use(client)
    await leftovers.assert_none(servers)


async def test_what_comes_after_the_block_is_not_begun(servers: LocalCluster) -> None:
    """It hears that the block has ended, and is counted as no operation."""
    async with open_alternator(*servers.seeds) as client:
        pass
    with pytest.raises(ClientClosedError, match="the client's block has ended"):
        await client.list_tables()
    assert client.statistics().operations == 0


async def test_leaving_at_once(servers: LocalCluster) -> None:
    """A block that is left before its actors ever ran leaves nothing either."""
    leftovers = Leftovers()
    async with open_alternator(*servers.seeds):
        pass
    await leftovers.assert_none(servers)


async def test_an_exception_leaves_bare(servers: LocalCluster) -> None:
    """The body's exception is the same object, in no group."""
    leftovers = Leftovers()
    error = LookupError("mine")
    with pytest.raises(LookupError) as caught:
        async with open_alternator(*servers.seeds) as client:
            await use(client)
            raise error
    assert caught.value is error
    del caught
    error.__traceback__ = None
    await leftovers.assert_none(servers)


async def test_a_group_stays_as_it_is(servers: LocalCluster) -> None:
    """The body's own group is not flattened and not wrapped."""
    group = ExceptionGroup("mine", [ValueError(1), ExceptionGroup("inner", [KeyError(2)])])
    with pytest.raises(ExceptionGroup) as caught:
        async with open_alternator(*servers.seeds):
            raise group
    assert caught.value is group


async def test_cancellation(servers: LocalCluster) -> None:
    """An outer cancellation ends operations in mid-flight and leaves nothing."""
    leftovers = Leftovers()
    for node in servers.nodes:
        node.pause()
    with trio.move_on_after(0.05) as scope:
        async with open_alternator(*servers.seeds) as client:
            await use(client)
    assert scope.cancelled_caught
    for node in servers.nodes:
        node.resume()
    await leftovers.assert_none(servers)


async def test_clean_up_under_a_shield_may_use_the_client(servers: LocalCluster) -> None:
    """Services outlive the body: an operation in its shielded clean-up still works."""
    done = False
    with trio.CancelScope() as outer:
        async with open_alternator(*servers.seeds) as client:
            outer.cancel()
            try:
                await trio.sleep_forever()
            finally:
                with trio.fail_after(5, shield=True):
                    await client.list_tables()
                    await client.refresh()
                    done = True
    assert done
    assert outer.cancelled_caught


@pytest.mark.parametrize("owner", ["registry_inbox", "dispatcher_inbox"])
async def test_a_crash_loop_stops_the_client(
    servers: LocalCluster, owner: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Six crashes of the NodeRegistry or Dispatcher within 30 s: the body is cancelled, the cause leaves with it."""
    leftovers = Leftovers()
    cancelled = False
    with pytest.raises(ClientStoppedError, match="crashed too often") as caught:
        async with open_alternator(*servers.seeds) as client:
            await use(client)
            try:
                await poison(client, owner, times=6)
                await trio.sleep_forever()
            except trio.Cancelled:
                cancelled = True
                raise
    assert cancelled
    assert isinstance(caught.value.__cause__, AssertionError)
    assert "Poison" in caplog.text
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), ClientStoppedError)
    del caught
    caplog.clear()
    await leftovers.assert_none(servers)


async def test_the_bodys_exception_wins_over_a_crash(servers: LocalCluster) -> None:
    """What the body raises while it is cancelled by a crash loop leaves, with the crash as a note."""
    with pytest.raises(LookupError) as caught:
        async with open_alternator(*servers.seeds) as client:
            try:
                await poison(client, "dispatcher_inbox", times=6)
                await trio.sleep_forever()
            except trio.Cancelled:
                raise LookupError("mine") from None
    assert any("ClientStoppedError" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("owner", ["discovery_inbox", "keys_inbox"])
async def test_the_client_lives_on_without(servers: LocalCluster, owner: str) -> None:
    """Discovery and KeyResolver may crash as often as they like."""
    async with open_alternator(*servers.seeds) as client:
        await client.refresh()
        await poison(client, owner, times=3)
        await use(client)
        assert client.statistics().crashes >= 1
        assert client.statistics().failed == 0
        await client.refresh()


async def test_a_few_crashes_are_survived(servers: LocalCluster) -> None:
    """Five crashes of the Dispatcher are within its intensity; a new epoch of connections begins with each."""
    async with open_alternator(*servers.seeds) as client:
        await use(client)
        await poison(client, "dispatcher_inbox", times=5)
        await trio.testing.wait_all_tasks_blocked()
        assert client.statistics().connections_idle == 0
        await use(client)
        assert client.statistics().crashes == 5


async def put_until_closed(client: Client, errors: list[ClientClosedError]) -> None:
    with pytest.raises(ClientClosedError) as caught:
        await client.put_item(TableName="users", Item=KEY)
    errors.append(caught.value)


async def test_operations_in_outer_tasks_are_ended(servers: LocalCluster) -> None:
    """An operation in a task outside of the block raises ClientClosedError, which says that it may have happened."""
    errors: list[ClientClosedError] = []
    with trio.fail_after(5):
        async with trio.open_nursery() as outside:
            async with open_alternator(*servers.seeds) as client:
                await client.refresh()
                for node in servers.nodes:
                    node.fail_next(Hang(), times=10)
                for _ in range(5):
                    outside.start_soon(put_until_closed, client, errors)
                await trio.testing.wait_all_tasks_blocked(0.05)
    assert [(error.operation, error.may_have_happened, error.attempts) for error in errors] == [
        ("PutItem", True, 1)
    ] * 5


async def test_waiters_in_outer_tasks_are_ended(servers: LocalCluster) -> None:
    """Those who wait for a connection when the block ends were never sent."""
    errors: list[ClientClosedError] = []
    with trio.fail_after(5):
        async with trio.open_nursery() as outside:
            async with open_alternator(*servers.seeds, max_connections=1, discovery=False) as client:
                for node in servers.nodes:
                    node.fail_next(Hang(), times=10)
                for _ in range(3):
                    outside.start_soon(put_until_closed, client, errors)
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert client.statistics().waiting == 2
    assert sorted(error.may_have_happened for error in errors) == [False, False, True]


async def test_another_trio_run(servers: LocalCluster) -> None:
    """A client is refused in another Trio run, clearly."""
    refused: list[str] = []

    async def misuse(client: Client) -> None:
        try:
            await client.list_tables()
        except ClientClosedError as error:
            refused.append(str(error))

    async with open_alternator(*servers.seeds) as client:
        await trio.to_thread.run_sync(lambda: trio.run(misuse, client))
        await client.list_tables()
    (message,) = refused
    assert message.startswith("the client belongs to another Trio run; ")
    assert "trio.from_thread.run" in message


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_after_a_fork(servers: LocalCluster) -> None:
    """A client is refused in a forked child, clearly."""
    async with open_alternator(*servers.seeds) as client:
        pid = os.fork()
        if pid == 0:
            try:
                client.list_tables().send(None)
            except ClientClosedError as error:
                os._exit(7 if "fork" in str(error) else 8)
            finally:
                os._exit(9)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        await client.list_tables()


async def poison(client: Client, owner: str, times: int) -> None:
    inbox = getattr(client._runtime, owner)
    for _ in range(times):
        inbox.tell(Poison())
        await trio.testing.wait_all_tasks_blocked(0.001)
