"""Writes the golden records that are missing: `python -m tests.schemas.write_golden`. One that exists never changes."""

from pathlib import Path

import msgspec

from infra.avro import contracts
from tests.schemas.examples import BY_NAME, encode, example

GOLDEN = Path(__file__).parent / "golden"


def main() -> None:
    newest = {entry.name: entry for entry in contracts.locked()}
    for name, entry in newest.items():
        path = GOLDEN / f"{entry.id}.bin"
        if name not in BY_NAME or path.exists():
            continue
        record = example(BY_NAME[name])
        path.write_bytes(encode(record))
        path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
        print(f"wrote {path.name} and {path.stem}.json: {name} version {entry.version}")


if __name__ == "__main__":
    main()
