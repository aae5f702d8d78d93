"""ID tokens for users that need no account: the Auth emulator's are unsigned, as here."""

import base64
import json
import time
from typing import Any


def id_token(project: str, uid: str, *, expires_in_s: float = 3600, **claims: Any) -> str:
    """What the Auth emulator would issue to `uid`, with `claims` laid over it."""
    now = int(time.time())
    payload = {
        "iss": f"https://securetoken.google.com/{project}",
        "aud": project,
        "sub": uid,
        "user_id": uid,
        "auth_time": now,
        "iat": now,
        "exp": int(now + expires_in_s),
        "firebase": {"identities": {}, "sign_in_provider": "password"},
        **claims,
    }
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(payload)}."


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
