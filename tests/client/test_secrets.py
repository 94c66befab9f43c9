"""Whatever is configured and whatever fails: no secret is in anything that a log, a crash report or a print shows.

A run is a configuration with secrets in it, a failure of the nodes or of the user's own code, and one operation. All
that can then be seen is searched: the error with its whole chain and the values of its frames, every record of every
logger, the events that instruments were given, and the texts of the public objects.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import pprint
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import trio
import trio.testing
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from alternator_trio import (
    AlternatorConfig,
    AlternatorError,
    Client,
    Credentials,
    CredentialsProvider,
    HttpxTransport,
    Instrument,
    NodeHealth,
    RequestCompression,
    RetryPolicy,
    Tls,
    open_alternator,
)
from alternator_trio.testing import Answer, Close, Hang, Reset, Truncate
from tests.scripted_nodes import Raw, ScriptedNodes, ScriptedRequest

# A secret that is found nowhere else, with what formats, parsers and JSON treat in a way of their own.
_tails = st.text("abcXYZ019%{}$/+=\\'\"<&", min_size=0, max_size=12)
secrets = _tails.map(lambda tail: f"Zq7{tail}s3cr3tKey{tail}7qZ")
tokens = st.text("abcXYZ019/+=%{}", max_size=12).map(lambda tail: f"Zq8{tail}s3ss10nT0ken{tail}8qZ")
credentials = st.builds(Credentials, st.sampled_from(["role", "AKID"]), secrets, st.none() | tokens)


@dataclasses.dataclass(frozen=True)
class Run:
    """One run, as Hypothesis draws it; `hidden` is what must not be seen."""

    client_credentials: Credentials | None
    operation_credentials: Credentials | None
    by_provider: bool
    failure: str
    options: Mapping[str, object]

    @property
    def hidden(self) -> list[str]:
        held = [given for given in (self.client_credentials, self.operation_credentials) if given is not None]
        return [secret for given in held for secret in (given.secret_access_key, given.session_token) if secret]

    def given(self, held: Credentials | None) -> Credentials | CredentialsProvider | None:
        """What the option ``credentials`` is set to."""
        return provider_of(held, self.failure) if held is not None and self.by_provider else held


def provider_of(held: Credentials, failure: str) -> CredentialsProvider:
    """Somebody to ask; who has troubles of their own when nothing else is to fail."""

    async def provide(login: str) -> Credentials:
        assert login
        await trio.sleep(0.1)
        if failure == "the provider raises":
            raise OSError("the vault is sealed")
        if failure == "the provider gives another thing":
            return (held.access_key_id, held.secret_access_key)  # type: ignore[return-value]
        return held

    return functools.partial(provide, held.secret_access_key)


class Listener(Instrument):
    """Keeps the events; raises at the first of a kind, if it is told to."""

    def __init__(self, *, raises: bool) -> None:
        self.events: list[object] = []
        self._raises = raises

    def scope_changed(self, event) -> None:
        self._note(event)

    def node_state_changed(self, event) -> None:
        self._note(event)

    def _note(self, event: object) -> None:
        self.events.append(event)
        if self._raises:
            raise ValueError(event)


def echo(request: ScriptedRequest) -> str:
    """All of a request, as helpful servers and proxies show it."""
    return "\n".join([*(f"{name}: {value}" for name, value in request.headers), repr(request.body)])


def answering(failure: str):
    """What nodes answer with."""

    def respond(request: ScriptedRequest) -> Answer:  # noqa: PLR0911  # a table
        match failure:
            case "echoes as html":
                return Answer(status=403, body=f"<html>{echo(request)}</html>".encode())
            case "echoes as json":
                shown = echo(request).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                body = f'{{"__type": "x#InvalidSignatureException", "message": "{shown}", "More": ["{shown}"]}}'
                return Answer(status=400, body=body.encode())
            case "echoes with slashes escaped":
                shown = echo(request).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("/", "\\/")
                return Answer(status=500, body=f'{{"message": "{shown}"}}'.encode())
            case "echoes as a result":
                return Answer(status=200, body=echo(request).encode())
            case "fails":
                return Answer(status=500, body=b'{"__type": "InternalServerError"}')
            case "throttles":
                return Answer(status=400, body=b'{"__type": "x#ThrottlingException", "message": "slow down"}')
            case "does not know us":
                return Answer(status=400, body=b'{"__type": "x#UnrecognizedClientException", "message": "who?"}')
            case _:
                return Answer(status=200, body=b"{}")

    return respond


ANSWERS = (
    "echoes as html",
    "echoes as json",
    "echoes with slashes escaped",
    "echoes as a result",
    "fails",
    "throttles",
    "does not know us",
)
FAULTS = {
    "resets": Reset(),
    "closes": Close(),
    "hangs": Hang(),
    "truncates": Truncate(body_bytes=1),
    "talks nonsense": Raw(data=b"SSH-2.0-OpenSSH\r\n", then="close"),
}
OTHERS = (
    "none",
    "refuses",
    "the caller's bad value",
    "the caller's bad option",
    "a key that was not meant",
    "the provider raises",
    "the provider gives another thing",
)


runs = st.builds(
    Run,
    client_credentials=st.none() | credentials,
    operation_credentials=st.none() | credentials,
    by_provider=st.booleans(),
    failure=st.sampled_from([*ANSWERS, *FAULTS, *OTHERS]),
    options=st.fixed_dictionaries(
        {
            "optimize_headers": st.booleans(),
            "request_compression": st.sampled_from([None, RequestCompression.gzip(threshold_bytes=0)]),
            "node_health": st.sampled_from([None, NodeHealth(active_failure=1)]),
            "retry": st.sampled_from([RetryPolicy(max_attempts=1), RetryPolicy(max_attempts=3)]),
        }
    ),
)


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    """Every record of every logger, with its arguments and its traceback."""
    shown: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            shown.append(self.format(record) + repr(vars(record)))

    root, keeper = logging.getLogger(), Keeper()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        yield shown
    finally:
        root.removeHandler(keeper)
        root.setLevel(level)


def everything_said(error: BaseException) -> list[str]:
    """An error in every form in which it may end up in a log, what it was raised from, and what it hides."""
    said, seen, ahead = [], set(), [error]
    while ahead:
        one = ahead.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        said += [str(one), repr(one), repr(one.args), pprint.pformat(vars(one)), *traceback.format_exception(one)]
        ahead += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return said


def locals_shown(error: BaseException) -> str:
    """The traceback with the values of its frames, as crash reporters send it."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


async def play(run: Run) -> tuple[list[str], str]:
    """Carry out one run: what was shown, and what the frames held."""
    listener = Listener(raises=run.failure == "hangs")
    shown: list[str] = []
    frames = ""
    async with ScriptedNodes(2) as nodes:
        nodes.respond = answering(run.failure)
        for node in nodes:
            if run.failure in FAULTS:
                node.fail_next(FAULTS[run.failure], times=8)
            if run.failure == "refuses":
                node.refuse()
        async with nodes.open_client(
            credentials=run.given(run.client_credentials),
            instruments=(listener,),
            attempt_timeout=1.0,
            **run.options,
        ) as client:
            try:
                await operate(client, run)
            except Exception as error:  # noqa: BLE001  # whatever it is, it may be logged
                shown += everything_said(error)
                frames = locals_shown(error)
            view = client.with_options(credentials=run.given(run.operation_credentials))
            shown += [repr(thing) for thing in (client, view, client.statistics(), client.nodes())]
            shown += [repr(client.node_health()), repr(listener.events)]
    config = AlternatorConfig(seeds=["http://10.0.0.1:8000"], credentials=run.given(run.client_credentials))
    shown += [repr(config), str(config), f"{config}"]
    if not run.by_provider:  # which is the user's own, and shows what it likes
        shown.append(pprint.pformat(dataclasses.asdict(config)))
    return shown, frames


async def operate(client: Client, run: Run) -> None:
    """One operation; what is wrong with it on the caller's side is in its place."""
    given, key = run.given(run.operation_credentials), {"id": {"S": "ada"}}
    match run.failure:
        case "the caller's bad value":
            await client.call("PutItem", {"TableName": "t", "Item": {"id": object()}}, credentials=given)
        case "the caller's bad option":
            await client.call("GetItem", {"TableName": "t", "Key": key}, credentials=given, attempt_timeout=-1.0)
        case "a key that was not meant":
            held = run.operation_credentials
            pair = None if held is None else (held.access_key_id, held.secret_access_key)
            await client.call("GetItem", {"TableName": "t", "Key": key}, credentials=pair)  # type: ignore[typeddict-item]
        case _:
            await client.call("PutItem", {"TableName": "t", "Item": key}, credentials=given)


@settings(max_examples=150, deadline=None)
@given(run=runs)
def test_no_secret_is_seen_whatever_fails(run: Run) -> None:
    """Secrets and session tokens are neither said, nor logged, nor handed to instruments."""
    with everything_logged() as logged:
        shown, frames = trio.run(play, run, clock=trio.testing.MockClock(autojump_threshold=0))
    everything = "\n".join([*shown, *logged])
    for secret in run.hidden:
        for form in (secret, repr(secret)[1:-1], secret.replace("/", "\\/")):
            assert form not in everything
    if not run.by_provider and run.failure != "a key that was not meant":  # those are the user's own values
        for given_credentials in (run.client_credentials, run.operation_credentials):
            if given_credentials is not None:
                assert given_credentials.secret_access_key not in frames  # a token is in what was being sent


@settings(max_examples=15, deadline=None)
@given(password=st.text("abcXYZ019", max_size=8).map(lambda tail: f"Zq9{tail}pr0xyPassw0rd"))
def test_no_proxy_password_is_seen(password: str) -> None:
    """Not when the proxy is away, and not by httpx or httpcore, which log what they do."""
    transport = HttpxTransport(proxy=f"http://ada:{password}@127.0.0.1:9")

    async def ask() -> list[str]:
        options = {"transport": transport, "discovery": False, "retry": RetryPolicy(max_attempts=1)}
        async with open_alternator("http://127.0.0.1:9", **options) as client:
            with pytest.raises(AlternatorError) as caught:
                await client.list_tables()
            return [*everything_said(caught.value), locals_shown(caught.value), repr(client)]

    with everything_logged() as logged:
        shown = [*trio.run(ask), repr(transport), repr(AlternatorConfig(seeds=["http://a:1"], transport=transport))]
    assert password not in "\n".join([*shown, *logged])


@given(password=secrets)
def test_no_key_password_is_seen(password: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Not in the policy, not in the configuration, and not in the error about a key that it does not open."""
    folder = tmp_path_factory.mktemp("keys")
    own = trustme.CA().issue_cert("client").private_key_and_cert_chain_pem.bytes()
    (folder / "own.pem").write_bytes(own)
    tls = Tls(cert_file=folder / "own.pem", key_file=folder / "none.pem", key_password=password)
    config = AlternatorConfig(seeds=["https://10.0.0.1:8043"], tls=tls)

    async def enter() -> list[str]:
        with pytest.raises(AlternatorError) as caught:
            async with open_alternator(config=config):
                pass
        return [*everything_said(caught.value), locals_shown(caught.value)]

    shown = [*trio.run(enter), repr(tls), repr(config), pprint.pformat(dataclasses.asdict(config))]
    assert password not in "\n".join(shown)


def test_the_search_finds_what_is_shown() -> None:
    """A message, a log record and a chain that do hold a secret are found to."""
    with everything_logged() as logged:
        try:
            try:
                raise ValueError("hidden-below")  # noqa: TRY301
            except ValueError as error:
                raise AlternatorError("above") from error
        except AlternatorError as error:
            said = everything_said(error)
            logging.getLogger("alternator_trio.anything").debug("see %r", "hidden-argument")
    assert any("hidden-below" in text for text in said)
    assert any("hidden-argument" in text for text in logged)
