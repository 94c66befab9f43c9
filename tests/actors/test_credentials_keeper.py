"""CredentialsKeeper under the virtual clock: calls, expiry, failures, refusals, cancellation, crashes."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import logging
import random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from alternator_trio._actors import credentials_keeper
from alternator_trio._actors.credentials_keeper import CALL_SECONDS, CredentialsKeeper
from alternator_trio._actors.messages import CredentialsRefused, CredentialsWanted
from alternator_trio._supervision import Inbox, Message, Published, Reply, RestartForever, ask, supervise
from alternator_trio.credentials import Credentials
from alternator_trio.errors import ClientClosedError, CredentialsError

EPOCH = 1440936000.0  # 2015-08-30T12:00:00Z, when the virtual clock says 0
SECRET = "a-secret-of-ours"


def wall_clock():
    return EPOCH + trio.current_time()


def credentials(number=0, seconds=None):
    """Another secret for each number, that holds for so many seconds from now."""
    expires_at = None if seconds is None else dt.datetime.fromtimestamp(wall_clock() + seconds, dt.UTC)
    return Credentials("role", f"{SECRET}-{number}", expires_at=expires_at)


class Bomb(Message):
    """What the keeper does not understand: handling it is a crash."""


class Vault:
    """A provider.

    Attributes:
        calls: When it was called.
        lifetime: Seconds that what it gives holds for; None: no end is told.
        delay: Seconds that each call takes.
        outcome: What it gives or raises, in place of credentials.
    """

    def __init__(self, lifetime=None, delay=0.0):
        self.calls = []
        self.lifetime = lifetime
        self.delay = delay
        self.outcome = None
        self.in_flight = 0

    async def get(self):
        self.calls.append(trio.current_time())
        self.in_flight += 1
        assert self.in_flight == 1, "two calls of one provider at a time"
        number, outcome = len(self.calls), self.outcome
        try:
            await trio.sleep(self.delay)
        finally:
            self.in_flight -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return credentials(number, self.lifetime) if outcome is None else outcome


class Bench:
    """A supervised keeper, and a provider."""

    def __init__(self):
        self.vault = Vault()
        self.crashes = []
        self.inbox = Inbox("CredentialsKeeper")
        self.held = Published({})
        self.actor = CredentialsKeeper(self.inbox, self.held, wall_clock)

    async def run(self):
        await supervise(self.actor, RestartForever(), self.crashes.append)

    async def get(self, provider=None):
        provider = provider or self.vault.get
        return await ask(self.inbox, lambda reply: CredentialsWanted(provider=provider, replies=(reply,)))

    async def refuse(self, refused):
        def message(reply):
            return CredentialsRefused(provider=self.vault.get, credentials=refused, replies=(reply,))

        return await ask(self.inbox, message)

    def use(self):
        """What a request does with the snapshot: the credentials, if they may be signed with."""
        held, now = self.held.value.get(self.vault.get), trio.current_time()
        if held is None or now >= held.usable_until:
            return None
        if now >= held.ask_at:
            self.inbox.tell(CredentialsWanted(provider=self.vault.get))
        return held.credentials


@pytest.fixture
async def bench(nursery):
    """A running keeper; tests that take it take ``autojump_clock`` as well."""
    made = Bench()
    nursery.start_soon(made.run)
    return made


class TestCalls:
    async def test_the_provider_is_not_called_before_somebody_asks(self, autojump_clock, bench):
        """It costs something, and may never be needed."""
        await trio.sleep(3600)
        assert bench.vault.calls == []

    async def test_many_who_ask_share_one_call(self, autojump_clock, bench):
        """A hundred tasks, before the call and during it: one call, and the same credentials for all."""
        bench.vault.delay = 1.0
        given = []

        async def get(number):
            await trio.sleep(number / 200)
            given.append(await bench.get())

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(get, number)
        assert (given, bench.vault.calls) == ([credentials(1)] * 100, [0.0])

    async def test_the_credentials_are_published_before_they_are_answered(self, autojump_clock, bench):
        """Who has the answer may rely on the snapshot."""
        assert await bench.get() is bench.use()

    async def test_without_an_end_they_hold_for_ever(self, autojump_clock, bench):
        """Until a node refuses them."""
        await bench.get()
        await trio.sleep(10 * 365 * 86400)
        assert (bench.use(), len(bench.vault.calls)) == (credentials(1), 1)

    async def test_each_provider_has_its_own_call(self, autojump_clock, bench):
        """The slow one does not hold up the other."""
        slow, fast = Vault(delay=30.0), Vault()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.get, slow.get)
            await wait_all_tasks_blocked()
            await bench.get(fast.get)
            assert trio.current_time() == 0.0

    async def test_two_that_are_equal_are_one(self, autojump_clock, bench):
        """A bound method is another object each time that it is read."""
        assert bench.vault.get is not bench.vault.get
        await bench.get(bench.vault.get)
        await bench.get(bench.vault.get)
        assert len(bench.vault.calls) == 1

    async def test_no_more_providers_are_held_than_there_is_room_for(self, autojump_clock, bench, monkeypatch):
        """The oldest makes room; when all are being called, the next hears so."""
        monkeypatch.setattr(credentials_keeper, "MAX_PROVIDERS", 2)
        vaults = [Vault() for _ in range(3)]
        for vault in vaults:
            await bench.get(vault.get)
        assert list(bench.held.value) == [vault.get for vault in vaults[1:]]
        for vault in vaults:
            vault.delay = 1.0
        async with trio.open_nursery() as nursery:
            hung = [Vault(delay=1.0), Vault(delay=1.0)]
            for vault in hung:
                nursery.start_soon(bench.get, vault.get)
            await wait_all_tasks_blocked()
            with pytest.raises(CredentialsError, match="2 providers of credentials are being called"):
                await bench.get(vaults[0].get)


class TestExpiry:
    @pytest.mark.parametrize(("lifetime", "ahead"), [(3600.0, 900.0), (600.0, 150.0), (86400.0, 900.0)])
    async def test_others_are_asked_for_ahead_and_nobody_waits(self, autojump_clock, bench, lifetime, ahead):
        """From then on the first request starts a call, and signs with the old ones as long as it takes."""
        bench.vault.lifetime = lifetime
        old = await bench.get()
        bench.vault.delay = 20.0
        await trio.sleep(lifetime - ahead - 1)
        assert (bench.use(), len(bench.vault.calls)) == (old, 1)
        await trio.sleep(2)
        for _ in range(10):
            assert bench.use() == old
            await trio.sleep(1)
        assert len(bench.vault.calls) == 2
        await trio.sleep(15)
        assert bench.use().secret_access_key == f"{SECRET}-2"

    async def test_an_idle_client_asks_for_nothing(self, autojump_clock, bench):
        """After the end, the next request waits for one call."""
        bench.vault.lifetime = 3600.0
        await bench.get()
        await trio.sleep(86400)
        assert (bench.use(), len(bench.vault.calls)) == (None, 1)
        assert (await bench.get()).secret_access_key == f"{SECRET}-2"

    async def test_the_last_minute_is_not_used(self, autojump_clock, bench):
        """A request is on its way for a while, and clocks differ."""
        bench.vault.lifetime = 3600.0
        await bench.get()
        bench.vault.outcome = OSError()
        await trio.sleep(3539)
        assert bench.use() is not None
        await trio.sleep(2)
        assert bench.use() is None

    async def test_the_same_ones_again_are_no_storm(self, autojump_clock, bench):
        """A provider that caches gives them until their end: few calls for ten minutes of requests."""
        bench.vault.outcome = credentials(0, 600.0)
        await bench.get()
        while trio.current_time() < 530.0:
            assert bench.use() is not None
            await trio.sleep(0.1)
        assert len(bench.vault.calls) < 6

    async def test_what_has_ended_already_is_refused(self, autojump_clock, bench):
        """Both times are in the error: the clock may be what is wrong."""
        bench.vault.outcome = credentials(0, -1.0)
        with pytest.raises(CredentialsError, match=r"ended at 2015-08-30 11:59:59.*here it is 2015-08-30 12:00:00"):
            await bench.get()

    async def test_an_actor_that_is_given_up_leaves_none_behind(self, autojump_clock, bench):
        """Secrets do not outlive their client in a snapshot."""
        await bench.get()
        bench.actor.abandon(ClientClosedError("the client is closed"))
        assert bench.held.value == {}

    async def test_what_ends_this_very_moment_is_refused(self, autojump_clock, bench):
        """There is no time left to sign with it."""
        bench.vault.outcome = credentials(0, 0.0)
        with pytest.raises(CredentialsError, match=r"ended at 2015-08-30 12:00:00"):
            await bench.get()


class TestFailures:
    @pytest.mark.parametrize(
        ("outcome", "message"),
        [
            (OSError(SECRET), "the credentials provider 'Vault.get' raised OSError"),
            (SECRET, "'Vault.get' gave a str, not Credentials"),
            (ExceptionGroup("both", [OSError(), ValueError()]), "raised ExceptionGroup"),
        ],
    )
    async def test_the_error_names_the_provider_and_shows_nothing(self, autojump_clock, bench, outcome, message):
        """What it gave or raised is told by its type; what it raised is the cause."""
        bench.vault.outcome = outcome
        with pytest.raises(CredentialsError, match=message) as caught:
            await bench.get()
        assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.args}"
        assert caught.value.__cause__ is (outcome if isinstance(outcome, Exception) else None)

    async def test_a_provider_that_is_not_async(self, autojump_clock, bench):
        """It is called and told so: there is no sure way to know before."""
        with pytest.raises(CredentialsError, match="is no async callable: it gave a Credentials at once"):
            await bench.get(credentials)

    async def test_a_provider_is_named_by_what_it_is(self, autojump_clock, bench):
        """The ``repr`` of a partial function shows its arguments."""

        async def log_in(password):
            raise OSError

        with pytest.raises(CredentialsError, match="provider 'partial' raised OSError"):
            await bench.get(functools.partial(log_in, SECRET))

    async def test_one_that_hangs_is_given_up(self, autojump_clock, bench):
        """Those that wait are told after a minute, and the next call is another one."""
        bench.vault.delay = 1e6
        with pytest.raises(CredentialsError, match="gave nothing within 60 s"):
            await bench.get()
        assert trio.current_time() == CALL_SECONDS
        bench.vault.delay = 0.0
        await trio.sleep(1)
        await bench.get()

    async def test_one_that_is_broken_is_left_alone(self, autojump_clock, bench):
        """Ten minutes of requests: each fails at once, with the last call's error; few calls."""
        bench.vault.outcome = OSError()
        while trio.current_time() < 600.0:
            with pytest.raises(CredentialsError, match="raised OSError"):
                await bench.get()
            await trio.sleep(0.1)
        pauses = [later - earlier for earlier, later in zip(bench.vault.calls, bench.vault.calls[1:], strict=False)]
        assert pauses[:6] == pytest.approx([1, 2, 4, 8, 16, 32], abs=0.2)
        assert pauses[6:] == pytest.approx([60] * len(pauses[6:]), abs=0.2)

    async def test_after_a_failure_all_is_well_again(self, autojump_clock, bench):
        """A success ends the row: the next failure costs a second again."""
        bench.vault.outcome = OSError()
        for _ in range(3):
            with pytest.raises(CredentialsError):
                await bench.get()
            await trio.sleep(60)
        bench.vault.outcome = None
        refused = await bench.get()
        bench.vault.outcome = OSError()
        with pytest.raises(CredentialsError):
            await bench.refuse(refused)
        bench.vault.outcome = None
        await trio.sleep(10)
        assert await bench.refuse(refused) != refused

    async def test_while_old_ones_hold_traffic_goes_on(self, autojump_clock, bench, caplog):
        """The provider is down for a quarter of an hour: one warning, no secret in it, and no request notices."""
        bench.vault.lifetime = 3600.0
        old = await bench.get()
        await trio.sleep(2700)
        bench.vault.outcome = OSError(SECRET)
        with caplog.at_level(logging.WARNING, logger="alternator_trio"):
            while trio.current_time() < 3500:
                assert bench.use() == old
                await trio.sleep(1)
        (record,) = caplog.records
        assert "raised OSError; its credentials are used until 2015-08-30 13:00:00" in record.getMessage()
        assert SECRET not in record.getMessage()


class TestRefusals:
    async def test_the_provider_is_asked_again(self, autojump_clock, bench):
        """A hundred requests are refused at once: one call, and others for all."""
        old = await bench.get()
        bench.vault.delay = 1.0
        given = []

        async def refuse():
            given.append(await bench.refuse(old))

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(refuse)
        assert (given, len(bench.vault.calls)) == ([credentials(2)] * 100, 2)

    async def test_who_comes_late_gets_those_that_are_held_by_then(self, autojump_clock, bench):
        """What was refused has been replaced: no call."""
        old = await bench.get()
        new = await bench.refuse(old)
        assert (await bench.refuse(old), len(bench.vault.calls)) == (new, 2)

    async def test_a_refusal_is_no_storm(self, autojump_clock, bench):
        """The role was dropped: a minute of refusals costs a call every ten seconds."""
        bench.vault.outcome = credentials()
        old = await bench.get()
        while trio.current_time() < 59.0:
            assert await bench.refuse(old) == old
            await trio.sleep(0.1)
        assert bench.vault.calls[1:] == pytest.approx([0, 10, 20, 30, 40, 50], abs=1)

    async def test_what_is_held_stays_when_the_call_fails(self, autojump_clock, bench):
        """One node that refuses wrongly must not take away what the others accept."""
        old = await bench.get()
        bench.vault.outcome = OSError()
        with pytest.raises(CredentialsError):
            await bench.refuse(old)
        assert bench.use() == old


class TestCancellation:
    @pytest.mark.parametrize("leaving", [1, 9, 10])
    async def test_who_leaves_takes_nothing_along(self, autojump_clock, bench, leaving):
        """Of ten that wait some are cancelled in one tick: the others get the credentials, of the same call."""
        bench.vault.delay = 1.0
        given = []

        async def get(patience):
            with trio.move_on_after(patience):
                given.append(await bench.get())

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(get, 0.5 if number < leaving else 5.0)
        assert given == [credentials(1)] * (10 - leaving)
        await trio.sleep(1)
        assert (bench.use(), bench.vault.calls) == (credentials(1), [0.0])

    @pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
    async def test_the_end_of_the_block_settles_who_waits(self, autojump_clock, at):
        """Before the call begins, in it, and as it ends: no question stays open, no mark, no task."""
        bench = Bench()
        bench.vault.delay = 1.0
        reply = Reply()
        bench.inbox.tell(CredentialsWanted(provider=bench.vault.get, replies=(reply,)))
        with trio.move_on_after(at):
            await bench.run()
        closed = ClientClosedError("closed")
        bench.inbox.close(closed)
        bench.actor.abandon(closed)
        with pytest.raises(ClientClosedError):
            await reply.wait()
        assert (bench.held.value, bench.vault.in_flight) == ({}, 0)

    async def test_a_cancelled_scope_of_the_providers_own_is_its_own(self, autojump_clock, bench):
        """It moves on from what it waits for, and gives something else."""

        async def patient():
            with trio.move_on_after(1):
                await trio.sleep_forever()
            return credentials()

        assert await bench.get(patient) == credentials()


class TestCrashes:
    @pytest.fixture(autouse=True)
    def quiet(self, caplog):
        caplog.set_level(logging.CRITICAL, logger="alternator_trio")

    async def test_for_those_that_wait_the_provider_is_called_again(self, autojump_clock, bench):
        """The call died with the actor; the question did not."""
        bench.vault.delay = 1.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.get)
            await trio.sleep(0.5)
            bench.inbox.tell(Bomb())
        assert (len(bench.crashes), len(bench.vault.calls), bench.vault.in_flight) == (1, 2, 0)

    async def test_a_background_call_leaves_no_mark(self, autojump_clock, bench):
        """The next request starts another, and what was held is still held."""
        bench.vault.lifetime = 3600.0
        old = await bench.get()
        await trio.sleep(3000)
        bench.vault.delay = 1.0
        assert bench.use() == old
        await trio.sleep(0.5)
        bench.inbox.tell(Bomb())
        await trio.sleep(0.5)
        assert (bench.use(), len(bench.vault.calls)) == (old, 2)
        await trio.sleep(2)
        assert (bench.use(), len(bench.vault.calls)) == (credentials_of(bench, 3), 3)

    async def test_a_question_is_given_up_after_three_crashes(self, autojump_clock, bench):
        """Nobody waits for ever on what cannot be answered."""
        bench.vault.delay = 1e6

        async def crash():
            for _ in range(3):
                await trio.sleep(1)
                bench.inbox.tell(Bomb())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(crash)
            with pytest.raises(CredentialsError, match=r"'Vault\.get' crashed 3 times"):
                await bench.get()


def credentials_of(bench, number):
    """What is held, which is to be of that call."""
    held = bench.held.value[bench.vault.get].credentials
    assert held.secret_access_key == f"{SECRET}-{number}"
    return held


async def meddle(bench, rng, until):
    """Use, ask, refuse, cancel and crash at random; a question finds an end, if its asker has the patience."""

    async def get(patience):
        with trio.move_on_after(patience) as scope, contextlib.suppress(CredentialsError):
            await bench.get()
        assert not scope.cancelled_caught or patience < 600

    async def refuse(patience):
        with trio.move_on_after(patience) as scope, contextlib.suppress(CredentialsError):
            await bench.refuse(bench.use() or credentials())
        assert not scope.cancelled_caught or patience < 600

    async with trio.open_nursery() as nursery:
        while trio.current_time() < until:
            match rng.randrange(8):
                case 0:
                    bench.inbox.tell(Bomb())
                case 1 | 2:
                    bench.use()
                case 3:
                    nursery.start_soon(refuse, rng.choice([0.01, 1.0, 600.0]))
                case _:
                    nursery.start_soon(get, rng.choice([0.01, 1.0, 600.0]))
            bench.vault.outcome = rng.choice([None, None, OSError(), "nonsense"])
            bench.vault.lifetime = rng.choice([None, 0.5, 60.0, 3600.0])
            bench.vault.delay = rng.choice([0.0, 0.01, 1.0, 100.0])
            await trio.sleep(rng.choice([0.0, 0.01, 1.0, 100.0]))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_every_question_is_answered(seed):
    """An hour of meddling: one call at a time, every question ends, and a provider that is well again is heard."""

    async def world():
        bench = Bench()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.run)
            await meddle(bench, random.Random(seed), until=3600.0)
            bench.vault.outcome = bench.vault.lifetime = None
            bench.vault.delay = 0.0
            await trio.sleep(4000.0)
            await bench.get()
            assert (bench.use() is None, bench.vault.in_flight) == (False, 0)
            assert all(isinstance(crash.message, Bomb) for crash in bench.crashes)
            nursery.cancel_scope.cancel()

    trio.run(world, clock=MockClock(autojump_threshold=0))
