import { describe, expect, it } from '@jest/globals';
import { isOver, rankText, readRunEnd, SSM_STATUSES, ssmStatusOf } from '../../lifecycle/ssm-status.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { HOST_EXIT } from '../../schemas/ssm-command.ts';

// B17: every status of commands, of invocations, and of their details, as the API writes it and as its text spells it.
type Row = [spelt: string, spaced: string, means: string, code: string | undefined];
const rows: readonly Row[] = [
  ['Pending', 'Pending', 'starting', undefined],
  ['Delayed', 'Delayed', 'starting', undefined],
  ['InProgress', 'In Progress', 'running', undefined],
  ['Cancelling', 'Cancelling', 'running', undefined],
  ['Success', 'Success', 'ended', undefined],
  ['Failed', 'Failed', 'ended', undefined],
  ['Cancelled', 'Cancelled', 'lost', 'stopped_outside'],
  ['TimedOut', 'Timed Out', 'lost', 'worker_unreachable'],
  ['DeliveryTimedOut', 'Delivery Timed Out', 'lost', 'worker_unreachable'],
  ['ExecutionTimedOut', 'Execution Timed Out', 'lost', 'ran_too_long'],
  ['Undeliverable', 'Undeliverable', 'lost', 'worker_unreachable'],
  ['Terminated', 'Terminated', 'lost', 'stopped_outside'],
  ['AccessDenied', 'Access Denied', 'lost', 'command_refused'],
  ['InvalidPlatform', 'Invalid Platform', 'lost', 'command_refused'],
  ['Incomplete', 'Incomplete', 'lost', 'worker_unreachable'],
  ['RateExceeded', 'Rate Exceeded', 'lost', 'start_throttled'],
  ['NoInstancesInTag', 'No Instances In Tag', 'lost', 'worker_unreachable'],
];

describe('a status of Systems Manager', () => {
  it.each(rows)('%s, also spelt "%s", means that a run is %s', (spelt, spaced, means, code) => {
    for (const one of [spelt, spaced, spaced.toLowerCase(), spelt.toUpperCase()]) {
      expect(ssmStatusOf(one)).toMatchObject({ means, ...(code ? { code } : {}) });
    }
  });

  it('is in the table with a row of this test, and no other is', () => {
    expect(Object.keys(SSM_STATUSES).sort()).toEqual(rows.map(([spelt]) => spelt.toLowerCase()).sort());
  });

  it('that is not known means nothing', () => {
    for (const strange of ['Quiesced', '', 'constructor', 'toString', '__proto__', 'Success!']) {
      expect(ssmStatusOf(strange)).toBeUndefined();
    }
  });

  it('has a place in the order of its command: nothing comes behind an end', () => {
    const rankOf = (name: string) => ssmStatusOf(name)?.rank ?? 0;
    const order = ['Pending', 'Delayed', 'InProgress', 'Cancelling', 'Success'].map(rankOf);
    expect([...order].sort((a, b) => a - b)).toEqual(order);
    expect(new Set(order).size).toBe(order.length);
    for (const status of Object.values(SSM_STATUSES)) {
      expect(isOver(status)).toBe(status.means === 'ended' || status.means === 'lost');
    }
  });

  it('has words for people, the same for all of its rank and for no other', () => {
    const ranks = new Set(Object.values(SSM_STATUSES).map(({ rank }) => rank));
    const words = [...ranks].map(rankText);
    expect(new Set(words).size).toBe(ranks.size);
    expect(words).not.toContain(rankText(99));
  });

  it('names a reason wherever a run is lost by it', () => {
    for (const { means, code } of Object.values(SSM_STATUSES)) expect(code !== undefined).toBe(means === 'lost');
  });
});

describe('what the host exits with', () => {
  it.each([0, 1, 2, 64, 79, 137, 143])('is the end of the run, proven, where the runner chose it: %i', (exitCode) => {
    expect(readRunEnd(exitCode, 'x')).toMatchObject({ proof: 'proven', end: { kind: 'exited', exitCode } });
  });

  it('is no proof where something is left', () => {
    const end = { kind: 'lost', reason: { code: 'end_unproven' } };
    expect(readRunEnd(HOST_EXIT.unproven, 'x')).toMatchObject({ proof: 'unproven', end });
  });

  it.each([
    [HOST_EXIT.over, 'proven'],
    [HOST_EXIT.refused, 'unfit'],
    [HOST_EXIT.notStarted, 'unfit'],
  ])('proves that nothing ran: %i', (code, proof) => {
    const end = { kind: 'lost', reason: { code: 'never_started' } };
    expect(readRunEnd(code, 'x')).toMatchObject({ proof, end });
  });

  it.each([undefined, -1])('proves nothing where there is none: %s', (code) => {
    expect(readRunEnd(code, 'x')).toMatchObject({ proof: 'unknown', end: { kind: 'lost' } });
  });

  it('is never taken for a code of the runner, nor for the restart of the machine', () => {
    for (const code of Object.values(HOST_EXIT)) {
      expect(Object.values(RUNNER_EXIT) as number[]).not.toContain(code);
      expect(code).not.toBe(194);
    }
  });
});
