"""alternator-client, ScyllaDB's own, which wraps boto3."""

from __future__ import annotations

import importlib.metadata
import time
from pathlib import Path

import boto3
from alternator import Config, Helper
from alternator.config import TLS, NodeListPollingConfig, ResponseCompression, RetryConfig, TimeoutConfig
from botocore_asks import ask, get
from cell import MOMENT, POLLS, SECONDS, Cell


def drive(cell: Cell) -> None:
    config = Config(
        seed_hosts=["127.0.0.1"],
        port=cell.port,
        scheme=cell.scheme,
        tls=TLS(custom_ca_cert_paths=[Path(cell.ca)]),
        retries=RetryConfig(max_attempts=1),
        timeouts=TimeoutConfig(discovery_seconds=SECONDS, connect_seconds=SECONDS, read_seconds=SECONDS),
        node_list_polling=NodeListPollingConfig(active_interval_ms=int(POLLS * 1000)),
        response_compression=tuple(ResponseCompression),
    )
    # It asks for nodes before it is open: that counts.
    cell.ready(f"alternator-client {importlib.metadata.version('alternator-client')}", f"boto3 {boto3.__version__}")
    with Helper(config, verify=cell.ca) as helper:  # its TLS settings are for discovery alone
        client = helper.client()
        with cell.first() as got:
            got.append(ask(client, cell.kind, helper.resource))
        time.sleep(MOMENT)
        cell.calm()
        with cell.second() as got:
            got.append(get(client, "next"))
        cell.nodes(helper.get_nodes())
