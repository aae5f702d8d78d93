"""The Firebase Emulator Suite, which is one part of a suite."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.devtools.processes import Part, only_all_proxy
from scripts.devtools.toolchain import Tools

JAVA_OPTIONS = ["-XX:TieredStopAtLevel=1"]  # compile quickly rather than well, which halves the CPU


def start(
    root: Path,
    tools: Tools,
    *,
    only: Iterable[str],
    project: str,
    config: Path,
    log_dir: Path,
    env: Mapping[str, str],
) -> Part:
    """Start these emulators with `firebase emulators:start`, configured by a firebase.json."""
    firebase = root / "node_modules" / "firebase-tools" / "lib" / "bin" / "firebase.js"
    quick_auth = Path(__file__).with_name("quick-auth.cjs")
    command = [tools.node, "--require", str(quick_auth), str(firebase), "emulators:start"]
    command += ["--only", ",".join(only), "--project", project, "--config", str(config)]
    environment = {
        **only_all_proxy(env),
        "PATH": f"{tools.java_bin}{os.pathsep}{os.environ['PATH']}",
        # a local run must not use the account of `firebase login`
        "XDG_CONFIG_HOME": str(root / ".local" / "config"),
        "JAVA_TOOL_OPTIONS": " ".join([os.environ.get("JAVA_TOOL_OPTIONS", ""), *JAVA_OPTIONS]),
        # no requests to Google's metadata server or npm's registry, and no prompts
        "METADATA_SERVER_DETECTION": "none",
        "NO_UPDATE_NOTIFIER": "1",
        "CI": "true",
    }
    if tools.firestore_jar:
        environment["FIRESTORE_EMULATOR_BINARY_PATH"] = tools.firestore_jar
    # started in the log folder, because firebase-tools writes its *-debug.log files there
    log = log_dir / "emulators.log"
    return Part("emulators", command, log=log, cwd=log_dir, env=environment)
