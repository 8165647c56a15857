"""What the broker does with requests, in time or late, and of itself: markers, time-outs, a restart."""

from collections.abc import Iterator

from tests.model.states import Entry, Free, Owner, Phase, Rules, State, Step, with_id, without


def steps(state: State, rules: Rules) -> Iterator[Step]:
    for number, (epoch, at) in enumerate(state.ids):
        if at is Free.ENDING and not (rules.marks_in_order and _is_behind(state, number, epoch)):
            yield f"the marker of id {number} is written", _marked(state, number, epoch)
        if at is Free.OPEN:
            # Its time-out comes by itself once nobody is there to end it; sooner it is a fault.
            is_awaited = any(
                owner.phase is Phase.SENT and owner.turn == number and owner.epochs[number] == epoch
                for owner in state.owners
            )
            if state.faults + is_awaited <= rules.faults:
                expired = fenced(state, number)._replace(faults=state.faults + is_awaited)
                yield f"the transaction of id {number} expires", expired
    if state.faults < rules.faults and any(at is Free.ENDING for _, at in state.ids):
        yield "the broker restarts and forgets its markers", _restarted(state, rules)
    for place, (what, number, epoch, batch) in enumerate(state.late):
        rest = state._replace(late=(*state.late[:place], *state.late[place + 1 :]))
        if what == "produce":
            assert batch is not None
            yield f"a late batch of id {number} arrives", produced(rest, batch)
        elif what == "end":
            yield f"a late end of id {number} arrives", ended(rest, number, epoch)
        elif state.ids[number][1] is not Free.ENDING:
            yield f"a late fence of id {number} arrives", fenced(rest, number)


def fenced(state: State, number: int) -> State:
    """InitProducerId: what is open is aborted, the epoch rises."""
    epoch, at = state.ids[number]
    if at is Free.OPEN:
        state = without(state, number, epoch)
    return with_id(state, number, epoch + 1, Free.FREE)


def produced(state: State, batch: Entry) -> State:
    """The broker takes the batch if its epoch is the newest; a repeat changes nothing."""
    if state.ids[batch.id] != (batch.epoch, Free.FREE):
        return state
    return with_id(state, batch.id, batch.epoch, Free.OPEN)._replace(log=(*state.log, batch))


def ended(state: State, number: int, epoch: int) -> State:
    """EndTxn: accepted once; the epoch rises, so that a late copy of anything is of the past."""
    if state.ids[number] != (epoch, Free.OPEN):
        return state
    return with_id(state, number, epoch + 1, Free.ENDING)


def lost(state: State, what: str, number: int, epoch: int, batch: Entry | None = None) -> State:
    late = tuple(sorted((*state.late, (what, number, epoch, batch)), key=repr))
    return state._replace(late=late, faults=state.faults + 1)


def _is_behind(state: State, number: int, epoch: int) -> bool:
    """Whether another end, accepted earlier, still waits for its marker."""
    ending = {(each, rose - 1) for each, (rose, at) in enumerate(state.ids) if at is Free.ENDING}
    firsts = [entry for entry in state.log if not entry.is_committed and (entry.id, entry.epoch) in ending]
    return bool(firsts) and (firsts[0].id, firsts[0].epoch) != (number, epoch - 1)


def _marked(state: State, number: int, epoch: int) -> State:
    log = tuple(
        entry._replace(is_committed=True) if (entry.id, entry.epoch) == (number, epoch - 1) else entry
        for entry in state.log
    )
    return with_id(state, number, epoch, Free.FREE)._replace(log=log)


def _restarted(state: State, rules: Rules) -> State:
    """Stopped in order with ends half done: they count as done and their markers never come.

    Every connection is cut, and what was still under way on it never arrives.
    """
    ids = tuple((epoch, Free.FREE if at is Free.ENDING else at) for epoch, at in state.ids)
    owners = tuple(_cut(owner, rules) for owner in state.owners)
    return state._replace(ids=ids, owners=owners, late=(), faults=state.faults + 1)


def _cut(owner: Owner, rules: Rules) -> Owner:
    match owner.phase:
        case Phase.FENCING | Phase.WAITING if rules.fences_in_one_piece:
            return unclear(owner)
        case Phase.READING | Phase.READY | Phase.SENT:
            return owner._replace(is_cut=True)
        case _:
            return owner


def unclear(owner: Owner) -> Owner:
    """The only way on is a take-over, under the same term."""
    return owner._replace(phase=Phase.FENCING, epochs=(-1,) * len(owner.epochs), sent=None, is_cut=False)
