import { describe, expect, it } from '@jest/globals';
import { beats, lookAtLife, type SeenLife } from '../../lifecycle/life-signs.ts';
import { awsTimings, contradictionIn, embeddedTimings } from '../../lifecycle/timings.ts';
import { compute } from '../../schemas/compute.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import { aClaim, aReport, aRunRecord, at } from '../builders.ts';

const WAITS = { START_CHECK_S: 300, HEARTBEAT_SILENCE_S: 90 };
const claimed = (fields: Partial<RunRecord> = {}) => aRunRecord({ claim: aClaim(), ...fields });
/** Of a run that was dispatched at `at(0)`. */
const look = (record: RunRecord | undefined, life: SeenLife | undefined, when: string) =>
  lookAtLife({ dispatchedAt: at(0), ...(life ? { life } : {}) }, record, when, WAITS);

/** Of one whose signs never change any more. */
const SILENT = claimed({ heartbeatAt: at(10) });
const lookedAt = (seconds: readonly number[]) =>
  seconds.reduce<SeenLife | undefined>((seen, second) => look(SILENT, seen, at(second)).seen, undefined);

// B34
describe('who beats', () => {
  it('is who runs where nothing is told, and nobody else', () => {
    expect(compute.options.filter((name) => beats({ compute: name }))).toEqual(['agentcore']);
  });
});

describe('a run that has claimed', () => {
  it('is alive when it is seen for the first time, whatever its own clock says', () => {
    const behind = claimed({ heartbeatAt: '1999-01-01T00:00:00.000Z' });
    expect(look(behind, undefined, at(1_000)).life).toBe('alive');
  });

  // F14
  it('is alive as long as its beats change, although its clock stands or runs backwards', () => {
    let seen: SeenLife | undefined;
    for (let beat = 0; beat < 10; beat++) {
      const record = claimed({ heartbeatAt: at(1_000 - beat) });
      const looked = look(record, seen, at(beat * 60));
      expect(looked.life).toBe('alive');
      seen = looked.seen;
    }
  });

  it('is silent when nothing changed for as long as it may be silent, counted from when the last sign was first seen', () => {
    const seen = lookedAt([20, 50, 80]);
    expect(look(SILENT, seen, at(20 + 89))).toMatchObject({ life: 'alive', seen: { at: at(20) } });
    expect(look(SILENT, seen, at(20 + 90))).toMatchObject({ life: 'silent', seen: { at: at(20) } });
  });

  // A laptop that slept: its runner slept as well.
  it('is not silent before three more looks found the same, however long nobody could look', () => {
    expect(look(SILENT, lookedAt([20]), at(9_000)).life).toBe('alive');
    expect(look(SILENT, lookedAt([20, 9_000]), at(9_025)).life).toBe('alive');
    expect(look(SILENT, lookedAt([20, 9_000, 9_025]), at(9_050)).life).toBe('silent');
  });

  it.each([
    ['a heartbeat', { heartbeatAt: at(15) }],
    ['a confirmation', { confirmedAt: at(15) }],
    ['saved work', { savedWork: { branch: 'b', commit: 'c' } }],
    ['its claim', { claim: { ...aClaim(), at: at(15) } }],
  ])('shows life by %s', (_, sign) => {
    const seen = lookedAt([20, 200, 400, 500]);
    expect(look(SILENT, seen, at(600)).life).toBe('silent');
    expect(look({ ...SILENT, ...sign }, seen, at(600))).toMatchObject({ life: 'alive', seen: { at: at(600) } });
  });
});

// Its words come by events, some of them late: the runner itself may be long dead.
it.each([
  ["its agent's first word", { firstOutputAt: at(15) }],
  ['progress', { progress: { seq: 4, at: at(15), text: 'x' } }],
])('life is not shown by %s', (_, word) => {
  expect(look({ ...SILENT, ...word }, lookedAt([20, 200, 400, 500]), at(600)).life).toBe('silent');
});

// Every second at which a run can die between two looks, with alarms that ring late: by the seconds that SQS may take, each time.
describe('the waits', () => {
  it.each([
    ['for AWS', awsTimings],
    ['for one machine', embeddedTimings],
  ])('%s take no healthy run for dead', (_, timings) => {
    expect(contradictionIn(timings)).toBeUndefined();
  });
});

describe('the waits of AgentCore', () => {
  const { LIFE_LOOK_S, HEARTBEAT_S, HEARTBEAT_SILENCE_S } = awsTimings;

  it.each([0, 1, 2, 4])('find every dead run within 120 s of its last sign of life, with alarms %i s late', (late) => {
    for (let lastSign = 0; lastSign < 2 * (LIFE_LOOK_S + late); lastSign++) {
      const known = secondsUntilKnown({ lastSign, late });
      expect(known).toBeGreaterThanOrEqual(HEARTBEAT_SILENCE_S);
      expect(known).toBeLessThanOrEqual(120);
    }
  });

  it('let two beats in a row be lost, the third come late, and still call nobody dead', () => {
    expect(HEARTBEAT_SILENCE_S).toBeGreaterThan(3 * HEARTBEAT_S);
    expect(embeddedTimings.HEARTBEAT_SILENCE_S).toBeGreaterThan(3 * embeddedTimings.HEARTBEAT_S);
  });
});

/** A run beats until `lastSign` and is looked at as a task is: each look `LIFE_LOOK_S` after the one before, or as late as its alarm. */
function secondsUntilKnown({ lastSign, late }: { lastSign: number; late: number }): number {
  const { LIFE_LOOK_S, HEARTBEAT_S } = awsTimings;
  let life: SeenLife | undefined;
  for (let now = LIFE_LOOK_S + late; ; now += LIFE_LOOK_S + late) {
    // The beat that is the last one at this moment; they come from `lastSign` backwards.
    const beats = Math.ceil(Math.max(0, lastSign - now) / HEARTBEAT_S);
    const looked = lookAtLife(
      { dispatchedAt: at(0), ...(life ? { life } : {}) },
      claimed({ heartbeatAt: at(lastSign - beats * HEARTBEAT_S) }),
      at(now),
      awsTimings,
    );
    if (looked.life === 'silent') return now - lastSign;
    life = looked.seen;
  }
}

describe('a run that nobody has claimed', () => {
  it.each([
    ['has a record', aRunRecord()],
    // Not yet, or it could not be read.
    ['has none', undefined],
  ])('starts, until it has had time enough since its dispatch: it %s', (_, record) => {
    const { seen } = look(record, look(record, look(record, undefined, at(10)).seen, at(20)).seen, at(30));
    expect(look(record, seen, at(299)).life).toBe('starting');
    expect(look(record, seen, at(300)).life).toBe('silent');
  });

  it('starts, until three looks after the first found nothing: a laptop may have slept since the dispatch', () => {
    const { seen } = look(aRunRecord(), undefined, at(10));
    expect(look(aRunRecord(), seen, at(9_000)).life).toBe('starting');
  });

  it('has all the time of a claimant from its claim on', () => {
    const { seen } = look(aRunRecord(), undefined, at(290));
    expect(look(claimed(), seen, at(310)).life).toBe('alive');
    expect(look(claimed(), look(claimed(), seen, at(310)).seen, at(310 + 89)).life).toBe('alive');
  });
});

describe('a run of which nothing is waited for', () => {
  it.each([
    ['has reported', { report: aReport() }],
    ['may not claim any more', { noClaim: true }],
    ['is closed', { closed: true }],
  ])('is over: it %s', (_, fields) => {
    expect(look(claimed({ heartbeatAt: at(10), ...fields }), undefined, at(10)).life).toBe('over');
    expect(look(aRunRecord(fields), undefined, at(0)).life).toBe('over');
  });
});
