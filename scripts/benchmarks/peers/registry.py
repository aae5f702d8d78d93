"""The peers: what is installed, how it is started, and what a request to it looks like."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Installer = Literal["npm", "pip"]
Signs = Mapping[str, str]

OPENAI_SIGNS: Final[Signs] = {"token": '"content":"', "end": "data: [DONE]"}
OPENAI_ANSWER: Final[Signs] = {"token": '"content":"', "end": '"usage":'}
CALLABLE_SIGNS: Final[Signs] = {"token": '{"message":{"type":"text"', "end": '{"result":'}
CALLABLE_ANSWER: Final[Signs] = {"token": '{"result":', "end": '{"result":'}


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that does part of the same work.

    In `command`, `env` and `headers`, `{port}`, `{origin}` (of OpenRouter's stand-in), `{key}`,
    `{id_token}` and `{app_check}` are filled in. The environment has OPENROUTER_BASE_URL and
    BENCH_KEY as well.

    Attributes:
        id: The name of its folder.
        name: What the table calls it.
        installer: What installs its packages.
        packages: Its packages, each with its version.
        command: The command that starts it, in its folder.
        path: The path of a request.
        is_callable: Whether it speaks the protocol of Firebase callables, rather than OpenAI's.
        does: What it does for each request, for the text below the table.
        env: Its environment variables.
        headers: The headers of a request.
    """

    id: str
    name: str
    installer: Installer
    packages: tuple[str, ...]
    command: tuple[str, ...]
    path: str
    is_callable: bool
    does: str
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def signs(self, *, stream: bool) -> Signs:
        """Return the bytes by which a token, and the end of a response, are recognized."""
        if self.is_callable:
            return CALLABLE_SIGNS if stream else CALLABLE_ANSWER
        return OPENAI_SIGNS if stream else OPENAI_ANSWER


NODE: Final = Peer(
    id="node",
    name="Node, `onCall`",
    installer="npm",
    packages=(
        "firebase-functions@7.4.0",  # onCall: the callable protocol, in Google's own SDK
        "firebase-admin@13.10.0",  # a peer dependency of firebase-functions
        "@google-cloud/functions-framework@5.0.5",  # serves a function on Cloud Run
        "openai@7.59.0",  # the client library with which the function calls OpenRouter
    ),
    command=(
        "node",
        "node_modules/.bin/functions-framework",
        "--target=relay",
        "--signature-type=http",
        "--port={port}",
    ),
    path="/",
    is_callable=True,
    does="reads both tokens, without verifying their signatures; keeps no record",
    env={
        "GCLOUD_PROJECT": "demo-firerouter",
        "FIREBASE_DEBUG_MODE": "true",
        "FIREBASE_DEBUG_FEATURES": '{{"skipTokenVerification": true}}',
    },
    headers={"Authorization": "Bearer {id_token}", "X-Firebase-AppCheck": "{app_check}"},
)

PORTKEY: Final = Peer(
    id="portkey",
    name="Portkey gateway",
    installer="npm",
    packages=("@portkey-ai/gateway@1.15.2",),  # a gateway in front of many providers
    command=("node", "node_modules/.bin/gateway", "--headless", "--port={port}"),
    path="/v1/chat/completions",
    is_callable=False,
    does="passes the caller's key on; knows no users, keeps no record",
    env={"TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
    headers={
        "Authorization": "Bearer {key}",
        "x-portkey-provider": "openrouter",
        "x-portkey-custom-host": "{origin}/api",
    },
)

LITELLM: Final = Peer(
    id="litellm",
    name="LiteLLM proxy",
    installer="pip",
    packages=("litellm[proxy]==1.108.7",),  # the best-known proxy in Python
    command=(
        "venv/bin/litellm",
        "--config=config.yaml",
        "--host=127.0.0.1",
        "--port={port}",
        "--num_workers=1",
    ),
    path="/chat/completions",
    is_callable=False,
    does="compares one master key; without a database, so no users, limits or record",
    env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"},
    headers={"Authorization": "Bearer {key}"},
)

PEERS: Final = (NODE, PORTKEY, LITELLM)
