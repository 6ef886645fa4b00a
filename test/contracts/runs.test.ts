import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Runs } from '../../runtime/ports.ts';
import { runKey } from '../../runtime/records.ts';
import { type RunnerSide, runsOver } from '../../runtime/runs.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import { aClaim, aHandle, anArn, aReport, aRunRecord, aTaskId, at } from '../builders.ts';
import { onEveryStore } from './stores.ts';

const taskId = aTaskId();
const signal = { taskId, attempt: 1, nativeId: anArn() };
const stranger = { ...signal, nativeId: anArn('run-2') };
const savedWork = { branch: `baton/${taskId}`, commit: 'abc' };

onEveryStore((present) => {
  let runs: Runs & RunnerSide;
  let seconds = 0;
  beforeEach(() => {
    seconds = 0;
    runs = runsOver({ store: present.store, clock: { now: () => at(seconds) }, secret: () => 'secret' });
  });
  const has = (fields: Partial<RunRecord>) => present.store.put(runKey(taskId, 1), aRunRecord(fields), 'any');

  describe('the token of a run', () => {
    it('is the same for every call, and opens one record', async () => {
      const tokens = await Promise.all(Array.from({ length: 10 }, () => runs.open(taskId, 1)));
      expect(new Set(tokens.map(({ token }) => token)).size).toBe(1);
      expect((await present.store.get(runKey(taskId, 1)))?.revision).toBe(1);
    });

    it('proves this attempt and no other', async () => {
      const { token } = await runs.open(taskId, 1);
      await runs.open(taskId, 2);
      expect(await runs.isToken(taskId, 1, token)).toBe(true);
      expect(await runs.isToken(taskId, 2, token)).toBe(false);
      expect(await runs.isToken(taskId, 1, `${token}x`)).toBe(false);
      expect(await runs.isToken(taskId, 1, '')).toBe(false);
      expect(await runs.isToken(taskId, 3, token)).toBe(false);
    });

    it('differs between worlds, and is not stored', async () => {
      const { token } = await runs.open(taskId, 1);
      const other = runsOver({ store: present.store, clock: { now: () => at(0) }, secret: () => 'another' });
      expect((await other.open(taskId, 1)).token).not.toBe(token);
      expect(JSON.stringify(await runs.get(taskId, 1))).not.toContain(token);
    });

    it('is not changed by opening what has a claim', async () => {
      await has({ claim: aClaim() });
      await runs.open(taskId, 1);
      expect(await runs.get(taskId, 1)).toMatchObject({ claim: aClaim() });
    });
  });

  describe('claiming', () => {
    // F12, F17
    it('fifty times at once lets one in', async () => {
      await runs.open(taskId, 1);
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, n) => runs.claim({ ...signal, nativeId: anArn(`run-${n}`) })),
      );
      expect(answers.filter((answer) => answer === 'claimed')).toHaveLength(1);
      expect(answers.filter((answer) => answer === 'fenced')).toHaveLength(49);
    });

    it('again by the same run is known', async () => {
      await runs.open(taskId, 1);
      expect([await runs.claim(signal), await runs.claim(signal)]).toEqual(['claimed', 'already']);
    });

    it('again by the same call, whose answer was lost, is its own; nothing is written', async () => {
      await runs.open(taskId, 1);
      expect([await runs.claim(signal, 'first'), await runs.claim(signal, 'first')]).toEqual(['claimed', 'claimed']);
      expect([await runs.claim(signal, 'second'), await runs.claim(signal)]).toEqual(['already', 'already']);
      expect(await runs.claim(stranger, 'first')).toBe('fenced');
      expect((await present.store.get(runKey(taskId, 1)))?.revision).toBe(2);
    });

    it('again by the same call is fenced when the attempt is closed', async () => {
      await has({ claim: { ...aClaim(), claimId: 'first' }, closed: true });
      expect(await runs.claim(signal, 'first')).toBe('fenced');
    });
  });

  describe('the fence', () => {
    const claim = aClaim();
    type Row = [situation: string, record: Partial<RunRecord> | undefined, who: typeof signal, answers: string];
    it.each<Row>([
      ['nobody has claimed', {}, signal, 'claimed fenced fenced fenced fenced fenced'],
      ['nobody has claimed, and nobody may', { noClaim: true }, signal, 'fenced fenced fenced fenced fenced fenced'],
      ['it has claimed', { claim }, signal, 'already confirmed kept kept stored kept'],
      ['it has claimed and must end', { claim, noClaim: true }, signal, 'already confirmed kept kept stored kept'],
      [
        'it has claimed, and all is over',
        { claim, noClaim: true, closed: true },
        signal,
        'fenced fenced fenced fenced fenced fenced',
      ],
      ['it has claimed and reported', { claim, report: aReport() }, signal, 'already confirmed kept kept already kept'],
      ['another has claimed', { claim }, stranger, 'fenced fenced fenced fenced fenced fenced'],
      ['nobody knows the attempt', undefined, signal, 'fenced fenced fenced fenced fenced fenced'],
    ])('when %s', async (_, record, who, answers) => {
      const told: string[] = [];
      for (const say of ['claim', 'confirm', 'heartbeat', 'firstWord', 'report', 'saveWork'] as const) {
        await present.store.delete(runKey(taskId, 1));
        if (record) await has(record);
        if (say === 'report') told.push(await runs.report(who, aReport()));
        else if (say === 'saveWork') told.push(await runs.saveWork(who, savedWork));
        else told.push(await runs[say](who));
      }
      expect(told.join(' ')).toBe(answers);
    });
  });

  describe('the claimant', () => {
    beforeEach(() => has({ claim: aClaim() }));

    it('leaves its last confirmation and heartbeat, by the clock of Baton', async () => {
      seconds = 7;
      await runs.confirm(signal);
      seconds = 9;
      await runs.heartbeat(signal);
      expect(await runs.get(taskId, 1)).toMatchObject({ confirmedAt: at(7), heartbeatAt: at(9) });
    });

    it("leaves its agent's first word once, by the clock of Baton", async () => {
      seconds = 7;
      expect(await runs.firstWord(signal)).toBe('kept');
      seconds = 9;
      expect(await runs.firstWord(signal)).toBe('already');
      await runs.progress({ ...signal, seq: 1, text: 'hello', byRunner: false });
      expect(await runs.get(taskId, 1)).toMatchObject({ firstOutputAt: at(7), progress: { at: at(9) } });
    });

    it('reports once; the first report stands', async () => {
      const answers = [await runs.report(signal, aReport()), await runs.report(signal, aReport({ outcome: 'failed' }))];
      expect(answers).toEqual(['stored', 'already']);
      expect((await runs.get(taskId, 1))?.report?.outcome).toBe('succeeded');
    });

    it('leaves saved work, also by its report', async () => {
      await runs.report(signal, aReport({ outcome: 'failed', savedWork }));
      expect((await runs.get(taskId, 1))?.savedWork).toEqual(savedWork);
    });

    it('keeps its words over a restart', async () => {
      await runs.report(signal, aReport());
      await present.store.durable();
      const store = await present.reopen();
      expect((await store.get(runKey(taskId, 1)))?.value).toMatchObject({ report: { outcome: 'succeeded' } });
    });
  });

  describe('the control plane', () => {
    it('forbids and closes once, and closing forbids', async () => {
      await has({});
      await runs.forbidClaim(taskId, 1);
      await runs.forbidClaim(taskId, 1);
      expect((await present.store.get(runKey(taskId, 1)))?.revision).toBe(2);
      await runs.close(taskId, 1);
      await runs.close(taskId, 1);
      expect((await present.store.get(runKey(taskId, 1)))?.revision).toBe(3);
      expect(await runs.get(taskId, 1)).toMatchObject({ noClaim: true, closed: true });
    });

    it('and a claimant at the same time leave one of two truths', async () => {
      await has({});
      const [, claimed] = await Promise.all([runs.forbidClaim(taskId, 1), runs.claim(signal)]);
      const record = await runs.get(taskId, 1);
      expect(record?.noClaim).toBe(true);
      expect(record?.claim !== undefined).toBe(claimed === 'claimed');
    });

    // F12
    it.each([
      ['its claimant, when the attempt is closed', { claim: aClaim(), closed: true }, signal, true],
      ['nobody else', { claim: aClaim(), closed: true }, stranger, false],
      ['nobody while the attempt is open', { claim: aClaim(), noClaim: true }, signal, false],
      ['nobody where nobody had claimed', { noClaim: true, closed: true }, signal, false],
    ])('notes as living on after its end %s', async (_, record, who, isNoted) => {
      await has(record);
      seconds = 7;
      expect(await runs.noteOutlived(who)).toEqual(isNoted ? { at: at(7), before: false } : undefined);
      seconds = 9;
      expect(await runs.noteOutlived(who)).toEqual(isNoted ? { at: at(7), before: true } : undefined);
      expect((await runs.get(taskId, 1))?.outlivedAt).toBe(isNoted ? at(7) : undefined);
    });

    it('notes the first stray run, and does nothing where no record is', async () => {
      await has({});
      await runs.noteStray(taskId, 1, aHandle('run-2'));
      await runs.noteStray(taskId, 1, aHandle('run-3'));
      expect((await runs.get(taskId, 1))?.strayHandle).toEqual(aHandle('run-2'));
      await runs.noteStray(taskId, 9, aHandle());
      expect(await runs.get(taskId, 9)).toBeUndefined();
    });
  });
});
