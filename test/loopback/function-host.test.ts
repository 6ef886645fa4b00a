import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, linesOf, lives } from '../flows/scene.ts';
import type { DeployedFunction } from './deployment.ts';
import { type FunctionHost, type FunctionHostOptions, functionHost, type GivenUp } from './function-host.ts';

/** What a function of these tests does, told by its event. */
const HANDLER = `
import { appendFileSync } from 'node:fs';
let handled = 0;
export async function handler(event, context) {
  handled += 1;
  if (event.note) appendFileSync(event.note, process.pid + ' ' + (event.name ?? '') + '\\n');
  if (event.log) console.log(event.log);
  if (event.dies) process.kill(process.pid, 'SIGKILL');
  if (event.hangs) await new Promise(() => setInterval(() => undefined, 1000));
  if (event.throws) throw new RangeError(event.throws);
  return { handled, pid: process.pid, greeting: process.env.GREETING, name: context.functionName,
    arn: context.invokedFunctionArn, left: context.getRemainingTimeInMillis(), alien: process.env.ALIEN };
}
`;

let folder: string;
let host: FunctionHost;
const givenUp: { destination: string | undefined; record: GivenUp }[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-functions-'));
  writeFileSync(join(folder, 'index.mjs'), HANDLER);
  writeFileSync(join(folder, 'broken.mjs'), 'throw new Error("no configuration");');
});
afterEach(async () => {
  givenUp.length = 0;
  await host.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = async (changes: Partial<DeployedFunction> = {}, options: Partial<FunctionHostOptions> = {}) => {
  host = await functionHost({
    functions: [
      {
        name: 'greet',
        arn: 'arn:aws:lambda:us-east-1:000000000000:function:greet',
        code: folder,
        handler: 'index.handler',
        environment: { GREETING: 'hello' },
        timeoutSeconds: 30,
        retries: 2,
        maxEventAgeSeconds: 3_600,
        onFailure: 'arn:aws:sqs:us-east-1:000000000000:greet-dead',
        ...changes,
      },
    ],
    environmentOf: () => ({}),
    waitScale: 0.001,
    onGivenUp: (destination, record) => givenUp.push({ destination, record }),
    ...options,
  });
  return host;
};

const givenUpRecord = () => eventually(() => givenUp[0], 'the record of what was given up');
const linesIn = (name: string) =>
  eventually(() => host.log('greet').find((line) => line.includes(name)), `"${name}" in the log`);

describe('a function that is invoked', () => {
  it('answers from a process of its own, with its environment and no other', async () => {
    process.env['ALIEN'] = 'from the machine';
    await open();
    const end = await host.invoke('greet', {});
    delete process.env['ALIEN'];
    expect(end).toMatchObject({
      outcome: 'answered',
      payload: { greeting: 'hello', name: 'greet', arn: expect.stringMatching(/:function:greet$/) },
    });
    const { payload } = end as { payload: { pid: number; left: number; alien?: string } };
    expect(payload.pid).not.toBe(process.pid);
    expect(payload.left).toBeLessThanOrEqual(30_000);
    expect(payload.alien).toBeUndefined();
  });

  it('stays warm: the next event goes to the same process', async () => {
    await open();
    const ends = [await host.invoke('greet', {}), await host.invoke('greet', {})];
    expect(ends.map((end) => (end as { payload: { handled: number } }).payload.handled)).toEqual([1, 2]);
    expect(host.pids()).toHaveLength(1);
  });

  it('never has more processes than its bound, and handles everything', async () => {
    await open({}, { processesPerFunction: 2, crowdedMs: 0 });
    const ends = await Promise.all(Array.from({ length: 10 }, () => host.invoke('greet', {})));
    const pids = ends.map((end) => (end as { payload: { pid: number } }).payload.pid);
    expect(new Set(pids).size).toBe(2);
    expect(host.invocations()).toEqual({ greet: 10 });
  });

  it('has a further process only where its event has waited for the one that works', async () => {
    const atOnce = Array.from({ length: 3 }, () => ({}));
    await open({}, { crowdedMs: 120_000 });
    const ends = await Promise.all(atOnce.map((event) => host.invoke('greet', event)));
    expect(ends.map((end) => (end as { payload: { handled: number } }).payload.handled)).toEqual([1, 2, 3]);
    await host.close();

    await open({}, { crowdedMs: 50 });
    host.invokeLater('greet', { hangs: true });
    await host.invoke('greet', {});
    expect(host.pids()).toHaveLength(2);
  });

  it('has its words kept', async () => {
    await open();
    await host.invoke('greet', { log: 'something happened' });
    await linesIn('something happened');
  });

  it('leaves no process behind when its host closes, not even a hanging one', async () => {
    await open();
    const note = join(folder, 'hanging');
    host.invokeLater('greet', { hangs: true, note });
    const pid = await eventually(() => Number.parseInt(linesOf(note)[0] ?? '', 10) || undefined, 'the handler to hang');
    await host.close();
    expect(lives(pid)).toBe(false);
  });
});

describe('an event that its function does not handle', () => {
  it.each([
    ['throws', { throws: 'out of luck' }, { errorType: 'RangeError', errorMessage: 'out of luck' }],
    ['dies', { dies: true }, { errorType: 'Runtime.ExitError' }],
  ])(
    'is tried three times when the handler %s, then given to the on-failure destination',
    async (_how, event, error) => {
      await open();
      const note = join(folder, `note-${Object.keys(event)[0]}`);
      host.invokeLater('greet', { ...event, note });
      const { destination, record } = await givenUpRecord();
      expect(destination).toBe('arn:aws:sqs:us-east-1:000000000000:greet-dead');
      expect(record).toMatchObject({
        requestContext: { condition: 'RetriesExhausted', approximateInvokeCount: 3 },
        requestPayload: event,
        responsePayload: error,
      });
      expect(host.invocations()).toEqual({ greet: 3 });
      expect(host.underWay()).toBe(0);
    },
  );

  it('is tried as often as the function says', async () => {
    await open({ retries: 0 });
    host.invokeLater('greet', { throws: 'once is enough' });
    expect((await givenUpRecord()).record.requestContext.approximateInvokeCount).toBe(1);
  });

  it('is not tried for longer than the function says', async () => {
    await open({ maxEventAgeSeconds: 0 });
    host.invokeLater('greet', { throws: 'too old' });
    expect((await givenUpRecord()).record.requestContext.condition).toBe('EventAgeExceeded');
  });

  it('ends when its time is over: the process is killed', async () => {
    await open({ timeoutSeconds: 0.5, retries: 0 });
    host.invokeLater('greet', { hangs: true });
    const pid = await eventually(() => host.pids()[0], 'the process');
    expect((await givenUpRecord()).record.responsePayload).toMatchObject({ errorType: 'Sandbox.Timedout' });
    await eventually(() => (lives(pid) ? undefined : true), 'its end');
  });
});

describe('a function that cannot be loaded', () => {
  it('fails every try with what it said', async () => {
    await open({ handler: 'broken.handler' });
    expect(await host.invoke('greet', {})).toMatchObject({
      outcome: 'failed',
      unhandled: true,
      error: { errorMessage: 'no configuration' },
    });
  });
});

describe('processes that are killed from outside', () => {
  it('fail the try under way; the next one is handled by a fresh process', async () => {
    await open();
    const note = join(folder, 'killed');
    const first = host.invoke('greet', { hangs: true, note });
    const pid = await eventually(() => Number.parseInt(linesOf(note)[0] ?? '', 10) || undefined, 'the handler to hang');
    expect(host.killSome(() => 0, 1)).toBe(1);
    expect(await first).toMatchObject({ outcome: 'failed', unhandled: true });
    expect(await host.invoke('greet', {})).toMatchObject({ outcome: 'answered' });
    expect(host.pids()).not.toContain(pid);
  });

  it('are spared as chance has it', async () => {
    await open();
    await host.invoke('greet', {});
    expect(host.killSome(() => 0.9, 0.5)).toBe(0);
    expect(host.killSome(() => 0.1, 0.5)).toBe(1);
  });
});
