"""Rules with one protection left out: what the search must find, or it would find nothing elsewhere either."""

from typing import NamedTuple

from tests.model.states import Rules


class Mutation(NamedTuple):
    """One protection less, and a part of what is said of it."""

    name: str
    rules: Rules
    finds: str


FORK = "stands twice: two owners wrote, a fork"
HOLE = "an acknowledged end is not on the tape"
MUTATIONS = (
    Mutation("no fencing", Rules(is_fencing=False), HOLE),
    Mutation("only the first id fenced", Rules(fences_all=False), HOLE),
    Mutation("ids fenced independently", Rules(first_id_first=False), FORK),
    Mutation("writing goes on with the next id", Rules(begins_with_first=False), FORK),
    Mutation("a take-over that goes on after a cut", Rules(fences_in_one_piece=False), HOLE),
    Mutation("a rival's first record taken for one's own", Rules(knows_own_record=False), "has two owners"),
    Mutation("the tape not read back before deciding", Rules(reads_back=False), HOLE),
    Mutation("an unclear end taken as clear", Rules(doubts_lost_ends=False), HOLE),
    Mutation("a successor's batch aborted", Rules(spares_successors=False), HOLE),
    Mutation("writing on after a cut", Rules(looks_after_cuts=False), HOLE),
    Mutation("no dedupe of command ids", Rules(knows_commands=False), "is decided twice"),
    Mutation("the position kept outside the events", Rules(holds_position_in_events=False), "is lost"),
    Mutation("answered before it is read back", Rules(answers_read_back=False), "what a reader saw is gone"),
)
SEVERAL_COORDINATORS = Mutation("markers in any order", Rules(marks_in_order=False), HOLE)
"""No protection of ours but a property of one broker: what ids with coordinators on several brokers would need."""
EVERYTHING_KEPT = (
    Rules(),
    Rules(ids=3, commands=(0,)),
    Rules(owners=3, commands=(0,), faults=0),
    Rules(faults=2, commands=(0,)),
)
"""What is searched to its end; the default: two owners, two ids, three commands of which one is a repeat, one fault."""
