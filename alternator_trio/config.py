"""Every choice that a user can make, as frozen values that are validated when they are built.

Rules: times are float seconds; a bad value raises `ConfigurationError` that names the option; an unknown option is
refused with the nearest valid name; nothing here does I/O.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias, TypedDict, cast, get_args

from alternator_trio._checks import check_count, check_names, check_seconds, shown
from alternator_trio.content import RequestCompression, ResponseEncodings, as_response_encodings
from alternator_trio.credentials import Credentials, CredentialsProvider, credentials_problem, provider_name
from alternator_trio.errors import ConfigurationError
from alternator_trio.instruments import Instrument, check_hooks
from alternator_trio.nodes import Node, parse_endpoint, without_user_info
from alternator_trio.routing import KeyRouteAffinity, NodeHealth, RoutingScope
from alternator_trio.tls import Tls, check_tls
from alternator_trio.transports import TransportChoice, check_transport
from alternator_trio.user_agent import UserAgent, check_user_agent

__all__ = ["AlternatorConfig", "OperationOptions", "Options", "RetryPolicy"]

AddressTranslator: TypeAlias = Mapping[str, str] | Callable[[str], str]
"""From the host that a node lists to the one that is dialled."""

ClockSkewCorrection: TypeAlias = Literal["verified-tls", "always", "never"]

_CLOCK_SKEW_CORRECTIONS: Final = get_args(ClockSkewCorrection)
_REGION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how fast an operation is tried again (AWS's 2026 standard for DynamoDB).

    Attributes:
        max_attempts: All tries of one operation, the first one included; at least 1. Refused connections may not count:
            see "Retries" in the documentation.
        base_delay: Seconds; the n-th backoff is drawn from 0 to ``min(base_delay * 2**n, max_delay)``.
        throttled_base_delay: Seconds; takes the place of ``base_delay`` after a throttling answer.
        max_delay: Seconds; the ceiling of one backoff, also of what a server's Retry-After asks for.

    Example:
        >>> RetryPolicy(max_attempts=2).max_attempts
        2
    """

    max_attempts: int = 4
    base_delay: float = 0.025
    throttled_base_delay: float = 1.0
    max_delay: float = 20.0

    def __post_init__(self) -> None:
        check_count("retry.max_attempts", self.max_attempts)
        for name in ("base_delay", "throttled_base_delay", "max_delay"):
            check_seconds(f"retry.{name}", getattr(self, name), zero_allowed=True)
            if math.isinf(getattr(self, name)):
                raise ConfigurationError(f"retry.{name}: {getattr(self, name)!r} seconds; a pause must end")


class Options(TypedDict, total=False):
    """The options of `open_alternator`, each a field of `AlternatorConfig`."""

    active_interval: float
    idle_interval: float
    connect_timeout: float
    attempt_timeout: float
    ddl_timeout: float
    operation_timeout: float | None
    acquire_timeout: float
    max_connections_per_node: int
    max_connections: int
    idle_connection_lifetime: float
    max_connection_age: float | None
    max_response_bytes: int
    discovery: bool
    tls: Tls | ssl.SSLContext | None
    retry: RetryPolicy
    ambiguous_writes: Literal["raise", "retry"]
    user_agent: UserAgent
    routing_scope: RoutingScope
    key_route_affinity: KeyRouteAffinity | None
    node_health: NodeHealth | None
    writes_cross_datacenter: bool
    address_translator: AddressTranslator | None
    instruments: Sequence[Instrument]
    credentials: Credentials | CredentialsProvider | None
    require_auth: bool
    clock_skew_correction: ClockSkewCorrection
    region: str
    request_compression: RequestCompression | None
    response_compression: ResponseEncodings
    optimize_headers: bool
    transport: TransportChoice


class OperationOptions(TypedDict, total=False):
    """The options that `Client.with_options` takes: those that can differ from operation to operation."""

    attempt_timeout: float
    ddl_timeout: float
    operation_timeout: float | None
    max_response_bytes: int
    retry: RetryPolicy
    ambiguous_writes: Literal["raise", "retry"]
    key_route_affinity: KeyRouteAffinity | None
    credentials: Credentials | CredentialsProvider | None
    request_compression: RequestCompression | None
    response_compression: ResponseEncodings
    optimize_headers: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlternatorConfig:
    """The whole configuration of a client. Build it once, open as many clients with it as you like.

    Attributes:
        seeds: First contacts, ``scheme://host[:port]``; all of one scheme and one port, which discovered nodes inherit.
            Several spellings of one endpoint are one seed. Kept as the user gave them; `seed_nodes` has them parsed.
        active_interval: Seconds between refreshes of the node list while requests flow.
        idle_interval: Seconds between refreshes while none do.
        connect_timeout: Seconds for name lookup, TCP and TLS handshake of one connection.
        attempt_timeout: Seconds for one attempt; longer than the server's own 10 s.
        ddl_timeout: Seconds for one attempt at a schema change, which waits for schema agreement.
        operation_timeout: Seconds for all attempts of one operation; None leaves it to the caller's cancel scope.
        acquire_timeout: Seconds that an attempt may wait for a free connection.
        max_connections_per_node: Most connections to one node.
        max_connections: Most connections in all.
        idle_connection_lifetime: Seconds after which an unused connection is closed; the server never closes one.
        max_connection_age: Seconds after which a connection is not used again; None: no limit.
        max_response_bytes: Largest acceptable body of an answer.
        discovery: False: the seeds are the nodes; no ``/localnodes``, no probes. For load balancers, other DynamoDB
            servers and AWS; seeds may then differ in scheme and port.
        tls: For ``https`` seeds: a `Tls`, or an `ssl.SSLContext`, which is used as it is; None: ``Tls()``, the system's
            trust. One policy for discovery and data.
        retry: How often and how fast an operation is tried again.
        ambiguous_writes: What to do with a write of unknown outcome that is not repeatable: ``"raise"``
            `IndeterminateWriteError`, or ``"retry"`` it as AWS's SDKs do.
        user_agent: The User-Agent header, of requests and of discovery: a text; or a callable from the default text to
            the one that is sent, called once, when a client is built; False: no such header; None: the default text.
        routing_scope: The nodes that requests go to, with fallbacks.
        key_route_affinity: Which writes of one partition key stay on one coordinator; None: none.
        node_health: When a node is taken out of traffic and comes back; None: never, and nothing is probed.
        writes_cross_datacenter: False: writes are refused while the scope in force leaves the preferred datacenter.
        address_translator: From the host that a node lists to the one that is dialled: a callable, or a table, which
            leaves alone what is not in it.
        instruments: Hooks that are told of changes.
        credentials: Who signs requests, or an async callable that is asked for it; None: nobody, they go unsigned.
        require_auth: True: an operation that would go unsigned is refused before anything is sent.
        clock_skew_correction: Whether a node that finds a signature's time wrong is believed its own time, from its
            answer's Date: when it speaks ``"verified-tls"``, ``"always"`` or ``"never"``.
        region: The region in signatures; Alternator takes any.
        request_compression: How bodies of requests are compressed; None: not at all.
        response_compression: The encodings that answers may come in, the preferred one first; empty: none is asked for.
        optimize_headers: True: only the headers that Alternator needs; False: also those that AWS's SDKs send.
        transport: What carries requests: ``"native"``, ``"httpx"``, an `HttpxTransport`, or the user's own
            ``httpx.AsyncClient``, which stays open.

    Raises:
        ConfigurationError: A value or a seed is wrong; the message names it.

    Example:
        >>> AlternatorConfig(seeds=["http://10.0.0.1:8000", "HTTP://10.0.0.1:8000/"]).seed_nodes
        (Node('http://10.0.0.1:8000'),)
    """

    seeds: Iterable[str]
    active_interval: float = 1.0
    idle_interval: float = 60.0
    connect_timeout: float = 2.0
    attempt_timeout: float = 12.0
    ddl_timeout: float = 90.0
    operation_timeout: float | None = None
    acquire_timeout: float = 10.0
    max_connections_per_node: int = 64
    max_connections: int = 1024
    idle_connection_lifetime: float = 60.0
    max_connection_age: float | None = None
    max_response_bytes: int = 64 * 2**20
    discovery: bool = True
    tls: Tls | ssl.SSLContext | None = None
    retry: RetryPolicy = dataclasses.field(default_factory=RetryPolicy)
    ambiguous_writes: Literal["raise", "retry"] = "raise"
    user_agent: UserAgent = None
    routing_scope: RoutingScope = dataclasses.field(default_factory=RoutingScope.cluster)
    key_route_affinity: KeyRouteAffinity | None = None
    node_health: NodeHealth | None = dataclasses.field(default_factory=NodeHealth)
    writes_cross_datacenter: bool = True
    address_translator: AddressTranslator | None = None
    instruments: Sequence[Instrument] = ()
    credentials: Credentials | CredentialsProvider | None = None
    require_auth: bool = False
    clock_skew_correction: ClockSkewCorrection = "verified-tls"
    region: str = "us-east-1"
    request_compression: RequestCompression | None = None
    response_compression: ResponseEncodings = ()
    optimize_headers: bool = True
    transport: TransportChoice = "native"
    seed_nodes: tuple[Node, ...] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", _listed(self.seeds))
        object.__setattr__(self, "seed_nodes", _parse_seeds(self.seeds, discovery=self.discovery))
        self._check()
        for instrument in self.instruments:
            check_hooks(instrument)

    def _check(self) -> None:
        for name in ("active_interval", "idle_interval", "connect_timeout", "attempt_timeout", "ddl_timeout"):
            check_seconds(name, getattr(self, name))
        for name in ("acquire_timeout", "idle_connection_lifetime"):
            check_seconds(name, getattr(self, name))
        for name in ("operation_timeout", "max_connection_age"):
            if getattr(self, name) is not None:
                check_seconds(name, getattr(self, name))
        for name in ("max_connections_per_node", "max_connections", "max_response_bytes"):
            check_count(name, getattr(self, name))
        self._check_choices()
        self._check_together()

    def _check_choices(self) -> None:
        if self.ambiguous_writes not in ("raise", "retry"):  # no set: the value may be unhashable
            raise ConfigurationError(f"ambiguous_writes: {self.ambiguous_writes!r} is neither 'raise' nor 'retry'")
        for name, kind, optional in _KINDS:
            value = getattr(self, name)
            if not (isinstance(value, kind) or (optional and value is None)):
                hint = _HINTS.get(name, "")
                text = repr(value) if kind is bool else shown(value)
                raise ConfigurationError(f"{name}: {text} is no {kind.__name__}{hint}")
        self._check_authentication()
        object.__setattr__(self, "instruments", _as_instruments(self.instruments))
        object.__setattr__(self, "response_compression", as_response_encodings(self.response_compression))
        if not (isinstance(self.region, str) and _REGION.fullmatch(self.region)):  # pyright: ignore[reportUnnecessaryIsInstance]  # what callers pass is not always what we ask for
            raise ConfigurationError(f"region: {self.region!r} is no region's name, such as 'us-east-1'")
        translator = self.address_translator
        if not (translator is None or isinstance(translator, Mapping) or callable(translator)):  # pyright: ignore[reportUnnecessaryIsInstance]  # the same
            raise ConfigurationError(f"address_translator: {translator!r} is neither a table nor callable")
        check_tls(self.tls)
        check_user_agent(self.user_agent)
        check_transport(self.transport, has_tls=self.tls is not None)

    def _check_together(self) -> None:
        """Refuse options that have no effect beside the others: whoever gives one believes that it has."""
        if not self.discovery:
            for name in ("routing_scope", "active_interval", "idle_interval", "address_translator"):
                if getattr(self, name) != _default(name):
                    raise ConfigurationError(f"{name}: it has no effect with discovery=False: the seeds are the nodes")
            if self.node_health not in (None, NodeHealth()):
                raise ConfigurationError("node_health: it has no effect with discovery=False, for nothing is probed")
        if self.tls is not None and all(node.scheme == "http" for node in self.seed_nodes):
            raise ConfigurationError("tls: it has no effect, because no seed is https; write 'https://…'")
        if not self.writes_cross_datacenter and self.routing_scope.is_cluster:
            raise ConfigurationError(
                "writes_cross_datacenter: False needs a datacenter to stay in; "
                "write routing_scope=RoutingScope.datacenter(…) or .rack(…)"
            )

    def _check_authentication(self) -> None:
        if self.clock_skew_correction not in _CLOCK_SKEW_CORRECTIONS:
            raise ConfigurationError(
                f"clock_skew_correction: {self.clock_skew_correction!r} is none of {', '.join(_CLOCK_SKEW_CORRECTIONS)}"
            )
        if self.credentials is not None:
            problem = credentials_problem(self.credentials)
            if problem is not None:
                raise ConfigurationError(f"credentials: {problem}; write Credentials(access_key_id, secret_access_key)")
        elif self.require_auth and not (isinstance(self.tls, Tls) and self.tls.has_client_certificate):
            raise ConfigurationError(
                "require_auth: there are neither credentials nor a client certificate (tls=Tls(cert_file=…)); "
                "what goes out would be unsigned"
            )

    def for_operations(self, options: OperationOptions) -> AlternatorConfig:
        """This configuration with the options of some operations, which win.

        Raises:
            ConfigurationError: An option is unknown, wrong, or holds for the whole client only.
        """
        for name in options:
            if name not in OperationOptions.__annotations__ and name in Options.__annotations__:
                raise ConfigurationError(f"{name}: it holds for the whole client; give it to open_alternator")
        check_names(options, OperationOptions.__annotations__)
        if options.get("credentials") is not None and isinstance(self.tls, Tls) and self.tls.has_client_certificate:
            raise ConfigurationError(
                "credentials: the client has a certificate (tls.cert_file), whose role the server takes for all that "
                "comes over its connections; open a client for another role"
            )
        changed = copy.copy(self)  # no `replace`: it would parse the seeds again, which costs more than all the rest
        for name, value in options.items():
            object.__setattr__(changed, name, value)
        changed._check()  # noqa: SLF001  # its own kind
        return changed

    def __repr__(self) -> str:
        shown = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.repr}
        texts = {name: repr(value) for name, value in shown.items()}
        if self.credentials is not None and not isinstance(self.credentials, Credentials):
            # A provider's own representation may show what it was made with, as that of a partial function does.
            texts["credentials"] = f"<{provider_name(self.credentials)}>"
        return f"{type(self).__name__}({', '.join(f'{name}={text}' for name, text in texts.items())})"

    @classmethod
    def build(cls, seeds: tuple[str, ...], config: AlternatorConfig | None, options: Options) -> AlternatorConfig:
        """The configuration of `open_alternator`'s arguments: options win over ``config``, seeds over its seeds."""
        if "seeds" in options:
            raise ConfigurationError("seeds are no option: give them by position, or in config")
        check_names(options, {field.name for field in dataclasses.fields(cls) if field.init} - {"seeds"})
        if config is None:
            return cls(seeds=seeds, **options)
        if not isinstance(config, AlternatorConfig):  # pyright: ignore[reportUnnecessaryIsInstance]  # the same
            raise ConfigurationError(f"config: {type(config).__name__} is no AlternatorConfig")
        if seeds:
            return dataclasses.replace(config, seeds=seeds, **options)
        return dataclasses.replace(config, **options)


def _listed(seeds: object) -> tuple[str, ...]:
    if isinstance(seeds, (str, bytes)):
        shown = without_user_info(seeds) if isinstance(seeds, str) else seeds
        raise ConfigurationError(f"seeds: {shown!r} is one string; give a list of them")
    if not isinstance(seeds, Iterable):
        raise ConfigurationError(f"seeds: {seeds!r} is no list of strings")
    return tuple(cast("Iterable[str]", seeds))


_KINDS: Final[tuple[tuple[str, type, bool], ...]] = (
    ("discovery", bool, False),
    ("retry", RetryPolicy, False),
    ("routing_scope", RoutingScope, False),
    ("key_route_affinity", KeyRouteAffinity, True),
    ("node_health", NodeHealth, True),
    ("writes_cross_datacenter", bool, False),
    ("optimize_headers", bool, False),
    ("require_auth", bool, False),
    ("request_compression", RequestCompression, True),
)


# What to write in place of what comes to mind first.
_HINTS: Final[Mapping[str, str]] = {
    "retry": "; write RetryPolicy(max_attempts=…)",
    "routing_scope": "; write RoutingScope.datacenter(…) or .rack(…)",
    "key_route_affinity": "; write KeyRouteAffinity.rmw() or .any_write()",
    "node_health": "; write NodeHealth(…), or None to switch it off",
    "request_compression": "; write RequestCompression.gzip() or .deflate()",
}


def _default(name: str) -> object:
    field = next(field for field in dataclasses.fields(AlternatorConfig) if field.name == name)
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _as_instruments(value: object) -> tuple[Instrument, ...]:
    if isinstance(value, Instrument):
        raise ConfigurationError(f"instruments: {type(value).__name__} is one Instrument; give a list of them")
    if not isinstance(value, Iterable):
        raise ConfigurationError(f"instruments: {value!r} is no list of Instruments")
    instruments = tuple(cast("Iterable[object]", value))
    for instrument in instruments:
        if not isinstance(instrument, Instrument):
            hint = f"; give an object of it, {instrument.__name__}(…)" if isinstance(instrument, type) else ""
            raise ConfigurationError(f"instruments: {instrument!r} is no Instrument{hint}")
    return cast("tuple[Instrument, ...]", instruments)


def _parse_seeds(seeds: Iterable[str], *, discovery: bool) -> tuple[Node, ...]:
    first: Node | None = None
    nodes: dict[Node, None] = {}
    for seed in seeds:
        node = parse_endpoint(seed)
        first = node if first is None else first
        if discovery and (node.scheme, node.port) != (first.scheme, first.port):
            raise ConfigurationError(
                f"seed {seed!r}: all seeds share one scheme and one port, which discovered nodes inherit; "
                f"{first.endpoint!r} has scheme {first.scheme!r} and port {first.port}"
            )
        nodes[node] = None
    if not nodes:
        raise ConfigurationError("no seed given; name at least one node, as in 'http://10.0.0.1:8000'")
    return tuple(nodes)
