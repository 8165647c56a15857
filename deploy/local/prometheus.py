"""Where the processes of a local stack say how they are -> a Prometheus over all of them, with our rules.

`python -m deploy.local.prometheus NAME` runs the machine's own (Debian: `apt install prometheus`) in the foreground.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

from deploy.local import addresses, folders, ports
from deploy.local.addresses import Addresses

RULES = folders.ROOT / "deploy" / "prometheus" / "rules.yml"
SCRAPE_SECONDS = 5
"""A minute has a dozen samples, the least from which a rate of one minute is worth reading."""
KEPT = "7d"
"""How long figures of a local stack are kept."""


class NoPrometheus(Exception):
    """The machine has none."""


def config(chosen: Addresses) -> str:
    """The scrape configuration of one stack; JSON is YAML."""
    jobs = [
        {
            "job_name": name,
            "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": "tapeline"}}],
        }
        for name, port in chosen.metrics.items()
    ]
    told = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
        "rule_files": [str(RULES)],
        "scrape_configs": jobs,
    }
    return json.dumps(told, indent=2) + "\n"


def command(chosen: Addresses, port: int) -> list[str]:
    """Writes the configuration; gives the command that runs Prometheus with it, open to this machine alone."""
    program = shutil.which("prometheus")
    if program is None:
        raise NoPrometheus("there is no `prometheus` on this machine: install Debian's package of that name")
    folder = Path(chosen.state_dir) / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "prometheus.yml"
    written.write_text(config(chosen))
    return [
        program,
        f"--config.file={written}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--storage.tsdb.retention.time={KEPT}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]


def main() -> None:
    """Become the Prometheus of one stack."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.prometheus", description=__doc__)
    parser.add_argument("name", nargs="?", default="dev")
    parser.add_argument("--port", type=int, default=0, help="where it listens; a free port when none is given")
    args = parser.parse_args()
    chosen = addresses.read(folders.ROOT / ".tapeline" / args.name)
    if chosen is None:
        raise SystemExit(f"no stack named {args.name} was ever up: start it with `make up NAME={args.name}`")
    port = args.port or ports.one()
    try:
        argv = command(chosen, port)
    except NoPrometheus as missing:
        raise SystemExit(str(missing)) from missing
    print(f"Prometheus over the stack {args.name}: http://127.0.0.1:{port}", flush=True)
    # It takes the place of this process, so that one signal ends it.
    os.execv(argv[0], argv)  # noqa: S606  # nosec B606  # a list of ours, no shell


if __name__ == "__main__":
    main()
