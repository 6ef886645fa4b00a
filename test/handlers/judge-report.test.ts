import { describe, expect, it } from '@jest/globals';
import { runReported } from '../../events/run-reported.ts';
import { judgeReportOfRun } from '../../handlers/judge-report.ts';
import { aClaim, aFailedReport, anArn, anEvent, aReport, aResult, aRunRecord, aTask, aTaskId } from '../builders.ts';
import { aScene, typesOf } from './scene.ts';

const reported = (attempt = 1) => anEvent(runReported.of({ taskId: aTaskId(), attempt, nativeId: anArn(), seq: 5 }));

describe.each(['STARTING', 'RUNNING', 'FINALIZING'] as const)('a %s task whose report is stored', (status) => {
  it('completes with its result', async () => {
    const scene = aScene();
    await scene.has(aTask({ status }));
    await scene.hasRun(aRunRecord({ claim: aClaim(), report: aReport() }));
    expect(typesOf(await scene.deliver(judgeReportOfRun, reported()))).toEqual(['TaskCompleted']);
    expect(await scene.task()).toMatchObject({ status: 'COMPLETED', result: aResult(), detectedBy: 'report' });
  });

  it('fails with the reason that the report gives', async () => {
    const scene = aScene();
    await scene.has(aTask({ status }));
    await scene.hasRun(aRunRecord({ claim: aClaim(), report: aFailedReport('agent_not_found') }));
    expect(typesOf(await scene.deliver(judgeReportOfRun, reported()))).toEqual(['TaskFailed']);
    expect(await scene.task()).toMatchObject({ status: 'FAILED', reason: { code: 'agent_not_found' } });
  });

  it('told three times ends once', async () => {
    const scene = aScene();
    await scene.has(aTask({ status }));
    await scene.hasRun(aRunRecord({ claim: aClaim(), report: aReport() }));
    expect(await scene.thrice(judgeReportOfRun, reported())).toEqual([['TaskCompleted'], [], []]);
  });

  it('lets nobody claim any more', async () => {
    const scene = aScene();
    await scene.has(aTask({ status }));
    await scene.hasRun(aRunRecord({ claim: aClaim(), report: aReport() }));
    await scene.deliver(judgeReportOfRun, reported());
    expect(await scene.runs.claim({ taskId: aTaskId(), attempt: 1, nativeId: 'somebody-else' })).toBe('fenced');
  });
});

describe('a report that does not count', () => {
  it.each([
    ['is only said to be stored', 'RUNNING', aRunRecord({ claim: aClaim() }), reported(), 'no_report_is_stored'],
    ['is of another attempt', 'RUNNING', aRunRecord({ report: aReport() }), reported(2), 'of_another_attempt'],
    // F3
    ['comes while the task is stopped', 'STOPPING', aRunRecord({ report: aReport() }), reported(), 'report_is_kept'],
    // F6
    ['comes after the end', 'CANCELLED', aRunRecord({ report: aReport() }), reported(), 'task_has_ended'],
  ] as const)('because it %s changes nothing', async (_, status, record, event, reason) => {
    const scene = aScene();
    const task = await scene.has(aTask({ status }));
    await scene.hasRun(record);
    expect(await scene.deliver(judgeReportOfRun, event)).toEqual([]);
    expect(scene.ignored).toEqual([reason]);
    expect(await scene.task()).toEqual(task);
  });
});
