"""F28: tampers of the log, of the audit's files and of what was exported; every one is found and its place is named.

Each trial spoils a fresh copy; whatever is not touched is judged too, so a tamper of the tape does not hide one of the
files. The control of every kind is the same copy before it is touched: all tools pass it.
"""

import tempfile
from pathlib import Path

from infra.avro.codec import Codec
from tests.faults.inputs import tampers_of_exports, tampers_of_files, tampers_of_tape
from tests.faults.inputs.sealed import Case, Said, Sealed, archive, chains, independent, lone_verifier, whole_tape
from tests.faults.inputs.tampers import CHAIN, CHECKER, EXPORT, PROOF, RANGE, VERIFY, Tamper, unnoticed
from tests.faults.inputs.trials import Tried, trials

KINDS: tuple[Tamper, ...] = (*tampers_of_tape.TAMPERS, *tampers_of_files.TAMPERS, *tampers_of_exports.TAMPERS)
TOOLS = {
    VERIFY: whole_tape,
    CHAIN: chains,
    RANGE: lone_verifier,
    PROOF: lone_verifier,
    EXPORT: archive,
    CHECKER: independent,
}


async def run(count: int, seed: int, codec: Codec) -> Tried:
    """So many tampers, kind after kind."""
    tried = Tried("F28")
    with tempfile.TemporaryDirectory(prefix="tampers-") as folder:
        sealed = Sealed(codec, Path(folder) / "good", seed)
        await sealed.exported()
        with sealed.case(Path(folder) / "control") as case:
            said = await judged(case, tuple(TOOLS))
            assert not said, f"the tools find something in what nobody touched: {said[:3]}"
        for tamper, trial in trials(KINDS, count, seed):
            with sealed.case(Path(folder) / "spoilt") as case:
                words = tamper.act(case, trial.chance())
                said = await judged(case, tamper.noticed_by)
                if why := unnoticed(tamper, case, words, said):
                    tried.broke(tamper.name, trial, why)
            tried.kinds[tamper.name] += 1
            for tool in {each.tool for each in said}:
                tried.operations[f"found by {tool}"] += 1
        tried.operations["records on the tape"] = sum(map(len, sealed.logs.values()))
    return tried


async def judged(case: Case, tools: tuple[str, ...]) -> list[Said]:
    """What these tools say of a copy."""
    said: list[Said] = []
    for tool in dict.fromkeys(TOOLS[name] for name in tools):
        said += await tool(case)
    return said
