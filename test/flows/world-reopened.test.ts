import { appendFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BatonEvent } from '../../schemas/envelope.ts';
import { eventually, impatientRunner, linesOf, openScene, type Scene } from './scene.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await openScene({ limit: 2 });
});
afterAll(() => scene.close());

describe('a world that is closed while an agent works', () => {
  it('finds the same run working when it opens again, on another port, and the task completes', async () => {
    const starts = join(scene.folder, 'starts');
    const gate = join(scene.folder, 'gate');
    const taskId = await scene.submit(
      `echo start >> ${starts}; while [ ! -e ${gate} ]; do sleep 0.05; done; echo done > done.txt`,
    );
    await eventually(() => linesOf(starts)[0], 'the start');
    const before = scene.world.url;
    await scene.reopen();
    expect(scene.world.unsettled()).toBe(1);
    expect(await scene.world.view(taskId)).toMatchObject({ status: 'RUNNING', attempt: 1 });
    writeFileSync(gate, '');
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1 });
    expect(linesOf(starts)).toEqual(['start']);
    expect(before).not.toBe('');
  });
});

describe('a run that ends while the world is away for longer than its runner waits', () => {
  it('is judged by the report that it left behind', async () => {
    await scene.reopen({ runnerCommand: impatientRunner(1) });
    const gate = join(scene.folder, 'late-gate');
    const starts = join(scene.folder, 'late-starts');
    const ended = join(scene.folder, 'late-ended');
    const taskId = await scene.submit(
      `echo start >> ${starts}; while [ ! -e ${gate} ]; do sleep 0.05; done; echo end >> ${ended}`,
    );
    await eventually(() => linesOf(starts)[0], 'the start');
    const logFile = await scene.world.logPath(taskId);
    await scene.world.close();
    writeFileSync(gate, '');
    await eventually(() => linesOf(ended)[0], 'the end of the agent');
    await eventually(() => linesOf(join(logFile, '..', 'exit.json'))[0], 'the end of the run');
    expect(linesOf(logFile).join('\n')).toContain('Baton does not answer');

    await scene.reopen();
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1, run: { ended: { exitCode: 69 } } });
    expect(linesOf(starts)).toEqual(['start']);
  });
});

describe('a deadline that passes while the world is away', () => {
  it('is acted upon when it opens again', async () => {
    const taskId = await scene.submit('sleep 300', { timeoutSeconds: 6 });
    const task = await scene.until(taskId, ({ run, progress }) => !!run?.claimedAt && !!progress, 'to work');
    // Nothing is under way any more that could wake the task when the world opens again.
    await eventually(() => (scene.world.engine.bus.pending() === 0 ? true : undefined), 'the bus to be quiet');
    await scene.world.close();
    await sleep(Date.parse(task.deadlineAt) - Date.now() + 200);
    await scene.reopen();
    expect(await scene.settled(taskId)).toMatchObject({ status: 'TIMED_OUT' });
  });
});

describe('steps that a crash took back after they were published', () => {
  it('are in no archive any more when the world opens: no replay tells of them', async () => {
    const taskId = await scene.submit('echo done > done.txt');
    await scene.settled(taskId);
    await scene.quiet();
    await scene.world.close();
    const archive = join(scene.dataDir, 'archive');
    const [day = ''] = readdirSync(archive).sort().reverse();
    const minutes = readdirSync(join(archive, day)).filter((name) => name.endsWith('.ndjson'));
    const file = join(archive, day, minutes.sort().at(-1) ?? '');
    const lines = linesOf(file);
    const events = lines.map((line) => JSON.parse(line) as BatonEvent);
    const ahead = events.filter(({ detail }) => detail.metadata?.version !== undefined).slice(0, 1);
    for (const { detail } of ahead) Object.assign(detail.metadata, { id: 'ahead', version: 1_000 });
    // The last line is torn, as a process leaves it that dies while it writes.
    appendFileSync(file, `${JSON.stringify(ahead[0])}\n{"version":"0","id":"torn`);
    await scene.reopen();
    expect(linesOf(file)).toEqual(lines);
    expect(
      linesOf(file.replace('.ndjson', '.taken')).map((line) => (JSON.parse(line) as BatonEvent).detail.metadata.id),
    ).toEqual(['ahead']);
  });
});
