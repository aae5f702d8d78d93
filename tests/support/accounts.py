"""Accounts of the Auth emulator, in any project."""

import httpx

from scripts.devtools.seed import OWNER, create_user
from scripts.devtools.suite import Suite


def auth_url(suite: Suite, project: str) -> str:
    return f"http://{suite.auth_host}/identitytoolkit.googleapis.com/v1/projects/{project}"


def create_account(suite: Suite, uid: str, claims: str, project: str) -> None:
    with httpx.Client(base_url=auth_url(suite, project), headers=OWNER, trust_env=False) as auth:
        create_user(auth, uid, f"{uid}@demo.test", claims)
