"""Document ids and paths. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

# https://firebase.google.com/docs/firestore/quotas: ids; and no % nor control character
_NO_KEY: Final = re.compile(r"[/%\x00-\x1f\x7f-\x9f]|\A__.*__\Z|\A\Z", re.DOTALL)


def key_of(uid: str) -> str:
    """The id of a user's documents: the uid itself, which the rules compare it with.

    But for one that no document can be called by: any text of up to 128 characters may be a uid. It
    is quoted, and so has a % in it, which no other key has. Its user's client can not read there.
    """
    if uid not in {".", ".."} and not _NO_KEY.search(uid):
        return uid
    return quote(uid, safe="").replace(".", "%2E").replace("_", "%5F")
