"""KeyResolver under the virtual clock: lookups, retries, cooldowns, changes, doubts, crashes."""

from __future__ import annotations

import collections
import contextlib
import itertools
import random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from alternator_trio._actors import key_resolver
from alternator_trio._actors.key_resolver import MAX_IN_FLIGHT, KeyResolver
from alternator_trio._actors.messages import KeyDoubted, KeyNames, KeyWanted, TableChanged
from alternator_trio._service_errors import ResourceNotFoundException
from alternator_trio._supervision import Inbox, Message, Published, Reply, RestartForever, ask, supervise
from alternator_trio.errors import AlternatorError, ClientClosedError, ConnectError, DecodingError

COOLDOWN = 300.0


class Bomb(Message):
    """What the resolver does not understand: handling it is a crash."""


def describing(name):
    return {"Table": {"KeySchema": [{"AttributeName": name, "KeyType": "HASH"}]}}


def not_found():
    return ResourceNotFoundException("no such table", code="ResourceNotFoundException", status=400)


class Bench:
    """A supervised resolver, and the cluster that it asks.

    Attributes:
        asked: When which table was described.
        script: What the next descriptions come to: a name, an answer, or an error; ``otherwise`` when it is used up.
        delay: Seconds that each takes.
        in_flight: Descriptions begun and not ended, by table; ``most`` is the largest sum of them.
    """

    def __init__(self, given=None, seed=0):
        self.asked = []
        self.script = []
        self.otherwise = "id"
        self.delay = 0.0
        self.in_flight = collections.Counter()
        self.most = 0
        self.crashes = []
        self.inbox = Inbox("KeyResolver")
        self.names = Published(KeyNames(names=given or {}))
        self.actor = KeyResolver(self.inbox, self.names, self.describe, random.Random(seed))

    async def describe(self, table):
        self.asked.append((trio.current_time(), table))
        outcome = self.script.pop(0) if self.script else self.otherwise
        self.in_flight[table] += 1
        self.most = max(self.most, self.in_flight.total())
        assert self.in_flight[table] == 1, "two descriptions of one table at a time"
        try:
            await trio.sleep(self.delay)
        finally:
            self.in_flight[table] -= 1
        if isinstance(outcome, Exception):
            raise outcome
        return describing(outcome) if isinstance(outcome, str) else outcome

    async def run(self):
        await supervise(self.actor, RestartForever(), self.crashes.append)

    def want(self, table="users"):
        self.inbox.tell(KeyWanted(table=table))

    async def key(self, table="users"):
        return await ask(self.inbox, lambda reply: KeyWanted(table=table, replies=(reply,)))

    @property
    def times(self):
        return [at for at, _ in self.asked]


@pytest.fixture
async def bench(nursery):
    """A running resolver; tests that take it take ``autojump_clock`` as well."""
    made = Bench()
    nursery.start_soon(made.run)
    return made


@pytest.fixture
async def given_bench(nursery):
    """One to which the user has named the key of ``users``."""
    made = Bench(given={"users": "mine"})
    nursery.start_soon(made.run)
    return made


async def test_who_asks_gets_the_name(autojump_clock, bench):
    """The table is described, once."""
    assert await bench.key() == "id"
    assert len(bench.asked) == 1


async def test_the_name_is_published_before_it_is_answered(autojump_clock, bench):
    """Who has the answer may rely on the snapshot."""
    await bench.key()
    assert bench.names.value == KeyNames(names={"users": "id"})


async def test_a_request_that_misses_starts_a_lookup(autojump_clock, bench):
    """Nobody waits; the name is there a moment later."""
    bench.want()
    await wait_all_tasks_blocked()
    assert bench.names.value.names == {"users": "id"}


async def test_a_known_name_is_answered_without_asking(autojump_clock, bench):
    """One description is enough for ever."""
    await bench.key()
    assert await bench.key() == "id"
    assert len(bench.asked) == 1


async def test_a_lookup_is_published_as_pending(autojump_clock, bench):
    """So that requests tell of a miss only once."""
    bench.delay = 1.0
    bench.want()
    await trio.sleep(0.5)
    assert bench.names.value.pending == {"users"}
    assert not bench.names.value.is_wanted("users", trio.current_time())


async def test_a_thousand_who_ask_share_one_lookup(autojump_clock, bench):
    """Before it, at its beginning, and in the middle of it."""
    bench.delay = 1.0
    names = []

    async def get_key(number):
        await trio.sleep(number / 2000)
        names.append(await bench.key())

    async with trio.open_nursery() as nursery:
        for number in range(1000):
            nursery.start_soon(get_key, number)
    assert (names, len(bench.asked)) == (["id"] * 1000, 1)


async def test_transient_failures_are_tried_again(autojump_clock, bench):
    """Three times, after 100, 200 and 400 ms, give or take a fifth."""
    bench.script = [ConnectError("refused")] * 3
    assert await bench.key() == "id"
    pauses = [later - earlier for earlier, later in itertools.pairwise(bench.times)]
    assert pauses == [pytest.approx(seconds, rel=0.2001) for seconds in (0.1, 0.2, 0.4)]
    assert len(set(pauses)) == 3


async def test_the_jitter_is_that_of_the_given_randomness(autojump_clock, nursery):
    """One seed, one schedule; another seed, another one."""

    async def times(seed):
        made = Bench(seed=seed)
        made.script = [ConnectError("refused")] * 3
        began = trio.current_time()
        nursery.start_soon(made.run)
        await made.key()
        return [pytest.approx(at - began) for at in made.times]

    assert await times(1) == await times(1)
    assert await times(1) != await times(2)


async def test_the_fourth_failure_is_the_answer(autojump_clock, bench):
    """Who waits gets the last error, and no fifth attempt is made."""
    bench.otherwise = ConnectError("refused")
    with pytest.raises(ConnectError, match="refused"):
        await bench.key()
    assert len(bench.asked) == 4


async def test_exhaustion_starts_no_cooldown(autojump_clock, bench):
    """The next who asks starts another lookup at once."""
    bench.script = [ConnectError("refused")] * 4
    with pytest.raises(ConnectError):
        await bench.key()
    assert bench.names.value == KeyNames()
    assert await bench.key() == "id"


async def test_each_who_waits_gets_an_error_of_their_own(autojump_clock, bench):
    """With its cause: a shared one would collect the tracebacks of all who raise it."""
    bench.delay = 0.1
    failure = not_found()
    failure.__cause__ = LookupError()
    bench.otherwise = failure
    errors = []

    async def get_key():
        with pytest.raises(ResourceNotFoundException) as caught:
            await bench.key()
        errors.append(caught.value)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(get_key)
    assert len({id(error) for error in (*errors, failure)}) == 4
    assert {error.__cause__ for error in errors} == {failure.__cause__}


async def test_a_permanent_failure_is_not_tried_again(autojump_clock, bench):
    """It would only fail so again."""
    bench.otherwise = not_found()
    with pytest.raises(ResourceNotFoundException):
        await bench.key()
    assert len(bench.asked) == 1


async def test_a_permanent_failure_after_transient_ones_ends_the_lookup(autojump_clock, bench):
    """The last failure decides."""
    bench.script = [ConnectError("refused"), not_found()]
    with pytest.raises(ResourceNotFoundException):
        await bench.key()
    assert bench.names.value.cooldowns == {"users": pytest.approx(trio.current_time() + COOLDOWN)}


async def test_a_cooldown_is_silent_for_five_minutes(autojump_clock, bench):
    """Whoever asks gets the error that is remembered, at once; the end of it brings exactly one description."""
    bench.script = [not_found()]
    bench.want()
    await wait_all_tasks_blocked()
    for _ in range(30):
        with pytest.raises(ResourceNotFoundException):
            await bench.key()
        bench.want()
        await trio.sleep(9.99)
    assert bench.times == [0.0]
    await trio.sleep_until(COOLDOWN)
    assert [await bench.key() for _ in range(3)] == ["id"] * 3
    assert bench.times == [0.0, COOLDOWN]


async def test_a_cooldown_raises_no_error_twice(autojump_clock, bench):
    """Five minutes of raising one error would make a traceback of any length."""
    bench.script = [not_found()]
    bench.want()
    errors = []
    for _ in range(3):
        with pytest.raises(ResourceNotFoundException) as caught:
            await bench.key()
        errors.append(caught.value)
    assert len({id(error) for error in errors}) == 3


async def test_a_cooldown_tells_callers_its_end(autojump_clock, bench):
    """So that they tell nothing of which nothing comes."""
    bench.script = [not_found()]
    bench.want()
    await wait_all_tasks_blocked()
    wanted = [bench.names.value.is_wanted("users", now) for now in (0.0, COOLDOWN - 1, COOLDOWN)]
    assert wanted == [False, False, True]


async def test_a_cooldown_is_of_one_table(autojump_clock, bench):
    """The others are looked up."""
    bench.script = [not_found()]
    bench.want("gone")
    await wait_all_tasks_blocked()
    assert await bench.key() == "id"


async def test_an_answer_without_a_hash_key_is_permanent(autojump_clock, bench):
    """A table has one; what answered so is no Alternator."""
    bench.script = [{"Table": {}}]
    with pytest.raises(DecodingError, match="names no partition key"):
        await bench.key()
    assert list(bench.names.value.cooldowns) == ["users"]


@pytest.mark.parametrize("told", [KeyWanted, TableChanged, KeyDoubted])
def test_what_is_told_of_one_table_does_not_take_the_place_of_anothers(told):
    """Both before the actor reads; what is told of the same table again merges."""
    inbox = Inbox("KeyResolver")
    for table in ("users", "orders", "users"):
        inbox.tell(told(table=table))
    assert inbox.statistics().pending == 2


async def test_a_change_ends_a_cooldown(autojump_clock, bench):
    """The table has been created: it is looked up the next time."""
    bench.script = [not_found()]
    bench.want()
    await wait_all_tasks_blocked()
    bench.inbox.tell(TableChanged(table="users"))
    assert await bench.key() == "id"
    assert bench.names.value.cooldowns == {}


async def test_a_change_drops_the_name(autojump_clock, bench):
    """The next who asks gets that of the new table."""
    bench.script = ["old", "new"]
    await bench.key()
    bench.inbox.tell(TableChanged(table="users"))
    await wait_all_tasks_blocked()
    assert bench.names.value.names == {}
    assert await bench.key() == "new"


async def test_a_change_without_need_starts_nothing(autojump_clock, bench):
    """Tables are created and deleted that nobody writes to."""
    bench.inbox.tell(TableChanged(table="users"))
    await wait_all_tasks_blocked()
    assert bench.asked == []


async def test_a_change_in_mid_lookup_voids_its_result(autojump_clock, bench):
    """It may be the old table's: who waits is looked up for again."""
    bench.delay = 1.0
    bench.script = ["old", "new"]
    bench.want()
    await trio.sleep(0.5)
    bench.inbox.tell(TableChanged(table="users"))
    assert await bench.key() == "new"
    assert bench.names.value == KeyNames(names={"users": "new"})
    assert bench.times == [0.0, 1.0]


async def test_a_change_in_mid_lookup_voids_its_failure(autojump_clock, bench):
    """Deleted, looked up, created: there must be no five minutes of silence about the new table."""
    bench.delay = 1.0
    bench.script = [not_found()]
    bench.want()
    await trio.sleep(0.5)
    bench.inbox.tell(TableChanged(table="users"))
    await trio.sleep(1.0)
    assert bench.names.value == KeyNames()
    assert len(bench.asked) == 1


async def test_a_given_name_is_never_looked_up(autojump_clock, given_bench):
    """It is published from the first, and answered."""
    assert given_bench.names.value.names == {"users": "mine"}
    assert await given_bench.key() == "mine"
    assert given_bench.asked == []


async def test_a_given_name_survives_a_change(autojump_clock, given_bench):
    """It is the user's word, and the user's to change; doubt does not touch it either."""
    given_bench.inbox.tell(TableChanged(table="users"))
    given_bench.inbox.tell(KeyDoubted(table="users"))
    assert await given_bench.key("orders") == "id"
    assert given_bench.names.value.names == {"users": "mine", "orders": "id"}
    assert await given_bench.key() == "mine"


async def test_a_doubted_name_is_dropped_and_looked_up(autojump_clock, bench):
    """A table made anew by somebody else has another key."""
    bench.delay = 1.0
    bench.script = ["old", "new"]
    await bench.key()
    bench.inbox.tell(KeyDoubted(table="users"))
    await wait_all_tasks_blocked()
    assert bench.names.value == KeyNames(pending=frozenset({"users"}))
    await trio.sleep(2.0)
    assert bench.names.value.names == {"users": "new"}


async def test_a_name_found_right_is_not_doubted_for_a_minute(autojump_clock, bench):
    """Requests that are just invalid, ten a second, cost one description a minute."""
    await bench.key()
    for _ in range(1200):
        bench.inbox.tell(KeyDoubted(table="users"))
        await trio.sleep(0.1)
    assert bench.times == [0.0, 0.0, pytest.approx(60.0, abs=0.11)]


async def test_a_name_found_wrong_may_be_doubted_again(autojump_clock, bench):
    """Only a confirmation silences doubt."""
    bench.script = ["old", "new", "newest"]
    await bench.key()
    for _ in range(2):
        bench.inbox.tell(KeyDoubted(table="users"))
        await wait_all_tasks_blocked()
    assert bench.names.value.names == {"users": "newest"}


async def test_doubt_in_mid_lookup_starts_no_second_one(autojump_clock, bench):
    """A hundred requests are refused at once; one lookup settles it."""
    bench.delay = 1.0
    await bench.key()
    for _ in range(100):
        bench.inbox.tell(KeyDoubted(table="users"))
        await trio.sleep(0.001)
    await trio.sleep(2.0)
    assert len(bench.asked) == 2


async def test_one_who_stops_waiting_takes_nothing_away(autojump_clock, bench):
    """The others get the name, from the same lookup."""
    bench.delay = 1.0
    names = []

    async def get_key(patience):
        with trio.move_on_after(patience):
            names.append(await bench.key())

    async with trio.open_nursery() as nursery:
        for patience in (0.5, 2.0, 2.0):
            nursery.start_soon(get_key, patience)
    assert (names, len(bench.asked)) == (["id", "id"], 1)


async def test_when_all_stop_waiting_the_lookup_goes_on(autojump_clock, bench):
    """It is of use to the next request."""
    bench.delay = 1.0
    with trio.move_on_after(0.5):
        await bench.key()
    await trio.sleep(1.0)
    assert bench.names.value == KeyNames(names={"users": "id"})


async def test_after_a_crash_who_waits_is_looked_up_for_again(autojump_clock, bench):
    """The lookup died with the actor; the question did not."""
    bench.delay = 1.0
    bench.want()
    await trio.sleep(0.5)
    bench.inbox.tell(Bomb())
    assert await bench.key() == "id"
    assert (len(bench.crashes), bench.in_flight.total()) == (1, 0)


async def test_after_a_crash_no_mark_is_left(autojump_clock, bench):
    """A lookup that nobody waits for ends with the actor; the next request starts one."""
    bench.delay = 1.0
    bench.want()
    await trio.sleep(0.5)
    bench.inbox.tell(Bomb())
    await trio.sleep(0.5)
    assert (bench.names.value, bench.times) == (KeyNames(), [0.0])
    bench.want()
    await trio.sleep(1.5)
    assert bench.names.value.names == {"users": "id"}


async def test_after_a_crash_names_and_cooldowns_are_still_known(autojump_clock, bench):
    """A crash keeps the last good state."""
    await bench.key()
    bench.script = [not_found()]
    bench.want("gone")
    await wait_all_tasks_blocked()
    before = bench.names.value
    bench.inbox.tell(Bomb())
    await trio.sleep(0.5)
    assert bench.names.value == before
    assert await bench.key() == "id"


async def test_a_lookup_that_crashes_the_actor_is_given_up(autojump_clock, bench):
    """Nobody waits for ever on what will never be answered, and the actor is not brought down for ever."""
    bench.otherwise = ZeroDivisionError()
    with pytest.raises(AlternatorError, match="'users' crashed 3 times"):
        await bench.key()
    await trio.sleep(60.0)
    assert (len(bench.asked), len(bench.crashes)) == (3, 3)


async def test_abandoning_settles_who_waits(autojump_clock):
    """The client is closed in mid-lookup: no question stays open, no mark, no task."""
    bench = Bench()
    bench.delay = 1.0
    reply = Reply()
    bench.inbox.tell(KeyWanted(table="users", replies=(reply,)))
    with trio.move_on_after(0.5):
        await bench.run()
    bench.actor.abandon(ClientClosedError("closed"))
    with pytest.raises(ClientClosedError):
        await reply.wait()
    assert (bench.names.value, bench.in_flight.total()) == (KeyNames(), 0)


async def test_many_tables_are_described_a_few_at_a_time(autojump_clock, bench):
    """Lookups share the connections with traffic: no more than so many may hold one."""
    bench.delay = 1.0
    for number in range(100):
        bench.want(str(number))
    await trio.sleep(60.0)
    assert (bench.most, len(bench.names.value.names)) == (MAX_IN_FLIGHT, 100)


async def test_a_pause_keeps_nobody_waiting(autojump_clock, bench):
    """A lookup between two attempts holds no place."""
    bench.script = [ConnectError("refused")] * MAX_IN_FLIGHT
    for number in range(MAX_IN_FLIGHT):
        bench.want(str(number))
    await wait_all_tasks_blocked()
    assert await bench.key() == "id"
    assert bench.times[-1] == 0.0


async def test_no_more_tables_are_looked_up_than_are_remembered(autojump_clock, bench, monkeypatch):
    """Who asks beyond the bound hears so; who tells is not heard."""
    monkeypatch.setattr(key_resolver, "MAX_TABLES", 2)
    bench.delay = 1.0
    for table in ("a", "b", "c"):
        bench.want(table)
    with pytest.raises(AlternatorError, match="2 tables are being looked up already"):
        await bench.key("d")
    await trio.sleep(2.0)
    assert bench.names.value.names == {"a": "id", "b": "id"}


async def meddle(bench, rng, until):
    """Ask, tell, change, doubt, cancel and crash at random; a question finds an end, if its asker has the patience."""

    async def get_key(table, patience):
        with trio.move_on_after(patience) as scope, contextlib.suppress(AlternatorError):
            assert await bench.key(table) == "id"
        assert not scope.cancelled_caught or patience < 600

    async with trio.open_nursery() as nursery:
        while trio.current_time() < until:
            table = rng.choice("abcd")
            match rng.randrange(12):
                case 0:
                    bench.inbox.tell(Bomb())
                case 1:
                    bench.inbox.tell(TableChanged(table=table))
                case 2:
                    bench.inbox.tell(KeyDoubted(table=table))
                case 3 | 4 | 5:
                    bench.want(table)
                case _:
                    nursery.start_soon(get_key, table, rng.choice([0.01, 1.0, 600.0]))
            bench.otherwise = rng.choice(["id", "id", ConnectError("refused"), not_found(), {"Table": {}}])
            bench.delay = rng.choice([0.0, 0.01, 1.0, 12.0])
            await trio.sleep(rng.choice([0.0, 0.01, 1.0, 100.0]))


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_lookups_end_and_leave_no_mark(seed):
    """An hour of meddling: one description of a table at a time, every question answered, then every name found."""

    async def world():
        bench = Bench(seed=seed)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.run)
            await meddle(bench, random.Random(seed), until=3600.0)
            bench.otherwise, bench.delay = "id", 0.0
            await trio.sleep(COOLDOWN + 60.0)
            assert (bench.names.value.pending, bench.in_flight.total()) == (frozenset(), 0)
            assert [await bench.key(table) for table in "abcd"] == ["id"] * 4
            assert all(isinstance(crash.message, Bomb) for crash in bench.crashes)
            nursery.cancel_scope.cancel()

    trio.run(world, clock=MockClock(autojump_threshold=0))
