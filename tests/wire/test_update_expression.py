"""Update expressions: what is one, what it says, and whether doing it twice is doing it once."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alternator_trio._wire.update_expression import (
    MAX_DEPTH,
    Action,
    AddAction,
    Arithmetic,
    DeleteAction,
    FunctionCall,
    Path,
    RemoveAction,
    SetAction,
    UpdateExpression,
    UpdateExpressionError,
    Value,
    ValueReference,
    is_repeatable_update,
    parse_update_expression,
)


def path(*parts: str | int) -> Path:
    return Path(parts=parts)


def ref(name: str) -> ValueReference:
    return ValueReference(name=name)


READ = [
    ("SET a = :v", [SetAction(path=path("a"), value=ref(":v"))]),
    ("set a=:v", [SetAction(path=path("a"), value=ref(":v"))]),
    ("\tSeT\r\n a\n=\n:v  ", [SetAction(path=path("a"), value=ref(":v"))]),
    ("SET a = :v, #b = c", [SetAction(path=path("a"), value=ref(":v")), SetAction(path=path("#b"), value=path("c"))]),
    ("SET a.b[0].#c = :v_1", [SetAction(path=path("a", "b", 0, "#c"), value=ref(":v_1"))]),
    ("SET a . b [ 12 ] [3] = :v", [SetAction(path=path("a", "b", 12, 3), value=ref(":v"))]),
    (
        "SET a = a + :n",
        [SetAction(path=path("a"), value=Arithmetic(operator="+", left=path("a"), right=ref(":n")))],
    ),
    ("SET a = :m-b", [SetAction(path=path("a"), value=Arithmetic(operator="-", left=ref(":m"), right=path("b")))]),
    (
        "SET a = if_not_exists(b.c, :v)",
        [SetAction(path=path("a"), value=FunctionCall(name="if_not_exists", first=path("b", "c"), second=ref(":v")))],
    ),
    (
        "SET a = list_append ( if_not_exists(a, :e) , :v )",
        [
            SetAction(
                path=path("a"),
                value=FunctionCall(
                    name="list_append",
                    first=FunctionCall(name="if_not_exists", first=path("a"), second=ref(":e")),
                    second=ref(":v"),
                ),
            )
        ],
    ),
    ("SET a = ((:v))", [SetAction(path=path("a"), value=ref(":v"))]),
    (
        "SET a = (b) + (:v)",
        [SetAction(path=path("a"), value=Arithmetic(operator="+", left=path("b"), right=ref(":v")))],
    ),
    ("SET if_not_exists = :v", [SetAction(path=path("if_not_exists"), value=ref(":v"))]),
    ("REMOVE a, b.c, #d[1]", [RemoveAction(path=path(*p)) for p in (("a",), ("b", "c"), ("#d", 1))]),
    ("add a :v, b :w", [AddAction(path=path("a"), value=ref(":v")), AddAction(path=path("b"), value=ref(":w"))]),
    ("DELETE a :v", [DeleteAction(path=path("a"), value=ref(":v"))]),
    (
        "REMOVE a SET b = :v DELETE c :s ADD d :n",
        [
            RemoveAction(path=path("a")),
            SetAction(path=path("b"), value=ref(":v")),
            DeleteAction(path=path("c"), value=ref(":s")),
            AddAction(path=path("d"), value=ref(":n")),
        ],
    ),
]


@pytest.mark.parametrize(("text", "actions"), READ, ids=[text for text, _ in READ])
def test_expression_is_read(text: str, actions: list[Action]) -> None:
    """A well-formed expression becomes its actions, in order."""
    assert parse_update_expression(text) == UpdateExpression(actions=tuple(actions))


UNREADABLE = [
    "",
    "   ",
    "SET",
    "a = :v",
    "SET a",
    "SET a =",
    "SET a = :v,",
    "SET a = :v b = :w",
    "SET a = :v, SET b = :w",
    "SET a = :v SET b = :w",
    "SET = :v",
    "SET :v = :v",
    "SET a = = :v",
    "SET a = b + c + d",
    "SET a = + :v",
    "SET a = :v -",
    "SET a = :v * :w",
    "SET a = (:v",
    "SET a = :v)",
    "SET a = ()",
    "SET a = if_not_exists(a)",
    "SET a = if_not_exists(a, :v, :w)",
    "SET a = if_not_exists(:v, :w)",
    "SET a = if_not_exists(a, :v",
    "SET a = If_Not_Exists(a, :v)",
    "SET a = size(a, :v)",
    "SET a = #f(a, :v)",
    "SET a = b.if_not_exists(a, :v)",
    "SET a[b] = :v",
    "SET a[-1] = :v",
    "SET a[] = :v",
    "SET a[0 = :v",
    "SET a[1234567890] = :v",
    "SET a. = :v",
    "SET .a = :v",
    "SET a..b = :v",
    "SET 1a = :v",
    "SET set = :v",
    "SET a.remove = :v",
    "SET é = :v",
    "SET a = :",
    "SET # = :v",
    "SET a = 'text'",
    "SET a = 5",
    "SETa = :v",
    "REMOVE",
    "REMOVE a b",
    "REMOVE a :v",
    "REMOVE :v",
    "REMOVE a = :v",
    "ADD a",
    "ADD a b",
    "ADD a = :v",
    "ADD a (:v)",
    "DELETE a",
    "DELETE a :v :w",
    "DROP a",
    "SET a = :v;",
    "SET a = :v\0",
    "SET a = :v\N{NO-BREAK SPACE}",
]


@pytest.mark.parametrize("text", UNREADABLE, ids=ascii)
def test_what_is_no_expression_is_an_error(text: str) -> None:
    """Everything outside the grammar raises the module's own error."""
    with pytest.raises(UpdateExpressionError):
        parse_update_expression(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SET a + :v", r"'=' expected, not '\+' \(position 6\)"),
        ("SET a = ", r"a name expected, not the end \(position 8\)"),
        ("SET a = :v SET b = :v", r"a second SET clause \(position 11\)"),
        ("SET a = ?", r"'\?' is no part of an UpdateExpression \(position 7\)"),
    ],
)
def test_error_says_where(text: str, message: str) -> None:
    """The message names what was found, what was expected and the position."""
    with pytest.raises(UpdateExpressionError, match=message):
        parse_update_expression(text)


NAMES = {"#a": "a", "#b": "b", "#dotted": "a.b"}
VALUES = {
    ":v": {"M": {"x": {"N": "1"}}},
    ":n": {"N": "1"},
    ":l": {"L": [{"N": "1"}]},
    ":ss": {"SS": ["x"]},
    ":ns": {"NS": ["1"]},
    ":bs": {"BS": ["eA=="]},
    ":two": {"SS": ["x"], "N": "1"},
    ":none": {},
    ":text": "SS",
}

REPEATABLE = [
    "SET a = :v",
    "SET a = :n, #b.c = :v",
    "SET a = (:v)",
    "SET a = :undefined",
    "SET a = if_not_exists(a, :v)",
    "SET a = if_not_exists(#a, :v)",
    "SET #a.c = if_not_exists(a.c, :v)",
    "SET #dotted = if_not_exists(#dotted, :v)",
    "REMOVE a, b.c",
    "ADD a :ss",
    "ADD a :ns, b.c :bs",
    "DELETE a :ss",
    "SET a = :v REMOVE b ADD c :ns DELETE d :bs",
]

NOT_REPEATABLE = [
    "ADD a :n",
    "ADD a :l",
    "ADD a :two",
    "ADD a :none",
    "ADD a :text",
    "ADD a :undefined",
    "ADD a :ss, b :n",
    "DELETE a :n",
    "DELETE a :undefined",
    "SET a = a + :n",
    "SET a = :n - :n",
    "SET a = :n + :n",
    "SET a = list_append(a, :l)",
    "SET a = list_append(:l, :l)",
    "SET a = b",
    "SET a = a",
    "SET a = if_not_exists(b, :v)",
    "SET a = if_not_exists(#b, :v)",
    "SET a = if_not_exists(a, b)",
    "SET a = if_not_exists(a, :n) + :n",
    "SET a = if_not_exists(a, if_not_exists(a, :v))",
    "SET #dotted = if_not_exists(a.b, :v)",
    "SET a.b = if_not_exists(#dotted, :v)",
    "SET a[0] = :v",
    "SET a[0] = if_not_exists(a[0], :v)",
    "SET a.b[3].c = :v",
    "REMOVE a[0]",
    "REMOVE b, a[0].c",
    "ADD a[0] :ss",
    "DELETE a[0] :ss",
    "SET #undefined = :v",
    "REMOVE #undefined",
    "SET a = if_not_exists(#undefined, :v)",
    "SET a = :v, b = b + :n",
    "SET a = :v ADD b :n",
    "nonsense",
    "",
]


@pytest.mark.parametrize("text", REPEATABLE)
def test_update_is_repeatable(text: str) -> None:
    """Plain values, if_not_exists of the same path, removals and sets may be done twice."""
    assert is_repeatable_update(text, NAMES, VALUES)


@pytest.mark.parametrize("text", NOT_REPEATABLE)
def test_update_is_not_repeatable(text: str) -> None:
    """Everything that depends on what is there, goes through a list, or cannot be read, may not."""
    assert not is_repeatable_update(text, NAMES, VALUES)


# Hostile texts

HOSTILE = {
    "parentheses": "SET a = " + "(" * 30_000 + ":v" + ")" * 30_000,
    "functions": "SET a = " + "list_append(a, " * 15_000 + ":v" + ")" * 15_000,
    "digits": "SET a[" + "9" * 100_000 + "] = :v",
    "blanks": "SET a" + " " * 100_000 + "?",
    "indexes": "REMOVE a" + "[1]" * 30_000,
    "names": "REMOVE " + "a." * 50_000 + "a",
    "actions": "REMOVE " + "a," * 50_000 + "a",
    "signs": "SET a = " + "+" * 100_000,
    "one word": "S" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_ends_soon(text: str) -> None:
    """100 kB of the same thing is read or refused in linear time, without deep recursion."""
    start = time.process_time()
    is_repeatable_update(text, {}, {})
    assert time.process_time() - start < 3.0  # about 0.1 s; quadratic time would be many minutes


@pytest.mark.parametrize(("depth", "readable"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
def test_nesting_is_bounded(depth: int, readable: bool) -> None:
    """Parentheses nest as deep as documents may, and no deeper."""
    text = "ADD a :s SET a = " + "(" * depth + ":v" + ")" * depth
    assert is_repeatable_update(text, {}, VALUES | {":s": {"SS": ["x"]}}) is readable


def test_nesting_is_counted_where_it_is() -> None:
    """Many parentheses beside one another are not many within one another."""
    text = "SET " + ", ".join(f"a{number} = ((:v))" for number in range(100))
    assert is_repeatable_update(text, {}, VALUES)


# Properties

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True).filter(
    lambda name: name.upper() not in {"SET", "REMOVE", "ADD", "DELETE"}
)
placeholders = st.from_regex(r"#[A-Za-z0-9_]{1,6}", fullmatch=True)
references = st.from_regex(r":[A-Za-z0-9_]{1,6}", fullmatch=True).map(ref)
steps = st.one_of(names, placeholders, st.integers(0, 999_999_999))
paths = st.builds(lambda first, rest: path(first, *rest), names | placeholders, st.lists(steps, max_size=4))
values = st.recursive(
    paths | references,
    lambda inner: st.one_of(
        st.builds(FunctionCall, name=st.just("if_not_exists"), first=paths, second=inner),
        st.builds(FunctionCall, name=st.just("list_append"), first=inner, second=inner),
        st.builds(Arithmetic, operator=st.sampled_from(["+", "-"]), left=inner, right=inner),
    ),
    max_leaves=6,
)
clauses = st.tuples(
    st.lists(st.builds(SetAction, path=paths, value=values), max_size=3),
    st.lists(st.builds(RemoveAction, path=paths), max_size=3),
    st.lists(st.builds(AddAction, path=paths, value=references), max_size=3),
    st.lists(st.builds(DeleteAction, path=paths, value=references), max_size=3),
).filter(any)


def write_path(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path.parts)[1:]


def write_value(value: Value) -> str:
    match value:
        case Path():
            return write_path(value)
        case ValueReference():
            return value.name
        case FunctionCall():
            return f"{value.name}({write_value(value.first)},{write_value(value.second)})"
        case Arithmetic():
            return f"({write_value(value.left)}) {value.operator} ({write_value(value.right)})"


def write_action(action: Action) -> str:
    match action:
        case SetAction():
            return f"{write_path(action.path)} = {write_value(action.value)}"
        case RemoveAction():
            return write_path(action.path)
        case AddAction() | DeleteAction():
            return f"{write_path(action.path)} {action.value.name}"


@given(clauses=clauses, order=st.permutations(range(4)), keyword=st.sampled_from([str.upper, str.lower, str.title]))
def test_what_is_written_is_read_back(
    clauses: tuple[list[Action], ...], order: list[int], keyword: Callable[[str], str]
) -> None:
    """Any combination of clauses, in any order and case, is read as it was meant."""
    chosen = [(("SET", "REMOVE", "ADD", "DELETE")[index], clauses[index]) for index in order if clauses[index]]
    text = " ".join(f"{keyword(name)} {', '.join(map(write_action, actions))}" for name, actions in chosen)
    expected = tuple(action for _, actions in chosen for action in actions)
    assert parse_update_expression(text).actions == expected


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text brings another error than the module's own, and what it refuses is not repeatable."""
    try:
        parse_update_expression(text)
    except UpdateExpressionError:
        assert not is_repeatable_update(text, {}, {})


words = ["SET", "remove", "Add", "DELETE", "a", "#a", ":v", ":ss", "0", "if_not_exists", "list_append"]
tokens = st.sampled_from([*words, "if_not_exists(a, :v)", *".,=+-()[]"])


@given(st.lists(tokens, max_size=12).map(" ".join))
def test_any_tokens_are_read_or_refused(text: str) -> None:
    """Nor does any sequence of the grammar's own words."""
    try:
        parse_update_expression(text)
    except UpdateExpressionError:
        assert not is_repeatable_update(text, NAMES, VALUES)


class Missing:
    """What stands where there is nothing."""


def execute(actions: tuple[Action, ...], item: dict[str, object]) -> dict[str, object]:
    """A model of the server for top-level attributes, right sides seeing the item as it was before."""
    done = dict(item)
    for action in actions:
        name = str(action.path.parts[0])
        match action:
            case SetAction():
                done[name] = evaluate(action.value, item)
            case RemoveAction():
                done.pop(name, None)
            case AddAction():
                added = MODEL_VALUES[action.value.name]
                before = item.get(name, frozenset() if isinstance(added, frozenset) else 0)
                done[name] = before | added if isinstance(added, frozenset) else before + added
            case DeleteAction():
                done[name] = item.get(name, frozenset()) - MODEL_VALUES[action.value.name]
    return done


def evaluate(value: Value, item: dict[str, object]) -> object:
    match value:
        case Path():
            return item.get(str(value.parts[0]), Missing)
        case ValueReference():
            return MODEL_VALUES[value.name]
        case FunctionCall(name="if_not_exists"):
            read = evaluate(value.first, item)
            return evaluate(value.second, item) if read is Missing else read
        case _:
            return (evaluate(value.left, item), evaluate(value.right, item), len(item))


MODEL_VALUES = {":n": 1, ":m": 2, ":ss": frozenset("xy"), ":ns": frozenset("y")}
WIRE_VALUES = {":n": {"N": "1"}, ":m": {"N": "2"}, ":ss": {"SS": ["x", "y"]}, ":ns": {"NS": ["1"]}}
number_paths = st.sampled_from([path("a"), path("b")])
numbers = st.sampled_from([ref(":n"), ref(":m")])
sets = st.sampled_from([ref(":ss"), ref(":ns")])
model_actions = st.one_of(
    st.builds(SetAction, path=number_paths, value=numbers | number_paths),
    st.builds(
        SetAction,
        path=number_paths,
        value=st.builds(FunctionCall, name=st.just("if_not_exists"), first=number_paths, second=numbers),
    ),
    st.builds(RemoveAction, path=number_paths),
    st.builds(AddAction, path=number_paths, value=numbers),
    st.builds(AddAction, path=st.just(path("s")), value=sets),
    st.builds(DeleteAction, path=st.just(path("s")), value=sets),
)


@given(
    actions=st.lists(model_actions, min_size=1, max_size=3, unique_by=lambda action: action.path),
    item=st.fixed_dictionaries(
        {}, optional={"a": st.integers(0, 3), "b": st.integers(0, 3), "s": st.frozensets(st.sampled_from("xyz"))}
    ),
)
def test_what_is_repeatable_leaves_the_same_twice(actions: list[Action], item: dict[str, object]) -> None:
    """On a model of the server, an update judged repeatable and done twice leaves what it leaves once."""
    by_keyword = {SetAction: "SET", RemoveAction: "REMOVE", AddAction: "ADD", DeleteAction: "DELETE"}
    text = " ".join(
        f"{keyword} {', '.join(write_action(action) for action in actions if type(action) is kind)}"
        for kind, keyword in by_keyword.items()
        if any(type(action) is kind for action in actions)
    )
    if is_repeatable_update(text, {}, WIRE_VALUES):
        once = execute(tuple(actions), item)
        assert execute(tuple(actions), once) == once
