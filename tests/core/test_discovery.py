"""One refresh: whom it asks, in which order, and what the answers make together."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._core.discovery import MAX_CONTACTS, ClusterRefresh, ScopeAnswer, ScopeRefresh, united
from alternator_trio.nodes import Node

A, B, C, D, E = (Node("http", f"10.0.0.{number}", 8000) for number in range(1, 6))


class Cluster(ClusterRefresh):
    """A refresh in cluster scope, with its result taken alone."""

    def __init__(self, known, contacts, seeds):
        super().__init__((*known, *contacts, *seeds))
        self.contacts = contacts

    def result(self):
        whole = united([self], self.contacts)
        nodes = whole.answers[0].nodes if whole.answers else ()
        return SimpleNamespace(nodes=nodes, contacts=whole.contacts, answered=whole.answered, failures=whole.failures)


def refresh_of(known=(), contacts=(), seeds=()):
    return Cluster(known, contacts, seeds)


def asked_by(refresh, answers):
    """Drive a refresh one candidate at a time: a list is an answer, anything else the reason of a failure."""
    asked = []
    while refresh.is_wanting and (node := refresh.next_candidate()) is not None:
        asked.append(node)
        answer = answers.get(node, "refused")
        if isinstance(answer, str):
            refresh.fail(node, answer)
        else:
            refresh.answer(node, answer)
    return asked


def test_known_nodes_then_contacts_then_seeds():
    """The order of asking is that of the arguments."""
    assert asked_by(refresh_of(known=[B, A], contacts=[D], seeds=[E, C]), {}) == [B, A, D, E, C]


def test_nobody_is_a_candidate_twice():
    """A seed that is known, or named twice, is asked in its first place only."""
    assert asked_by(refresh_of(known=[B, A], contacts=[A, C], seeds=[C, B, A, A]), {}) == [B, A, C]


def test_one_answer_that_covers_all_is_enough():
    """Nobody is asked whom an answer lists."""
    refresh = refresh_of(known=[A, B, C], seeds=[B])
    assert asked_by(refresh, {A: [A, B, C]}) == [A]
    assert refresh.result().nodes == (A, B, C)


def test_an_answer_covers_the_node_that_gave_it():
    """Also one that does not list itself; it is then an answer without being a node."""
    refresh = refresh_of(seeds=[A])
    assert asked_by(refresh, {A: [B]}) == [A]
    assert (refresh.result().nodes, refresh.result().answered) == ((B,), (A,))


def test_answers_are_united_in_the_order_of_coming():
    """Each datacenter's list is a part of the whole."""
    refresh = refresh_of(known=[A, C])
    assert asked_by(refresh, {A: [A, B], C: [C, B, D]}) == [A, C]
    assert refresh.result().nodes == (A, B, C, D)


def test_a_failed_node_is_passed_over_and_named():
    """Failures are kept in the order in which they came to light."""
    refresh = refresh_of(known=[A, B, C])
    assert asked_by(refresh, {A: "refused", B: "status 500", C: [A, B, C]}) == [A, B, C]
    assert refresh.result().failures == ((A.endpoint, "refused"), (B.endpoint, "status 500"))


def test_an_empty_answer_is_a_failure():
    """It covers nobody, not even the node that gave it, and is no contact."""
    refresh = refresh_of(known=[A])
    refresh.next_candidate()
    refresh.answer(A, [])
    assert refresh.result().failures == ((A.endpoint, "an empty node list"),)
    assert (refresh.result().nodes, refresh.result().contacts, refresh.result().answered) == ((), (), ())


def test_it_wants_the_answers_that_are_still_out():
    """With all candidates asked, it is not over before the last of them, unless another answer covers them."""
    refresh = refresh_of(known=[A, B, C])
    for _ in range(3):
        refresh.next_candidate()
    assert refresh.next_candidate() is None
    refresh.answer(A, [A, B])
    assert refresh.is_wanting  # C
    refresh.fail(B, "refused")
    refresh.answer(C, [C])
    assert not refresh.is_wanting


def test_a_late_answer_from_a_covered_node_counts():
    """Two were asked at once; the second lists a node more."""
    refresh = refresh_of(known=[A, B])
    refresh.next_candidate(), refresh.next_candidate()
    refresh.answer(A, [A, B])
    assert not refresh.is_wanting
    refresh.answer(B, [B, C])
    assert refresh.result().nodes == (A, B, C)


def test_giving_up_names_who_did_not_answer_and_who_was_not_asked():
    """Nobody is left out of the account but those whom an answer covers."""
    refresh = refresh_of(known=[A, B, C, D, E])
    for _ in range(3):
        refresh.next_candidate()
    refresh.answer(A, [A, D])
    refresh.give_up("no answer within 5 s")
    failures = dict(refresh.result().failures)
    assert failures.keys() == {B.endpoint, C.endpoint, E.endpoint}
    assert failures[B.endpoint] == failures[C.endpoint] == "no answer within 5 s"
    assert failures[E.endpoint].startswith("not asked")
    assert not refresh.is_wanting
    assert refresh.in_flight == []


def test_who_answered_is_a_contact():
    """Those who were only listed are not: they have shown nothing yet."""
    refresh = refresh_of(known=[A, B, C])
    asked_by(refresh, {A: [A, B], C: [C]})
    assert refresh.result().contacts == (A, C)


def test_a_contact_whom_no_answer_covers_any_more_stays_one():
    """So that a datacenter that dropped out can come back; one that an answer covers gives way to who answered."""
    refresh = refresh_of(known=[A], contacts=[B, D])
    asked_by(refresh, {A: [A, B]})
    assert refresh.result().contacts == (A, D)


def test_contacts_are_few():
    """Those who answered just now come first, and the rest is cut off."""
    old = [Node("http", f"old-{number}", 8000) for number in range(MAX_CONTACTS + 5)]
    refresh = refresh_of(known=[A], contacts=old)
    asked_by(refresh, {A: [A]})
    assert refresh.result().contacts == (A, *old[: MAX_CONTACTS - 1])


nodes = st.sampled_from([A, B, C, D, E])
some_nodes = st.lists(nodes, max_size=5)


@given(some_nodes, some_nodes, some_nodes, st.dictionaries(nodes, some_nodes | st.just("refused")), st.data())
def test_whatever_the_world_is_like(known, contacts, seeds, world, data):
    """Nobody is asked twice or after being covered; all others are; the result is the union of the answers."""
    refresh = refresh_of(known, contacts, seeds)
    out, asked, covered, union, failed = [], [], set(), set(), set()
    while refresh.is_wanting:
        asks = not out or (len(out) < 3 and data.draw(st.booleans()))
        node = refresh.next_candidate() if asks else None
        if node is not None:
            assert node not in asked
            assert node not in covered
            asked.append(node)
            out.append(node)
        elif out:
            node = out.pop(data.draw(st.integers(0, len(out) - 1)))
            answer = world.get(node, "refused")
            if isinstance(answer, str):
                refresh.fail(node, answer)
                failed.add(node)
            else:
                refresh.answer(node, answer)
                covered |= {node, *answer} if answer else set()
                union |= set(answer)
                failed |= set() if answer else {node}
    result = refresh.result()
    assert {*known, *contacts, *seeds} <= covered | failed
    assert set(result.nodes) == union
    assert len(result.nodes) == len(union)
    assert {name for name, _ in result.failures} == {node.endpoint for node in failed}


def test_one_answer_is_enough_for_a_datacenter_or_a_rack():
    """Whoever answers knows all nodes of the scope; those asked at the same time are not waited for."""
    refresh = ScopeRefresh([A, B, C])
    refresh.next_candidate(), refresh.next_candidate()
    refresh.answer(B, [B, D])
    assert (refresh.is_wanting, refresh.next_candidate(), tuple(refresh.nodes)) == (False, None, (B, D))


def test_an_empty_answer_is_an_answer_for_a_datacenter_or_a_rack():
    """It says that there are none: nobody else is asked."""
    refresh = ScopeRefresh([A, B])
    assert asked_by(refresh, {A: [], B: [B]}) == [A]
    assert united([refresh], ()).answers == (ScopeAnswer(position=0, nodes=()),)


def test_failed_nodes_are_passed_over_in_a_datacenter_or_a_rack():
    """The next candidate of the same scope is asked; with none left the scope gave no answer."""
    refresh = ScopeRefresh([A, B])
    assert asked_by(refresh, {}) == [A, B]
    assert united([refresh], ()).answers == ()


def test_the_scopes_of_a_chain_make_one_result():
    """Each that gave an answer has its place; failures and contacts of all are named."""
    rack, datacenter, cluster = ScopeRefresh([A, B]), ScopeRefresh([B]), ClusterRefresh([B])
    asked_by(rack, {A: "refused", B: []})
    asked_by(datacenter, {})
    asked_by(cluster, {B: [B, C]})
    result = united([rack, datacenter, cluster], [D])
    assert result.answers == (ScopeAnswer(position=0, nodes=()), ScopeAnswer(position=2, nodes=(B, C)))
    assert result.failures == ((A.endpoint, "refused"), (B.endpoint, "refused"))
    assert (result.answered, result.contacts) == ((B,), (B, D))
