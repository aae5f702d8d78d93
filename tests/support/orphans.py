"""A process that has lost its parent, as a suite leaves some behind when it is killed."""

import os
import subprocess
import sys

from scripts.devtools import processes


def orphan(suite_id: str) -> None:
    """Leave a marked process behind that ignores SIGTERM and whose parent is gone."""
    sleeper = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    environment = {**os.environ, processes.MARKER: suite_id}
    shell = ["/bin/sh", "-c", '"$0" -c "$1" & sleep 0.3', sys.executable, sleeper]
    subprocess.run(shell, env=environment, start_new_session=True, check=True)
