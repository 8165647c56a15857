"""Ports chosen once per stack -> addresses.json for people and tools, environment variables for processes."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.local import ports
from infra import files

FILE = "addresses.json"
SETTINGS_FILE = "settings.env"
"""The same for commands that people type: the settings read that of the stack named dev."""
GATEWAY_PORT = 8080
"""What a person types; another one is taken where it is in use, and by every stack that is not theirs."""
NAMED_FOR_PEOPLE = "dev"
ONFIDO_TOKEN = "onfido.token"  # noqa: S105  # nosec B105  # the name of a file
ONFIDO_SECRET = "onfido.webhook-secret"  # noqa: S105  # nosec B105  # the name of a file


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where everything of one stack is found."""

    kafka_port: int
    postgres_port: int
    postgres: str
    gateway_port: int
    market_port: int
    venue_port: int
    onfido_port: int
    state_dir: str
    metrics: dict[str, int] = field(default_factory=dict)

    @property
    def kafka(self) -> str:
        """The broker's address."""
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def gateway_url(self) -> str:
        """What a client is given."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def market_url(self) -> str:
        """Where the market simulator streams."""
        return f"tcp://127.0.0.1:{self.market_port}"

    @property
    def venue_url(self) -> str:
        """Where the venue simulator takes orders."""
        return f"http://127.0.0.1:{self.venue_port}"

    @property
    def onfido_url(self) -> str:
        """Where the KYC vendor's simulator is asked."""
        return f"http://127.0.0.1:{self.onfido_port}/v3.6"

    def secret_file(self, name: str) -> Path:
        """The file of a secret that we share with a simulator; made by `make_secrets`."""
        return Path(self.state_dir) / "keys" / name

    def make_secrets(self) -> None:
        """What the KYC vendor knows us by and signs with: new for every stack, readable by its owner only."""
        for name in (ONFIDO_TOKEN, ONFIDO_SECRET):
            path = self.secret_file(name)
            if not path.exists():
                files.create(path, secrets.token_hex(32).encode() + b"\n")

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port that was chosen."""
        servers = (
            self.kafka_port,
            self.postgres_port,
            self.gateway_port,
            self.market_port,
            self.venue_port,
            self.onfido_port,
        )
        return (*servers, *self.metrics.values())

    def env(self) -> dict[str, str]:
        """As every process of the stack gets it."""
        return {
            "TAPELINE_KAFKA": self.kafka,
            "TAPELINE_POSTGRES": self.postgres,
            "TAPELINE_GATEWAY_PORT": str(self.gateway_port),
            "TAPELINE_MARKET_URL": self.market_url,
            "TAPELINE_VENUE_URL": self.venue_url,
            "TAPELINE_ONFIDO_URL": self.onfido_url,
            "TAPELINE_ONFIDO_TOKEN": f"@{self.secret_file(ONFIDO_TOKEN)}",
            "TAPELINE_ONFIDO_WEBHOOK_SECRET": f"@{self.secret_file(ONFIDO_SECRET)}",
            "TAPELINE_STATE_DIR": self.state_dir,
            "TAPELINE_PROBES": ",".join(f"{name}=127.0.0.1:{port}" for name, port in self.metrics.items()),
        }

    def write(self) -> None:
        """Say where everything is, in one step: a reader never meets half a file."""
        path = Path(self.state_dir) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        making = path.with_suffix(".making")
        told = asdict(self) | {"kafka": self.kafka, "gateway_url": self.gateway_url} | {"env": self.env()}
        making.write_text(json.dumps(told, indent=2) + "\n")
        making.rename(path)
        lines = [f"{name}={value}" for name, value in self.env().items()]
        (path.parent / SETTINGS_FILE).write_text("\n".join(lines) + "\n")


def read(state_dir: Path) -> Addresses | None:
    """What was written last, if anything readable was."""
    try:
        told = json.loads((state_dir / FILE).read_text())
        return Addresses(**{name: told[name] for name in Addresses.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def choose(state_dir: Path, names: tuple[str, ...]) -> Addresses:
    """The ports of last time where they are free, so that a bookmark survives `down` and `up`; else new ones."""
    last = read(state_dir)
    wanted = GATEWAY_PORT if state_dir.name == NAMED_FOR_PEOPLE else None
    metrics = last.metrics if last else {}
    return Addresses(
        kafka_port=ports.preferred(last.kafka_port if last else None),
        postgres_port=ports.preferred(last.postgres_port if last else None),
        postgres="",
        gateway_port=ports.preferred(last.gateway_port if last else wanted),
        market_port=ports.preferred(last.market_port if last else None),
        venue_port=ports.preferred(last.venue_port if last else None),
        onfido_port=ports.preferred(last.onfido_port if last else None),
        state_dir=str(state_dir),
        metrics={name: ports.preferred(metrics.get(name)) for name in names},
    )
