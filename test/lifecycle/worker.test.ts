import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  awsFleetWaits,
  bootFailed,
  boots,
  claim,
  dispatch,
  dispatched,
  endSent,
  free,
  giveBack,
  goes,
  isMember,
  isOwnedBy,
  leaves,
  lookOrder,
  quarantine,
  register,
  returning,
  type WorkerDecision,
} from '../../lifecycle/worker.ts';
import { because } from '../../schemas/reason.ts';
import type { WorkerOwner } from '../../schemas/ssm-command.ts';
import { type Worker, type WorkerState, worker as workerSchema, workerStates } from '../../schemas/worker.ts';
import { aTaskId, at } from '../builders.ts';

const ID = 'i-0abcdef1234567890';
const fleet = 'builders';
const reason = because('end_unproven', 'Something is left.');
const red: WorkerOwner = { taskId: aTaskId('red'), attempt: 1 };
const green: WorkerOwner = { taskId: aTaskId('green'), attempt: 1 };
const base = { worker: ID, fleet, since: at(0) };
const lapses = at(awsFleetWaits.CLAIM_EXPIRY_S);

/** A worker in each state, of `red` where it has an owner. */
const states: { readonly [S in WorkerState]: Worker } = {
  booting: { ...base, state: 'booting' },
  idle: { ...base, state: 'idle' },
  claimed: { ...base, state: 'claimed', owner: red, claimedAt: at(0), expiresAt: lapses },
  dispatching: { ...base, state: 'dispatching', owner: red, claimedAt: at(0) },
  dispatched: { ...base, state: 'dispatched', owner: red, claimedAt: at(0), commandId: 'c-1', dispatchedAt: at(0) },
  returning: { ...base, state: 'returning', owner: red, claimedAt: at(0), commandId: 'c-1', endTries: 0 },
  quarantined: { ...base, state: 'quarantined', owner: red, reason },
  gone: { ...base, state: 'gone', owner: red, reason },
};

type Decide = (worker: Worker, owner: WorkerOwner, when: string) => WorkerDecision<string>;
const requests = {
  register: (worker, _owner, when) => register(worker, { worker: ID, fleet, at: when }),
  boots: (worker, _owner, when) => boots(worker, { worker: ID, fleet, at: when }),
  bootFailed: (worker, _owner, when) => bootFailed(worker, { worker: ID, fleet, at: when, reason }),
  claim: (worker, owner, when) => claim(worker, { owner, at: when }, awsFleetWaits),
  dispatch: (worker, owner, when) => dispatch(worker, { owner, at: when }, awsFleetWaits),
  dispatched: (worker, owner, when) => dispatched(worker, { owner, at: when, commandId: 'c-1' }),
  returning: (worker, owner, when) => returning(worker, { owner, at: when }),
  endSent: (worker, owner, when) => endSent(worker, { owner, at: when, commandId: 'e-1' }),
  free: (worker, owner, when) => free(worker, { owner, at: when }),
  giveBack: (worker, owner, when) => giveBack(worker, { owner, at: when }),
  quarantine: (worker, owner, when) => quarantine(worker, { owner, at: when, reason }),
  leaves: (worker, _owner, when) => leaves(worker, { at: when, reason }),
  goes: (worker, _owner, when) => goes(worker, { at: when, reason }),
} as const satisfies Record<string, Decide>;
type Request = keyof typeof requests;

const told = (request: Request, state: WorkerState, owner: WorkerOwner, when = at(1)): string => {
  const { answer, next } = requests[request](states[state], owner, when);
  return next ? `${answer} ${next.state}` : answer;
};
const row = (request: Request, owner: WorkerOwner, when?: string) =>
  Object.fromEntries(workerStates.map((state) => [state, told(request, state, owner, when)]));

describe('a worker', () => {
  // B5
  it('is claimed when it is idle, again by its owner, and by nobody else', () => {
    const taken = 'taken';
    const others = { booting: taken, dispatching: taken, dispatched: taken, returning: taken, quarantined: taken };
    expect(row('claim', green)).toEqual({ ...others, idle: 'claimed claimed', claimed: taken, gone: taken });
    expect(row('claim', red)).toEqual({ ...others, idle: 'claimed claimed', claimed: 'claimed claimed', gone: taken });
  });

  // F11: claim expiry covers only claim to dispatch.
  it('is claimed by another when nothing was sent in time, and never once something may have been', () => {
    for (const state of workerStates) {
      const claimed = state === 'idle' || state === 'claimed';
      expect(told('claim', state, green, lapses)).toBe(claimed ? 'claimed claimed' : 'taken');
      expect(told('claim', state, green, at(9_999_999))).toBe(claimed ? 'claimed claimed' : 'taken');
    }
  });

  it('takes a command of its owner once: whoever comes second knows that one may have been sent', () => {
    expect(row('dispatch', red)).toEqual({
      booting: 'lost',
      idle: 'lost',
      claimed: 'send dispatching',
      dispatching: 'wait',
      dispatched: 'sent',
      returning: 'lost',
      quarantined: 'lost',
      gone: 'lost',
    });
    expect(told('dispatch', 'dispatching', red, at(awsFleetWaits.DISPATCH_DOUBT_S))).toBe('look dispatching');
    for (const state of workerStates) expect(told('dispatch', state, green)).toBe('lost');
    expect(dispatch(undefined, { owner: red, at: at(1) }, awsFleetWaits)).toEqual({ answer: 'lost' });
  });

  it('knows the command that was sent, and every other one for a duplicate', () => {
    expect(row('dispatched', red)).toEqual({
      booting: 'over',
      idle: 'over',
      claimed: 'over',
      dispatching: 'noted dispatched',
      dispatched: 'already',
      returning: 'over',
      quarantined: 'over',
      gone: 'over',
    });
    const other = { owner: red, at: at(1), commandId: 'c-2' };
    expect(dispatched(states.dispatched, other)).toEqual({ answer: 'duplicate' });
    for (const state of workerStates) expect(told('dispatched', state, green)).toBe('over');
  });

  // B10
  it('is freed for its owner alone, and a second time without effect', () => {
    const already = 'already';
    expect(row('free', red)).toEqual({
      booting: already,
      idle: already,
      claimed: 'freed idle',
      dispatching: 'freed idle',
      dispatched: 'freed idle',
      returning: 'freed idle',
      quarantined: already,
      gone: already,
    });
    for (const state of workerStates) expect(told('free', state, green)).toBe(already);
    for (const state of workerStates) expect(told('free', state, { ...red, attempt: 2 })).toBe(already);
    expect(free(undefined, { owner: red, at: at(1) })).toEqual({ answer: already });
  });

  it('is given back unused only as long as nothing may have been sent', () => {
    for (const state of workerStates) {
      expect(told('giveBack', state, red)).toBe(state === 'claimed' ? 'freed idle' : 'already');
      expect(told('giveBack', state, green)).toBe('already');
    }
  });

  it('remembers whom it was freed for, so that late words are known', () => {
    expect(free(states.dispatched, { owner: red, at: at(1), exitCode: 3 }).next).toEqual({
      ...base,
      since: at(1),
      state: 'idle',
      last: { ...red, commandId: 'c-1', at: at(1), exitCode: 3 },
    });
  });

  it('returns by a proof only: asked to end, it stays with its owner', () => {
    expect(row('returning', red)).toEqual({
      booting: 'not_owned',
      idle: 'not_owned',
      claimed: 'unsent idle',
      dispatching: 'returning returning',
      dispatched: 'returning returning',
      returning: 'returning',
      quarantined: 'not_owned',
      gone: 'not_owned',
    });
    expect(returning(states.dispatched, { owner: red, at: at(1) }).next).toMatchObject({ commandId: 'c-1' });
    expect(told('endSent', 'returning', red)).toBe('noted returning');
    for (const state of workerStates) if (state !== 'returning') expect(told('endSent', state, red)).toBe('over');
  });

  it('without proof is quarantined, by its owner or by what was seen of it', () => {
    const already = 'already';
    expect(row('quarantine', red)).toEqual({
      booting: 'not_owned',
      idle: 'not_owned',
      claimed: 'quarantined quarantined',
      dispatching: 'quarantined quarantined',
      dispatched: 'quarantined quarantined',
      returning: 'quarantined quarantined',
      quarantined: already,
      gone: already,
    });
    for (const state of workerStates) {
      expect(told('quarantine', state, green)).toBe(
        state === 'quarantined' || state === 'gone' ? already : 'not_owned',
      );
    }
    expect(quarantine(states.idle, { at: at(1), reason }).next).toMatchObject({ state: 'quarantined' });
    expect(quarantine(states.returning, { at: at(1), reason }).next).toMatchObject({ owner: red });
  });

  // B39
  it('that is gone keeps the owner whose run ended with it', () => {
    for (const state of workerStates) expect(told('goes', state, red)).toBe(state === 'gone' ? 'already' : 'gone gone');
    expect(goes(states.dispatched, { at: at(1), reason }).next).toMatchObject({ owner: red });
    expect(goes(states.idle, { at: at(1), reason }).next).not.toHaveProperty('owner');
    expect(goes(undefined, { at: at(1), reason })).toEqual({ answer: 'already' });
  });

  it('joins its fleet by saying that it is ready, and does not come back by saying so', () => {
    expect(row('register', red)).toEqual({
      booting: 'registered idle',
      idle: 'already',
      claimed: 'already',
      dispatching: 'already',
      dispatched: 'already',
      returning: 'already',
      quarantined: 'refused',
      gone: 'refused',
    });
    expect(register(undefined, { worker: ID, fleet, at: at(1) })).toMatchObject({ answer: 'registered' });
    expect(register(states.idle, { worker: ID, fleet: 'others', at: at(1) })).toEqual({ answer: 'refused' });
  });

  // B21
  it('whose boot failed is out, unless it was ready before: then it is not true', () => {
    expect(bootFailed(undefined, { worker: ID, fleet, at: at(1), reason }).next).toMatchObject({
      state: 'quarantined',
    });
    expect(told('bootFailed', 'booting', red)).toBe('quarantined quarantined');
    for (const state of ['idle', 'claimed', 'dispatching', 'dispatched', 'returning'] as const) {
      expect(told('bootFailed', state, red)).toBe('refused');
    }
    expect(bootFailed(states.booting, { worker: ID, fleet: 'others', at: at(1), reason })).toEqual({
      answer: 'refused',
    });
  });

  it('that will be taken away ends what it does, and gets nothing new', () => {
    expect(told('leaves', 'idle', red)).toBe('left quarantined');
    const left = leaves(states.dispatched, { at: at(1), reason }).next ?? states.idle;
    expect(left).toMatchObject({ state: 'dispatched', owner: red, claimedAt: at(0) });
    expect(free(left, { owner: red, at: at(2) }).next).toMatchObject({ state: 'quarantined', reason });
    const claimed = leaves(states.claimed, { at: at(1), reason }).next ?? states.idle;
    expect(dispatch(claimed, { owner: red, at: at(2) }, awsFleetWaits)).toEqual({ answer: 'lost' });
    expect(claim(claimed, { owner: green, at: lapses }, awsFleetWaits)).toEqual({ answer: 'taken' });
  });

  it('whose claim has lapsed leaves at once: nobody comes to give it back', () => {
    expect(leaves(states.claimed, { at: lapses, reason })).toMatchObject({
      answer: 'left',
      next: { state: 'quarantined' },
    });
  });

  it('counts as a place of its fleet unless it is not there yet, not any more, or not to be used', () => {
    const members = workerStates.filter((state) => isMember(states[state]));
    expect(members).toEqual(['idle', 'claimed', 'dispatching', 'dispatched', 'returning']);
  });
});

describe('whatever is asked, in whatever order', () => {
  interface Asked {
    readonly request: Request;
    readonly owner: WorkerOwner;
    readonly wait: number;
  }
  const asked = fc.record<Asked>({
    request: fc.constantFrom(...(Object.keys(requests) as Request[])),
    owner: fc.constantFrom(red, green, { ...red, attempt: 2 }),
    wait: fc.constantFrom(0, 1, 30, awsFleetWaits.CLAIM_EXPIRY_S),
  });

  // B5, promise 6
  it('a worker passes from one attempt to another by a proof or a claim that lapsed, and its record stays whole', async () => {
    await fc.assert(
      fc.property(fc.array(asked, { maxLength: 40 }), (all) => {
        let now: Worker = states.idle;
        let seconds = 0;
        for (const { request, owner, wait } of all) {
          seconds += wait;
          const decided = requests[request](now, owner, at(seconds));
          const next = decided.next ?? now;
          expect(workerSchema.parse(JSON.parse(JSON.stringify(next)))).toEqual(next);
          const before = 'owner' in now ? now.owner : undefined;
          const holds = before !== undefined && isOwnedBy(now, before);
          if (holds && !isOwnedBy(next, before)) {
            const lapsed = now.state === 'claimed' && now.expiresAt <= at(seconds);
            const proven = ['free', 'giveBack', 'returning'].includes(request) && owner === before;
            const out = next.state === 'quarantined' || next.state === 'gone';
            expect(proven || out || (lapsed && request === 'claim')).toBe(true);
          }
          if (now.state === 'quarantined' || now.state === 'gone') expect(isMember(next)).toBe(false);
          now = next;
        }
      }),
      { numRuns: 500 },
    );
  });

  it('one command at the most may be sent for each claim', async () => {
    await fc.assert(
      fc.property(fc.array(asked, { maxLength: 40 }), (all) => {
        let now: Worker = states.idle;
        let seconds = 0;
        let open = false;
        for (const { request, owner, wait } of all) {
          seconds += wait;
          const { next, answer } = requests[request](now, owner, at(seconds));
          if (request === 'claim' && next) open = true;
          if (answer === 'send') {
            expect(open).toBe(true);
            open = false;
          }
          now = next ?? now;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the look for a worker', () => {
  const workers = ['i-00000003', 'i-00000001', 'i-00000002'];

  it('sees each once, beginning somewhere else for each attempt and at the same place for the same', () => {
    const orders = Array.from({ length: 40 }, (_, attempt) => lookOrder(workers, { ...red, attempt }));
    for (const order of orders) expect([...order].sort()).toEqual([...workers].sort());
    expect(new Set(orders.map(([first]) => first)).size).toBe(3);
    expect(lookOrder(workers, red)).toEqual(lookOrder([...workers].reverse(), red));
    expect(lookOrder([], red)).toEqual([]);
  });
});
