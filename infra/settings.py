"""Where everything is and how much of anything is allowed: addresses from the environment, limits as constants.

Every setting has an environment variable `TAPELINE_<NAME>`; the local stack sets them for each process it starts, and
leaves them in a file for the commands that people type.
"""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

LOCAL_STACK = Path(__file__).resolve().parents[1] / ".tapeline" / "dev" / "settings.env"
"""Where the stack of `make up` says where it is; what the environment says goes before it."""


class Settings(BaseSettings):
    """Addresses and choices of one process."""

    model_config = SettingsConfigDict(env_prefix="TAPELINE_", env_file=LOCAL_STACK, extra="ignore")

    kafka: str = "127.0.0.1:9092"
    postgres: str = "postgresql://127.0.0.1:5432/tapeline"
    state_dir: Path = Path(".tapeline/dev")
    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8080
    market_url: str = "tcp://127.0.0.1:9701"
    venue_url: str = "http://127.0.0.1:9702"
    metrics_port: int = 0
    """Port of /metrics, /healthz and /readyz of a process; 0 opens none."""
    writer: Literal["own", "guarded"] = "own"
    """Which arm of the transactional writer the deciders use."""
    replication: int = 1
    log_level: str = "INFO"
    kms: Literal["local", "aws"] = "local"
    """Which key service wraps the keys of personal data: a file of this machine, or AWS KMS."""
    kms_key_id: str = ""
    """Id, ARN or alias of the symmetric key in AWS KMS."""
    kms_endpoint: str = ""
    """Another address of KMS than AWS's own: a VPC endpoint, or a stand-in of tests."""
    otlp_url: str = ""
    """Base address of an OTLP/HTTP receiver of traces; empty traces nothing."""
    onfido_url: str = "http://127.0.0.1:9703/v3.6"
    """API of the KYC vendor."""
    onfido_token: SecretStr = SecretStr("")
    """Our token there; `@FILE` names a file that holds it."""
    onfido_webhook_secret: SecretStr = SecretStr("")
    """What the vendor signs its notices with; `@FILE` names a file that holds it. Without one no notice is taken."""
    onfido_workflow_id: str = "5f2a8c1e-0d37-4c4b-9c55-7a70656c696e"
    """The vendor's workflow that our checks run through."""
    probes: str = ""
    """Where processes say how they are, `NAME=HOST:PORT` with commas between: what the live page shows of them."""


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()


def revealed(secret: SecretStr) -> SecretStr:
    """The secret itself, or what stands in the file that it names; read when it is needed, by whom it is needed."""
    told = secret.get_secret_value()
    return SecretStr(Path(told[1:]).read_text().strip()) if told.startswith("@") else secret


PARTITIONS = 4
"""Partitions of every topic keyed by account: transactions, not orders, fill a machine. Chosen once."""
BATCH_COMMANDS_MAX = 1_000
"""Commands decided in one transaction: beyond a thousand the fixed price of a transaction has vanished."""
KNOWN_COMMANDS_MAX = 1_024
"""Command ids that each stream remembers; an older unknown command is stale."""
SNAPSHOT_EVERY_EVENTS = 100_000
"""Events of a partition between two snapshots: it bounds what a take-over must fold."""
POLL_WAIT_MS = 100
"""Longest wait of a loop for its next record; it bounds how late a loop sees that it must stop."""
TAKE_OVER_TIMEOUT_MS = 30_000
"""Longest wait for a partition to be ours: a broker that restarts needs about ten seconds."""
ANSWER_WAIT_MS = 5_000
"""Longest wait of a POST for its decision before it gets a receipt (202)."""
SEND_TIMEOUT_MS = 4_000
"""Longest try to deliver a command; below ANSWER_WAIT_MS, so that a 503 is still an answer in time."""
ANSWERS_KEPT_MAX = 100_000
"""Answers a gateway keeps for repeated requests; older ones are in the journal."""
DEAD_LETTER_BYTES_MAX = 65_536
"""Bytes of a poison record that its dead letter keeps."""
DEAD_LETTERS_IN_A_ROW_MAX = 10_000
"""Poison records in a row after which a worker stops: that many are a broken producer, not an accident."""
COMMAND_BYTES_MAX = 1_000_000
"""Largest record of a command topic."""
EVENTS_BYTES_MAX = 4_000_000
"""Largest batch of an events topic: a thousand events of some hundred bytes with room to spare."""
