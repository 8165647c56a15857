"""Run as a program: supervise three processes, one of them with a child of its own, and print all their ids."""

import json
import sys
import time
from pathlib import Path

import psutil

from deploy.local import process
from deploy.local.process import AppProcess
from deploy.local.supervisor import Supervisor

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"


def main(folder: Path, *, is_stubborn: bool, is_untied: bool) -> None:
    if is_untied:
        sys.platform = "another"  # where the kernel does not tell children that their parent died
    sources = {"sleeper": SLEEPER, "parent": PARENT, "last": STUBBORN if is_stubborn else SLEEPER}
    processes = [
        AppProcess(name, [sys.executable, "-c", source], env={}, log=folder / f"{name}.log")
        for name, source in sources.items()
    ]
    if is_stubborn:
        process.STOP_LIMIT_S = 1.0
    supervisor = Supervisor(say=lambda _: None)
    with supervisor.obeying_signals():
        supervisor.bring(*processes)
        while len(psutil.Process().children(recursive=True)) < len(sources) + 1:
            time.sleep(0.02)
        if is_stubborn:
            while "up" not in (folder / "last.log").read_text():
                time.sleep(0.02)
        print(json.dumps([one.pid for one in psutil.Process().children(recursive=True)]), flush=True)
        supervisor.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), is_stubborn="stubborn" in sys.argv, is_untied="untied" in sys.argv)
