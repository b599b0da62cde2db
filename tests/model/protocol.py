"""The commit protocol as a state machine, small enough to be searched completely.

Written from docs/explanation/commit-protocol.md, not from the sink: two processes that may both be
alive and own the same partitions, a crash at every step, store requests that land late or never,
and a verdict (row or dead letter) that may differ each time a record is read again.

What is left out, and why nothing is lost by it:

- Loading a table, the conflict check and the PUT are one step. A commit that names one of our
  partitions in between makes ours fail, which is the same as not having started; any other changes
  nothing that we read.
- A PUT that a live writer waits for is decided when it lands. A PUT that outlives its writer
  (crash, time-out) stays in a slot. One slot per table is enough: two such PUTs aim at the same
  version, so at most one of them ever lands, and the search follows each choice.
- Version numbers and epochs are kept as what they are compared for: "has anyone named p since my
  base" and "has anyone fenced p since my fence". So the number of restarts needs no bound.
- Reading and judging records touches no table, so a batch is chosen at its first commit.
"""

from __future__ import annotations

import itertools
from functools import cache

from tests.model.world import (
    DATA,
    DEAD,
    DOWN,
    FENCE,
    GONE,
    NAMES,
    NOTHING,
    ROWS,
    USURPING,
    Change,
    Claim,
    Commit,
    Part,
    State,
    Step,
    Steps,
    Variant,
    Writer,
)


def initial(v: Variant) -> State:
    """Two empty tables, nobody alive, nothing on the wire."""
    return State((Part(),) * v.partitions, (DOWN,) * v.writers, (NOTHING, NOTHING))


def successors(v: Variant, state: State) -> Steps:
    """Every step that the world can take next."""
    for table in (DATA, DEAD):
        put = state.late[table - 1]
        if put.changes:
            yield ("a late PUT lands in", -1, (NAMES[table],)), _land(state, table, put, -1)
    for w, writer in enumerate(state.writers):
        if writer.done < 0:
            yield from _start(v, state, w)
        else:
            yield ("crashes, or gives up", w, ()), _with_writer(state, w, DOWN)
            yield from _go_on(v, state, w)


def _start(v: Variant, state: State, w: int) -> Steps:
    """A process comes up, or begins anew, and is given any of the partitions."""
    for owned in range(1, 1 << v.partitions):
        claims = tuple(Claim(owned=owned >> p & 1) for p in range(v.partitions))
        yield from _claim(v, _with_writer(state, w, Writer(0, claims)), w)


def _go_on(v: Variant, state: State, w: int) -> Steps:
    writer = state.writers[w]
    if writer.done < v.ready:
        yield from _claim(v, state, w)
        return
    yield from _batch(v, state, w) if writer.done == v.ready else _second_half(v, state, w)
    if v.refresh == "silent":
        fresh = Writer(writer.done, tuple(c._replace(moved=0) for c in writer.claims))
        yield ("refreshes its handles", w, ()), _with_writer(state, w, fresh)


def _claim(v: Variant, state: State, w: int) -> Steps:
    """The next step of A1 to A3."""
    done, claims = state.writers[w]
    action, table = v.claim[done]
    label: Step = (
        f"{action}s {NAMES[table]} of",
        w,
        tuple(p for p, c in enumerate(claims) if c.owned),
    )
    if action == "recheck":
        if not any(c.fenced & table for c in claims):
            yield label, _with_writer(state, w, Writer(done + 1, claims))
        return
    seen = tuple(_read(c, part, table) for c, part in zip(claims, state.parts, strict=True))
    loaded = _with_writer(state, w, Writer(done + 1, seen))
    if action == "load":
        yield label, loaded
        return
    heights = (part.h_data if table == DATA else part.h_dead for part in state.parts)
    changes = (Change(h if c.owned else -1) for h, c in zip(heights, claims, strict=True))
    yield from _send(loaded, table, Commit(FENCE, tuple(changes)), label)


def _read(claim: Claim, part: Part, table: int) -> Claim:
    """What a writer learns from one table at the snapshot of its fence [A1, A2, A4]."""
    if not claim.owned:
        return claim
    clean = claim._replace(moved=claim.moved & ~table, fenced=claim.fenced & ~table)
    if table == DATA:
        return clean._replace(h_data=part.h_data)
    above = part.dead >> claim.h_data << claim.h_data
    return clean._replace(h_dead=part.h_dead, held=above if part.h_dead > claim.h_data else 0)


def _batch(v: Variant, state: State, w: int) -> Steps:
    """Choose a batch with its verdicts and write its first half [B1 to B3, or B4 alone]."""
    claims = state.writers[w].claims
    options = (
        _readings(v, c.h_data, c.h_dead, c.held) if c.owned else ((0, 0, 0),) for c in claims
    )
    for choice in itertools.product(*options):
        batch = list(zip(claims, choice, strict=True))
        if all(upto <= c.h_data for c, (upto, _, _) in batch):
            continue
        some_dead = any(dead for _, _, dead in choice)
        table = v.first if some_dead else DATA
        now = tuple(dead if table == DEAD else rows for _, rows, dead in choice)
        after = (
            c._replace(upto=upto, rows=rows if table == DEAD else dead)
            for c, (upto, rows, dead) in batch
        )
        writer = Writer(v.half if some_dead else v.ready, tuple(after))
        yield from _write(v, _with_writer(state, w, writer), w, table, now)


@cache
def _readings(v: Variant, since: int, h_dead: int, held: int) -> tuple[tuple[int, int, int], ...]:
    """Every (upto, rows, dead) that reading the offsets from `since` on can give [B2]."""
    found = []
    for upto in range(since, v.offsets + 1):
        window = (1 << upto) - (1 << since)
        if v.hold_back == "membership":
            window &= ~held
        for verdict in range(1 << v.offsets) if v.verdicts is None else (v.verdicts,):
            dead = window & verdict
            if v.hold_back == "below h_dead":
                dead = dead >> h_dead << h_dead
            found.append((upto, window & ~verdict, dead))
    return tuple(dict.fromkeys(found))


def _second_half(v: Variant, state: State, w: int) -> Steps:
    claims = state.writers[w].claims
    writer = Writer(v.ready, tuple(c._replace(rows=0) for c in claims))
    table = DATA if v.first == DEAD else DEAD
    yield from _write(v, _with_writer(state, w, writer), w, table, tuple(c.rows for c in claims))


def _write(v: Variant, state: State, w: int, table: int, rows: tuple[int, ...]) -> Steps:
    """One commit of rows on the held handle: it is refused if a named partition has moved [B0]."""
    done, claims = state.writers[w]
    named = [bool(c.owned) and (v.names == "owned" or c.upto > c.h_data) for c in claims]
    if any(c.moved & table for c, n in zip(claims, named, strict=True) if n):
        return
    usurping = any(c.fenced & table for c, n in zip(claims, named, strict=True) if n)
    changes = tuple(
        Change(_height(c, table), r) if n else Change()
        for c, n, r in zip(claims, named, rows, strict=True)
    )
    after = tuple(_advanced(c, table) if c.owned else c for c in claims)
    if done == v.ready:
        after = tuple(_settled(c) if c.owned else c for c in after)
    commit = Commit(USURPING if usurping else ROWS, changes)
    label: Step = (f"writes {NAMES[table]}:", w, tuple(tuple(change) for change in changes))
    yield from _send(_with_writer(state, w, Writer(done, after)), table, commit, label)


def _height(c: Claim, table: int) -> int:
    if c.upto <= c.h_data:  # no news: h as it was
        return c.h_data if table == DATA else c.h_dead
    return c.upto if table == DATA else max(c.h_dead, c.upto)


def _advanced(c: Claim, table: int) -> Claim:
    """The claim after its own commit: the handle stands at that version, whatever lay between."""
    h_dead = _height(c, table) if table == DEAD else c.h_dead
    return c._replace(moved=c.moved & ~table, h_dead=h_dead)


def _settled(c: Claim) -> Claim:
    return c._replace(h_data=c.upto, held=c.held >> c.upto << c.upto, upto=0, rows=0)


def _send(state: State, table: int, commit: Commit, label: Step) -> Steps:
    """A PUT that lands now, or one that outlives its writer."""
    what, w, detail = label
    yield label, _land(state, table, commit, w)
    late = tuple(
        commit if t == table else put for t, put in zip((DATA, DEAD), state.late, strict=True)
    )
    orphan = _with_writer(state._replace(late=late), w, DOWN)
    yield (f"{GONE}{what}", w, detail), orphan


def _land(state: State, table: int, commit: Commit, author: int) -> State:
    """The log entry exists: rows and heights change, and everybody else's base is behind it."""
    parts = (
        _grown(part, table, commit.kind, change) if change.h >= 0 else part
        for part, change in zip(state.parts, commit.changes, strict=True)
    )
    writers = (
        writer if w == author or writer.done < 0 else _behind(writer, table, commit)
        for w, writer in enumerate(state.writers)
    )
    late = (NOTHING if t == table else put for t, put in zip((DATA, DEAD), state.late, strict=True))
    return State(tuple(parts), tuple(writers), tuple(late))


def _grown(part: Part, table: int, kind: int, change: Change) -> Part:
    twice = part.twice | change.rows & (part.data | part.dead)
    usurped = part.usurped | (kind == USURPING)
    if table == DATA:
        return Part(change.h, part.h_dead, part.data | change.rows, part.dead, twice, usurped)
    return Part(part.h_data, change.h, part.data, part.dead | change.rows, twice, usurped)


def _behind(writer: Writer, table: int, commit: Commit) -> Writer:
    gone = table if commit.kind == FENCE else 0
    claims = (
        c._replace(moved=c.moved | table, fenced=c.fenced | gone)
        if c.owned and change.h >= 0
        else c
        for c, change in zip(writer.claims, commit.changes, strict=True)
    )
    return Writer(writer.done, tuple(claims))


def _with_writer(state: State, w: int, writer: Writer) -> State:
    writers = tuple(writer if at == w else other for at, other in enumerate(state.writers))
    return State(state.parts, writers, state.late)
