import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ControlPlane, Patience, RunEvent } from '../../agent/control-plane.ts';
import type { RecordStore, Runs } from '../../runtime/ports.ts';
import { runKey } from '../../schemas/record-keys.ts';
import type { RunPayload } from '../../schemas/run-payload.ts';
import { type RunRecord, runRecord } from '../../schemas/run-record.ts';
import { aClaim, aHandle, anArn, aReport, aRunRecord, aTaskId, at } from '../builders.ts';

/** A control plane as a runner sees it, and what stands behind it. */
export interface ControlPlaneUnderTest {
  /** For the runner that was given this payload reference, which only reading the payload needs. */
  of(payloadReference?: string): ControlPlane;
  /** The handlers' side of the same records. */
  readonly runs: Runs;
  readonly store: RecordStore;
  /** Keeps a text as a payload of the task; answers its reference. */
  keep(taskId: string, text: string): Promise<string>;
  /** What arrived on the bus, oldest first. */
  events(): readonly { readonly source: string; readonly type: string; readonly detail: unknown }[];
  close(): Promise<void>;
}

const taskId = aTaskId();
const runToken = 'the token of this very attempt';
const run = { taskId, attempt: 1, nativeId: anArn(), runToken };
const stranger = { ...run, nativeId: anArn('run-2') };
const impostor = { ...run, runToken: 'another token' };
const tokenHash = createHash('sha256').update(runToken).digest('hex');
const savedWork = { branch: `baton/${taskId}`, commit: 'abc' };

/** Longer than any answer takes on a busy machine. */
const patience: Patience = () => 20_000;

/** The promises that a runner relies on, wherever it runs. */
export function controlPlaneContract(name: string, open: () => Promise<ControlPlaneUnderTest>): void {
  describe(`a runner's control plane: ${name}`, () => {
    let scene: ControlPlaneUnderTest;
    let controlPlane: ControlPlane;
    beforeAll(async () => {
      scene = await open();
      controlPlane = scene.of();
    });
    afterAll(() => scene?.close());
    beforeEach(() => scene.store.delete(runKey(taskId, 1)));

    const has = (fields: Partial<RunRecord> = {}) =>
      scene.store.put(runKey(taskId, 1), aRunRecord({ tokenHash, ...fields }), 'any');
    const stored = async () => {
      const found = await scene.store.get(runKey(taskId, 1));
      return { revision: found?.revision ?? 0, record: runRecord.parse(found?.value) };
    };

    describe('the payload', () => {
      const payload: RunPayload = {
        schemaVersion: 1,
        taskId,
        attempt: 1,
        runToken,
        repository: '/srv/repository',
        branch: `baton/${taskId}`,
        prompt: 'Write a greeting 🥁\nand nothing else',
        agentCommand: 'agent',
        deadlineAt: at(3600),
      };
      const read = async (text: string) => {
        const reference = await scene.keep(taskId, text);
        return told(scene.of(reference).payload(reference, patience));
      };

      it('comes as it was kept', async () => {
        const reference = await scene.keep(taskId, JSON.stringify(payload));
        expect(await scene.of(reference).payload(reference, patience)).toEqual(payload);
      });

      it.each([
        ['is not JSON', 'nonsense'],
        ['lacks a field', JSON.stringify({ ...payload, repository: undefined })],
      ])('that %s is refused', async (_, text) => {
        expect(await read(text)).toBe('Refused');
      });

      it('is refused under an unknown reference', async () => {
        expect(await told(scene.of(`${taskId}.guessed`).payload(`${taskId}.guessed`, patience))).toBe('Refused');
      });
    });

    describe('the fence', () => {
      const claim = aClaim();
      type Row = [situation: string, record: Partial<RunRecord> | undefined, who: typeof run, answers: string];
      it.each<Row>([
        ['nobody has claimed', {}, run, 'claimed Fenced Fenced Fenced Fenced Fenced'],
        ['nobody has claimed, and nobody may', { noClaim: true }, run, 'Fenced Fenced Fenced Fenced Fenced Fenced'],
        ['nobody has claimed, and all is over', { closed: true }, run, 'Fenced Fenced Fenced Fenced Fenced Fenced'],
        ['marks say no', { noClaim: false, closed: false }, run, 'claimed Fenced Fenced Fenced Fenced Fenced'],
        ['it has claimed', { claim }, run, 'already done done done stored done'],
        ['it has claimed and must end', { claim, noClaim: true }, run, 'already done done done stored done'],
        ['it has claimed, and all is over', { claim, closed: true }, run, 'Fenced Fenced Fenced Fenced Fenced Fenced'],
        ['it has claimed and reported', { claim, report: aReport() }, run, 'already done done done already done'],
        ['another has claimed', { claim }, stranger, 'Fenced Fenced Fenced Fenced Fenced Fenced'],
        ['another has reported', { claim, report: aReport() }, stranger, 'Fenced Fenced Fenced Fenced Fenced Fenced'],
        ['its token is wrong', {}, impostor, 'Refused Refused Refused Refused Refused Refused'],
        ['its token is wrong and it claimed', { claim }, impostor, 'Refused Refused Refused Refused Refused Refused'],
        [
          'its token is wrong and all is over',
          { closed: true },
          impostor,
          'Refused Refused Refused Refused Refused Refused',
        ],
        ['nobody knows the attempt', undefined, run, 'Refused Refused Refused Refused Refused Refused'],
      ])('when %s', async (_, record, who, answers) => {
        const calls: (() => Promise<unknown>)[] = [
          () => controlPlane.claim(who, patience),
          () => controlPlane.confirm(who, patience),
          () => controlPlane.heartbeat(who, patience),
          () => controlPlane.firstWord(who, patience),
          () => controlPlane.report(who, aReport(), patience),
          () => controlPlane.saveWork(who, savedWork, patience),
        ];
        const outcomes: string[] = [];
        for (const call of calls) {
          await scene.store.delete(runKey(taskId, 1));
          if (record) await has(record);
          outcomes.push(await told(call()));
        }
        expect(outcomes.join(' ')).toBe(answers);
      });
    });

    describe('a claim', () => {
      it('of ten runs at once lets one in', async () => {
        await has();
        const runs = Array.from({ length: 10 }, (_, n) => ({ ...run, nativeId: anArn(`run-${n}`) }));
        const outcomes = await Promise.all(runs.map((one) => told(controlPlane.claim(one, patience))));
        expect(outcomes.sort()).toEqual([...Array(9).fill('Fenced'), 'claimed']);
        expect((await stored()).revision).toBe(2);
      });

      it('by the same run ten times at once is made once and known nine times', async () => {
        await has();
        const outcomes = await Promise.all(Array.from({ length: 10 }, () => told(controlPlane.claim(run, patience))));
        expect(outcomes.sort()).toEqual([...Array(9).fill('already'), 'claimed']);
        expect((await stored()).revision).toBe(2);
      });

      it('leaves who claimed and when, and stands', async () => {
        await has();
        await controlPlane.claim(run, patience);
        const { record } = await stored();
        await told(controlPlane.claim(stranger, patience));
        await controlPlane.claim(run, patience);
        expect(record.claim?.nativeId).toBe(run.nativeId);
        expect((await stored()).record).toEqual(record);
      });

      it('and its prohibition at the same time leave one of two truths', async () => {
        await has();
        const [, claimed] = await Promise.all([
          scene.runs.forbidClaim(taskId, 1),
          told(controlPlane.claim(run, patience)),
        ]);
        const { record, revision } = await stored();
        expect(record.noClaim).toBe(true);
        expect([record.claim !== undefined, revision]).toEqual(claimed === 'claimed' ? [true, 3] : [false, 2]);
      });
    });

    describe('the claimant', () => {
      beforeEach(() => has({ claim: aClaim() }));

      it('leaves its confirmation and its heartbeat', async () => {
        await controlPlane.confirm(run, patience);
        await controlPlane.heartbeat(run, patience);
        const { record, revision } = await stored();
        expect([record.confirmedAt, record.heartbeatAt]).toEqual([expect.any(String), expect.any(String)]);
        expect(revision).toBe(3);
      });

      it("leaves its agent's first word once; the first time stands", async () => {
        await Promise.all(Array.from({ length: 10 }, () => controlPlane.firstWord(run, patience)));
        const first = await stored();
        expect(first).toMatchObject({ revision: 2, record: { firstOutputAt: expect.any(String) } });
        await controlPlane.firstWord(run, patience);
        const signal = { taskId, attempt: 1, nativeId: run.nativeId };
        await scene.runs.progress({ ...signal, seq: 1, text: 'hello', byRunner: false });
        expect((await stored()).record.firstOutputAt).toBe(first.record.firstOutputAt);
      });

      it('leaves the first word that an event brought before as it is', async () => {
        const firstOutputAt = at(7);
        await has({ claim: aClaim(), firstOutputAt });
        await controlPlane.firstWord(run, patience);
        expect(await stored()).toMatchObject({ revision: 2, record: { firstOutputAt } });
      });

      it('reports once; the first report stands whole', async () => {
        const first = aReport({ outcome: 'failed', reason: { code: 'agent_failed', message: 'No.' }, savedWork });
        expect(await controlPlane.report(run, first, patience)).toBe('stored');
        expect(await controlPlane.report(run, first, patience)).toBe('already');
        expect(await controlPlane.report(run, aReport(), patience)).toBe('already');
        expect((await stored()).record).toMatchObject({ report: first, savedWork });
        expect((await stored()).revision).toBe(2);
      });

      it('leaves saved work, the last that it said', async () => {
        await controlPlane.saveWork(run, savedWork, patience);
        await controlPlane.saveWork(run, { ...savedWork, commit: 'def' }, patience);
        expect((await stored()).record.savedWork).toEqual({ ...savedWork, commit: 'def' });
      });

      it('and handlers that write the record at the same time lose nothing', async () => {
        const signal = { taskId, attempt: 1, nativeId: run.nativeId };
        const kept = await Promise.all([
          ...Array.from({ length: 8 }, () => controlPlane.heartbeat(run, patience)),
          ...Array.from({ length: 8 }, (_, seq) =>
            scene.runs.progress({ ...signal, seq, text: `step ${seq}`, byRunner: false }),
          ),
          scene.runs.forbidClaim(taskId, 1),
          scene.runs.noteStray(taskId, 1, aHandle('run-2')),
          controlPlane.saveWork(run, savedWork, patience),
          controlPlane.report(run, aReport(), patience),
        ]);
        const { record, revision } = await stored();
        expect(record).toMatchObject({
          claim: aClaim(),
          noClaim: true,
          strayHandle: aHandle('run-2'),
          progress: { seq: 7, text: 'step 7' },
          savedWork,
          report: aReport(),
          heartbeatAt: expect.any(String),
        });
        const stale = kept.filter((outcome) => outcome === 'stale').length;
        // Every write raised the revision by one, and none was written over another.
        expect(revision).toBe(1 + kept.length - stale);
      });

      it('and the end of its attempt at the same time leave one of two truths', async () => {
        const [, reported] = await Promise.all([
          scene.runs.close(taskId, 1),
          told(controlPlane.report(run, aReport(), patience)),
        ]);
        const { record } = await stored();
        expect(record.closed).toBe(true);
        expect(record.report !== undefined).toBe(reported === 'stored');
      });
    });

    describe('an event', () => {
      const progress: RunEvent = {
        type: 'RunProgressed',
        seq: 3,
        data: { taskId, attempt: 1, nativeId: run.nativeId, seq: 3, text: 'cloning' },
      };
      beforeEach(() => has({ claim: aClaim() }));

      it('comes onto the bus as that of the runner, with an id that follows from its number', async () => {
        const before = scene.events().length;
        await controlPlane.event(run, progress, patience);
        await controlPlane.event(run, progress, patience);
        const told = {
          source: 'baton.agent',
          type: 'RunProgressed',
          detail: {
            metadata: {
              id: `${run.nativeId}#1#3`,
              taskId,
              attempt: 1,
              correlationId: taskId,
              causationId: `${run.nativeId}#1#3`,
              occurredAt: expect.stringMatching(/^\d{4}-.*Z$/),
              schemaVersion: 1,
            },
            data: progress.data,
          },
        };
        expect(scene.events().slice(before)).toEqual([told, told]);
      });
    });
  });
}

/** What a call came to: its word, `done`, or the name of its error. */
const told = (call: Promise<unknown>): Promise<string> =>
  call.then(
    (answer) => (typeof answer === 'string' ? answer : 'done'),
    (error: unknown) => (error instanceof Error ? error.name : 'no error'),
  );
