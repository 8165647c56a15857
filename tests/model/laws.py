"""What must hold of every state and every step, judged by what a reader sees and nothing that an owner believes."""

from tests.model.states import Entry, Rules, State, visible


def broken(state: State, rules: Rules) -> str:
    """The first law that this state breaks; empty when it breaks none."""
    seen = visible(state.log, rules)
    return _chain(seen) or _commands(seen, rules)


def seen_before(before: State, after: State, rules: Rules) -> str:
    """What was seen once is seen for ever: else an acknowledged command is lost, or a void one was shown."""
    if before.log == after.log:
        return ""
    was, now = visible(before.log, rules), visible(after.log, rules)
    if [entry.hash for entry in now[: len(was)]] != [entry.hash for entry in was]:
        return "what a reader saw is gone: a transaction that was seen is aborted, or an acknowledged command is lost"
    return ""


def _chain(seen: tuple[Entry, ...]) -> str:
    """One sequence without a hole or a fork, terms that rise, one owner a term."""
    reigns: dict[int, int] = {}
    hash_, term = 0, 0
    for number, entry in enumerate(seen):
        if entry.sequence < number:
            return f"sequence {entry.sequence} stands twice: two owners wrote, a fork"
        if entry.sequence > number:
            return f"sequence {number} is missing before {entry.sequence}: an acknowledged end is not on the tape"
        if entry.previous != hash_:
            return f"sequence {number} follows what is not on the tape: a fork"
        if entry.term < term:
            return f"sequence {number} is of an older term: an owner wrote after its fence"
        if reigns.setdefault(entry.term, entry.reign) != entry.reign:
            return f"term {entry.term} has two owners"
        hash_, term = entry.hash, entry.term
    return ""


def _commands(seen: tuple[Entry, ...], rules: Rules) -> str:
    """Each command once, none passed over."""
    decided: set[int] = set()
    for entry in seen:
        if entry.position < 0:
            continue
        command = rules.commands[entry.position]
        if command in decided:
            return f"command {command} is decided twice"
        passed = set(rules.commands[: entry.position]) - decided
        if passed:
            return f"command {min(passed)} is lost: a later one is decided and it is not"
        decided.add(command)
    return ""
