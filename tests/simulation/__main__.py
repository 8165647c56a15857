"""`make simulate SEEDS=N`: so many histories of one installation, each with faults of its own, each judged to the end.

What runs as it is: the decider host with its owners, snapshots and deciders, the writer with its fence and its view of
the cluster, sagas, the effects of the venue and of both interpretations, the followers, the bus and the read-back of a
gateway, and the folds of the read models. What is simulated: time, the order of processes, the network, the brokers,
the venue, the KYC vendor, clients. What cannot be simulated, and is tested on real servers instead: Faust and its
agents, librdkafka (so the guarded arm of the writer, the reader, the sender and the groups, whose stand-ins keep their
promises), aiokafka's connection below the request, Kafka itself, PostgreSQL (rows and positions change in one step
here), HTTP, and the disk: nothing that a broker acknowledged is ever lost here but, on purpose, the marker of an end.
"""

import argparse
import gc
import logging
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import structlog

import contexts
from infra.settings import KNOWN_COMMANDS_MAX
from tests.faults import ledger
from tests.simulation.codec import SharedCodec
from tests.simulation.history import Outcome, Simulation
from tests.simulation.options import drawn

STORIES = Path("build/simulation")
SAID_EVERY = 100
"""Histories between two lines where there is no terminal."""


def main() -> int:
    """Play, say how far it is, tell every fault with the command that plays it again."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--commands", type=int, default=500, help="of clients; sagas and the venue add theirs")
    parser.add_argument("--known", type=int, default=KNOWN_COMMANDS_MAX, help="command ids that a stream remembers")
    parser.add_argument("--traces", action="store_true", help="print the hash of each history")
    parser.add_argument("--ledger", type=Path, help="append a line of the run to this file")
    given = parser.parse_args()
    # What processes say of each other's deaths by the thousand is nobody's news here.
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(
        wrapper_class=quiet, logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=True
    )
    simulation = Simulation(SharedCodec(contexts.messages()))
    simulation.play(drawn(given.start, 1))  # Everything is read that is read once: no collector need look at it again.
    gc.freeze()
    return _play(simulation, given)


def _play(simulation: Simulation, given: argparse.Namespace) -> int:
    began = time.process_time()
    sums: Counter[str] = Counter()
    failed: list[Outcome] = []
    for number in range(given.seeds):
        seed = given.start + number
        options = msgspec.structs.replace(drawn(seed, given.commands), known_max=given.known)
        outcome = simulation.play(options, is_told=given.seeds == 1)
        sums += Counter(outcome.counts) + Counter(virtual_s=round(outcome.virtual_s))
        sums["injected"] += sum(outcome.injected.values())
        sums["died"] += sum(outcome.deaths.values())
        if given.traces:
            print(seed, outcome.trace)
        if outcome.faults:
            failed.append(outcome)
            _tell(outcome)
        _progress(number + 1, given.seeds, len(failed))
    spent_s = time.process_time() - began
    print(
        f"{given.seeds} histories, {len(failed)} failed: {given.seeds * given.commands} commands of clients, "
        f"{sums['decided']} decided in all, {sums['injected']} faults injected, "
        f"{sums['virtual_s']} s of virtual time; {spent_s:.1f} s of processor time, "
        f"{60 * given.seeds / spent_s:.0f} histories a minute and core"
    )
    if given.ledger:
        ledger.append(_line(given, sums, failed, spent_s), given.ledger)
    return 1 if failed else 0


def _line(given: argparse.Namespace, sums: Counter[str], failed: list[Outcome], spent_s: float) -> ledger.Line:
    """The run as the ledger keeps it: a trial is a history."""
    return ledger.Line(
        run="simulation",
        at=ledger.now(),
        commit=ledger.commit(),
        seed=given.start,
        profile="simulated",
        trials={"S1": given.seeds},
        failed={"S1": len(failed)} if failed else {},
        operations={
            "commands_of_clients": given.seeds * given.commands,
            "decided": sums["decided"],
            "faults_injected": sums["injected"],
            "processes_ended": sums["died"],
            "virtual_seconds": sums["virtual_s"],
        },
        findings=[
            {"seed": each.options.seed, "commands": each.options.commands, "says": each.faults[0]}
            for each in failed[: ledger.FAILED_MAX]
        ],
        figures={"histories_a_minute_and_core": round(60 * given.seeds / spent_s, 1), "processor_s": round(spent_s, 1)},
    )


def _tell(outcome: Outcome) -> None:
    print(f"\nseed {outcome.options.seed} FAILED after {outcome.virtual_s:.3f} s, {outcome.steps} steps")
    for fault in outcome.faults:
        print(f"  {fault}")
    print(f"  injected {outcome.injected}, ended {outcome.deaths}\n  {outcome.options}")
    if outcome.story:
        STORIES.mkdir(parents=True, exist_ok=True)
        path = STORIES / f"{outcome.options.seed}.txt"
        path.write_text("\n".join(outcome.story) + "\n")
        print(f"  its story is in {path}")
    print(
        f"  again: make simulate SEEDS=1 START={outcome.options.seed} COMMANDS={outcome.options.commands}", flush=True
    )


def _progress(done: int, of: int, failed: int) -> None:
    if sys.stdout.isatty():
        print(f"\r{done} of {of} histories, {failed} failed", end="" if done < of else "\n", flush=True)
    elif done % SAID_EVERY == 0 and done < of:
        print(f"{done} of {of} histories, {failed} failed", flush=True)


if __name__ == "__main__":
    sys.exit(main())
