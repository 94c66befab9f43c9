"""ministack as a process of its own that checks signatures: a verifier that shares no code with this project.

Rules: it listens on this machine alone; it is up within a bound, and has ended when its block has, however that ends.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest
import trio

from alternator_trio import Credentials

botocore_auth = pytest.importorskip("botocore.auth")
botocore_request = pytest.importorskip("botocore.awsrequest")
botocore_credentials = pytest.importorskip("botocore.credentials")

START_SECONDS = 8.0
ROOT = ("test", "test")


class MinistackProcess:
    """A running one, and a user of it."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def ask(self, service: str, action: str, keys: Sequence[str] = ROOT, **parameters: str) -> str:
        """The answer of one of its other services, signed by botocore."""
        form = {"Action": action, **parameters}
        version = {"iam": "2010-05-08", "sts": "2011-06-15"}[service]
        body = "&".join(f"{name}={value}" for name, value in {**form, "Version": version}.items())
        kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = botocore_request.AWSRequest("POST", self.url, data=body, headers=kind)
        botocore_auth.SigV4Auth(botocore_credentials.Credentials(*keys), service, "us-east-1").add_auth(request)
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.post(self.url, content=body, headers=dict(request.headers.items()))
        assert response.status_code == 200, response.text
        return response.text

    async def make_user(self) -> Credentials:
        """A user who may do everything with DynamoDB."""
        policy = "arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess"
        await self.ask("iam", "CreateUser", UserName="ada")
        await self.ask("iam", "AttachUserPolicy", UserName="ada", PolicyArn=policy)
        return _credentials_in(await self.ask("iam", "CreateAccessKey", UserName="ada"))

    async def make_session(self, user: Credentials) -> Credentials:
        """The same user's temporary credentials, with a token."""
        keys = (user.access_key_id, user.secret_access_key)
        return _credentials_in(await self.ask("sts", "GetSessionToken", keys))


@asynccontextmanager
async def open_ministack() -> AsyncGenerator[MinistackProcess]:
    """Start one, and end it with the block."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # No port is its way to leave out a listener that has nothing to do with DynamoDB.
    chosen = {"AUTH": "true", "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "IOT_MTLS_PORT": "0"}
    environ = {**os.environ, **chosen}
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "ministack"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await _wait_until_up(port)
        yield MinistackProcess(f"http://127.0.0.1:{port}/")
    finally:
        process.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
            await process.wait()


async def _wait_until_up(port: int) -> None:
    with trio.fail_after(START_SECONDS):
        while True:
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                await trio.sleep(0.05)  # a foreign process: there is nothing else to wait for
            else:
                await stream.aclose()
                return


def _credentials_in(text: str) -> Credentials:
    def member(name: str) -> str | None:
        found = re.search(f"<{name}>(.*?)</{name}>", text)
        return None if found is None else found[1]

    key_id, secret = member("AccessKeyId"), member("SecretAccessKey")
    assert key_id is not None
    assert secret is not None
    return Credentials(key_id, secret, member("SessionToken"))
