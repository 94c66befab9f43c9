"""The ledger: what must be found, and what a finding that differs is called."""

from __future__ import annotations

import pytest

from alternator_trio.cli.ledger import Key, Ledger, key_of

ONE, TWO, THREE = (Key("shelf", f"slot-{number}") for number in (1, 2, 3))


def item(key: Key, edition: int):
    return {**key.attributes, "edition": {"N": str(edition)}}


def ledger_of(*editions: int | None) -> Ledger:
    """A ledger of three keys with these acknowledged editions."""
    ledger = Ledger([ONE, TWO, THREE])
    for key, edition in zip((ONE, TWO, THREE), editions, strict=False):
        ledger.acknowledge({key: None if edition is None else item(key, edition)})
    return ledger


@pytest.mark.parametrize(
    ("acknowledged", "found", "kind"),
    [
        (1, 1, None),
        (None, None, None),
        (2, None, "missing"),
        (2, 1, "different"),
        (None, 1, "not deleted"),
    ],
)
def test_what_is_found_is_judged_by_what_was_acknowledged(acknowledged, found, kind):
    """A lost write, an older one and a deletion that did not last are told apart."""
    mismatch = ledger_of(acknowledged).judge(ONE, None if found is None else item(ONE, found))
    assert (mismatch and mismatch.kind) == kind


def test_every_attribute_counts():
    """The right edition with another attribute is not the item that was written."""
    assert ledger_of(1).judge(ONE, {**item(ONE, 1), "note": {"S": "never written"}}) is not None


def test_an_item_under_a_key_of_nobody_is_a_mismatch():
    """What nobody has written must not be there."""
    mismatch = ledger_of(1).judge(Key("shelf", "slot-9"), item(Key("shelf", "slot-9"), 1))
    assert mismatch is not None
    assert mismatch.kind == "not deleted"


@pytest.mark.parametrize("found", [1, 2, None])
def test_a_write_of_unknown_outcome_leaves_two_right_answers(found):
    """What was there before, and what the write would have made, are both right; a third thing is not."""
    ledger = ledger_of(1)
    ledger.doubt({ONE: item(ONE, 2)})
    mismatch = ledger.judge(ONE, None if found is None else item(ONE, found))
    assert (mismatch is None) == (found is not None)
    assert ledger.doubtful == 1


def test_the_next_acknowledged_write_ends_the_doubt():
    """Afterwards only what it wrote is right."""
    ledger = ledger_of(1)
    ledger.doubt({ONE: item(ONE, 2)})
    ledger.acknowledge({ONE: item(ONE, 3)})
    assert ledger.judge(ONE, item(ONE, 3)) is None
    assert ledger.judge(ONE, item(ONE, 2)) is not None


def test_a_read_that_settles_a_doubt_is_no_acknowledged_write():
    """The count of acknowledged writes is of those that the cluster acknowledged."""
    ledger = ledger_of(1)
    ledger.doubt({ONE: item(ONE, 2)})
    ledger.settle(ONE, item(ONE, 2))
    assert ledger.judge(ONE, item(ONE, 1)) is not None
    assert ledger.acknowledged == 1


@pytest.mark.parametrize(
    ("found", "kind"),
    [(item(ONE, 3), None), (item(ONE, 2), "overtaken"), (item(ONE, 1), "different"), (None, "missing")],
)
def test_what_a_repeated_write_wrote_may_come_back(found, kind):
    """An attempt that was given up took effect after a newer write: that is not a lost write."""
    ledger = ledger_of(1)
    ledger.acknowledge({ONE: item(ONE, 2)}, repeated=True)
    ledger.acknowledge({ONE: item(ONE, 3)})
    mismatch = ledger.judge(ONE, found)
    assert (mismatch and mismatch.kind) == kind


@pytest.mark.parametrize(("found", "kind"), [(None, "overtaken"), (item(ONE, 1), "different")])
def test_a_repeated_deletion_may_come_back(found, kind):
    """And take a newer item with it."""
    ledger = ledger_of(1)
    ledger.acknowledge({ONE: None}, repeated=True)
    ledger.acknowledge({ONE: item(ONE, 2)})
    mismatch = ledger.judge(ONE, found)
    assert mismatch is not None
    assert mismatch.kind == kind


def test_a_write_that_failed_may_come_back_as_well():
    """Its attempts were all given up, and a newer write does not recall them."""
    ledger = ledger_of(1)
    ledger.doubt({ONE: item(ONE, 2)})
    ledger.acknowledge({ONE: item(ONE, 3)})
    mismatch = ledger.judge(ONE, item(ONE, 2))
    assert mismatch is not None
    assert mismatch.kind == "overtaken"


def test_an_update_of_an_overtaken_item_is_judged_by_its_edition():
    """What else is in it depends on what it met."""
    ledger = ledger_of(1)
    ledger.acknowledge({ONE: item(ONE, 2)}, repeated=True)
    ledger.acknowledge({ONE: item(ONE, 3)})
    assert ledger.judge(ONE, {**item(ONE, 3), "note": {"S": "of an earlier edition"}}) is None


@pytest.mark.parametrize(
    ("slots", "last", "wrong"),
    [
        ([1, 2, 3], None, []),
        ([1, 2], TWO, []),
        ([1, 2], None, ["shelf/slot-3"]),
        ([1, 3], None, ["shelf/slot-2"]),
        ([], ONE, ["shelf/slot-1"]),
        ([], None, ["shelf/slot-1", "shelf/slot-2", "shelf/slot-3"]),
    ],
)
def test_a_page_must_hold_all_up_to_its_end(slots, last, wrong):
    """Behind the page's last key nothing is missed; before it everything is."""
    ledger = ledger_of(1, 1, 1)
    found = [item(Key("shelf", f"slot-{slot}"), 1) for slot in slots]
    assert [mismatch.key for mismatch in ledger.judge_page("shelf", found, last)] == wrong


def test_a_mismatch_reads_as_a_sentence():
    """It says which key, what was acknowledged and what was found."""
    mismatch = ledger_of(7).judge(ONE, item(ONE, 3))
    assert str(mismatch) == "shelf/slot-1: different (edition 7 was acknowledged, edition 3 was found)"


def test_a_key_is_read_from_an_item():
    """Also from a LastEvaluatedKey, which is nothing but the key."""
    assert key_of(item(TWO, 1)) == TWO
    assert key_of(TWO.attributes) == TWO


def test_present_and_absent_keys_are_counted_by_shelf():
    """Deleted and never written keys are absent."""
    ledger = ledger_of(1, None)
    assert ledger.count_present("shelf") == (1, 2)
