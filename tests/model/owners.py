"""What an owner may do next: fence, wait, read back, send, end, die."""

from collections.abc import Iterator

from tests.model import broker
from tests.model.broker import ended, fenced, lost, produced, unclear
from tests.model.states import GONE, Entry, Free, Known, Owner, Phase, Rules, State, Step, visible, with_owner, without


def steps(state: State, rules: Rules) -> Iterator[Step]:
    """Everything that may happen next."""
    for reign, owner in enumerate(state.owners):
        match owner.phase:
            case Phase.OUT:
                if not reign or state.owners[reign - 1].phase is not Phase.OUT:
                    yield f"{reign} starts", with_owner(state, reign, started(rules))
                continue
            case Phase.FENCING:
                yield from _fence(state, rules, reign, owner)
            case Phase.WAITING:
                yield from _wait(state, rules, reign, owner)
            case Phase.READING:
                yield f"{reign} reads back", with_owner(state, reign, _read(state, rules, reign, owner))
            case Phase.READY:
                yield from _send(state, rules, reign, owner)
            case Phase.SENT:
                yield from _end(state, rules, reign, owner)
            case Phase.GONE:
                continue
        if state.faults < rules.faults:
            yield f"{reign} crashes", with_owner(state, reign, GONE)._replace(faults=state.faults + 1)
    yield from broker.steps(state, rules)


def started(rules: Rules) -> Owner:
    return Owner(Phase.FENCING, (-1,) * rules.ids)


def _fence(state: State, rules: Rules, reign: int, owner: Owner) -> Iterator[Step]:
    waiting = [number for number, epoch in enumerate(owner.epochs) if epoch < 0]
    if rules.first_id_first and waiting[0] == 0:
        waiting = [0]
    for number in waiting:
        if state.ids[number][1] is Free.ENDING:
            continue  # CONCURRENT_TRANSACTIONS: its marker comes first.
        is_taken = rules.is_fencing and (rules.fences_all or number == 0)
        after = fenced(state, number) if is_taken else state
        epochs = (*owner.epochs[:number], after.ids[number][0], *owner.epochs[number + 1 :])
        phase = Phase.WAITING if min(epochs) >= 0 else Phase.FENCING
        yield f"{reign} fences id {number}", with_owner(after, reign, owner._replace(epochs=epochs, phase=phase))
        if is_taken and state.faults < rules.faults:
            yield f"{reign} tries in vain to fence id {number}", lost(state, "fence", number, -1)


def _wait(state: State, rules: Rules, reign: int, owner: Owner) -> Iterator[Step]:
    undecided = [entry for entry in state.log if not entry.is_committed]
    if not undecided:
        turn = rules.ids - 1 if rules.begins_with_first else owner.turn  # Of the last batch that was sent.
        is_reading = rules.reads_back or not owner.is_crowned
        phase = Phase.READING if is_reading else Phase.READY
        yield f"{reign} sees that nothing is open", with_owner(state, reign, owner._replace(phase=phase, turn=turn))
    for entry in undecided:
        if entry.epoch < owner.epochs[entry.id] or not rules.spares_successors:
            yield f"{reign} aborts what hangs of id {entry.id}", without(state, entry.id, entry.epoch)
        elif state.ids[entry.id] != (entry.epoch, Free.OPEN) and state.ids[entry.id] != (entry.epoch + 1, Free.ENDING):
            # It hangs, and was begun after the own fence: the take-over times out, and its process starts again.
            yield f"{reign} waits in vain and starts again", with_owner(state, reign, started(rules))


def _read(state: State, rules: Rules, reign: int, owner: Owner) -> Owner:
    """What the tape says now, and whether the owner may go on with it."""
    log = visible(state.log, rules)
    known = Known()
    for entry in log:
        known = _after(known, entry, rules)
    if not rules.holds_position_in_events:
        known = known._replace(position=state.hint)
    if not owner.term:
        return owner._replace(phase=Phase.READY, known=known, term=known.term + 1)
    was = owner.known
    is_apart = was.sequence >= 0 and (was.sequence >= len(log) or log[was.sequence].hash != was.hash)
    if known.term > owner.term or is_apart:
        return GONE  # Somebody reigned in between, or memory is ahead of the tape.
    is_crowned = owner.is_crowned
    if not is_crowned and known.sequence > was.sequence:
        if rules.knows_own_record and log[was.sequence + 1].reign != reign:
            return GONE  # A rival's first record stands where ours was to stand: the term is its.
        is_crowned = True
    return owner._replace(phase=Phase.READY, known=known, is_crowned=is_crowned, sent=None)


def _after(known: Known, entry: Entry, rules: Rules) -> Known:
    commands = known.commands
    if entry.position >= 0:
        commands |= {rules.commands[entry.position]}
    position = max(known.position, entry.position)
    return Known(entry.sequence, entry.hash, entry.term, position, commands)


def _next(owner: Owner, rules: Rules) -> int | None:
    """The position of the next command that needs a record; -1 for the first record of a reign."""
    if not owner.is_crowned:
        return -1
    position = owner.known.position + 1
    while position < len(rules.commands):
        if not rules.knows_commands or rules.commands[position] not in owner.known.commands:
            return position
        position += 1
    return None


def _send(state: State, rules: Rules, reign: int, owner: Owner) -> Iterator[Step]:
    if owner.is_cut and rules.looks_after_cuts:
        if all(entry.is_committed for entry in state.log):
            yield f"{reign} sees that its last batch stands", with_owner(state, reign, owner._replace(is_cut=False))
        else:
            yield f"{reign} doubts its last batch", with_owner(state, reign, unclear(owner))
        return
    position = _next(owner, rules)
    if position is None:
        return
    number = (owner.turn + 1) % rules.ids
    known, epoch = owner.known, owner.epochs[number]
    batch = Entry(False, known.sequence + 1, known.hash, owner.term, position, reign, number, epoch)
    sending = owner._replace(phase=Phase.SENT, turn=number, sent=batch)
    hinted = state if position < 0 or rules.holds_position_in_events else state._replace(hint=position)
    told = f"{reign} sends sequence {batch.sequence}"
    if state.ids[number][0] != epoch:
        yield f"{told} and is refused", with_owner(state, reign, GONE)
    elif state.ids[number][1] is not Free.ENDING:
        yield told, with_owner(produced(hinted, batch), reign, sending)
    if state.faults < rules.faults:
        under_way = lost(hinted, "produce", number, epoch, batch)
        yield f"{told} and hears nothing", with_owner(under_way, reign, unclear(sending))


def _end(state: State, rules: Rules, reign: int, owner: Owner) -> Iterator[Step]:
    number, sent = owner.turn, owner.sent
    assert sent is not None
    if owner.is_cut and rules.looks_after_cuts:
        yield f"{reign} has lost its connection before it ends", with_owner(state, reign, unclear(owner))
        return
    epoch = owner.epochs[number]
    epochs = (*owner.epochs[:number], epoch + 1, *owner.epochs[number + 1 :])
    clear = owner._replace(
        phase=Phase.READY, epochs=epochs, known=_after(owner.known, sent, rules), is_crowned=True, sent=None
    )
    told = f"{reign} ends sequence {sent.sequence}"
    if state.ids[number][0] != epoch:
        yield f"{told} and is refused", with_owner(state, reign, GONE)
    elif state.ids[number][1] is Free.OPEN:
        yield told, with_owner(ended(state, number, epoch), reign, clear)
    else:
        yield f"{told} and is told of no transaction", with_owner(state, reign, unclear(owner))
    if state.faults < rules.faults:
        then = unclear(owner) if rules.doubts_lost_ends else clear
        yield f"{told} and hears nothing", with_owner(lost(state, "end", number, epoch), reign, then)
