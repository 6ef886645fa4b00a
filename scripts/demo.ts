import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorLines } from '../cli/cli-error.ts';
import { follower } from '../cli/follow.ts';
import { onInterruption } from '../cli/interruption.ts';
import { taskReport } from '../cli/task-report.ts';
import { openTerminal } from '../cli/terminal.ts';
import { type WorldClient, worldClient } from '../cli/world-client.ts';
import { openWorld } from '../runtime/embedded-world.ts';
import { unfit } from '../runtime/engine/local-fleet-worker.ts';
import type { Compute } from '../schemas/compute.ts';
import type { TaskView } from '../schemas/task-view.ts';
import { crashing, diligent, endless, type ScriptedAgent, swift, tidy } from './demo-agents.ts';
import { makeSampleRepository } from './demo-repository.ts';
import { demoTable, type Shown, verdicts } from './demo-verdict.ts';

/** The whole demonstration takes less than 10 seconds, on a busy machine too; after this many something hangs, and it says so. */
const DEMO_LIMIT_S = 60;
/** The endless agent is cancelled when it has been seen at work this long, in milliseconds. */
const WORK_BEFORE_CANCEL_MS = 1_200;
const LOOK_INTERVAL_MS = 50;
/** What is under way has this long to end, in seconds, when somebody does not want to see the rest. */
const BREAK_OFF_LIMIT_S = 10;
const NAME_COLUMNS = 9;

const terminal = openTerminal({ out: process.stdout, err: process.stderr, environment: process.env });
const { paint } = terminal;
const names = new Map<string, string>();
const report = taskReport(terminal, {
  json: false,
  tag: ({ taskId }) => paint.cyan((names.get(taskId) ?? '').padEnd(NAME_COLUMNS)),
});

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
async function main(words: readonly string[]): Promise<number> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'baton-demo-')));
  try {
    return await demo(folder);
  } catch (error) {
    for (const line of errorLines(error, process.env['BATON_DEBUG'] === '1')) terminal.complain(line);
    return 1;
  } finally {
    if (words.includes('--keep')) terminal.line(paint.dim(`Kept: ${folder}`));
    else rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Opens a world in which all that back ends and runners say comes twice, shows tasks on every back end in it, and judges what was seen. */
async function demo(folder: string): Promise<number> {
  const repository = makeSampleRepository(folder);
  const world = await openWorld({
    dataDir: join(folder, 'data'),
    copies: ({ source }) => (source.startsWith('aws.') || source === 'baton.agent' ? 2 : 1),
  });
  const client = worldClient(world.url);
  const interruption = onInterruption();
  const giveUp = sleep(DEMO_LIMIT_S * 1000, undefined, { ref: false });
  try {
    const noFleet = unfit();
    for (const line of introduction(noFleet)) terminal.line(line);
    const shown = showTasks(client, repository.path, join(folder, 'endless.pid'), noFleet === undefined);
    shown.catch(() => undefined);
    const seen = await Promise.race([shown, interruption.leaving, giveUp]);
    if (typeof seen === 'object') return judge(seen, repository.head);
    terminal.complain(seen ? 'baton: broken off' : `baton: the tasks did not end within ${DEMO_LIMIT_S} s`);
    await cancelAll(client);
    return 1;
  } finally {
    interruption.end();
    await world.close();
  }
}

/** All at the same time: one ends well on each back end, one crashes, one is cancelled at work. */
async function showTasks(client: WorldClient, repository: string, pidFile: string, hasFleet: boolean): Promise<Shown> {
  const [completed, inSession, onWorker, crashed, cancelled] = await Promise.all([
    showTask(client, repository, diligent, 'ecs'),
    showTask(client, repository, swift, 'agentcore', (task) => whenClaimed(client, task)),
    hasFleet ? showTask(client, repository, tidy, 'ec2') : undefined,
    showTask(client, repository, crashing, 'ecs'),
    showTask(client, repository, endless(pidFile), 'ecs', async (task) => {
      await whenAtWork(pidFile);
      const pids = [Number(readFileSync(pidFile, 'utf8')), (await client.task(task)).run?.pid ?? 0];
      report.remark(
        `${' '.repeat(NAME_COLUMNS)}  The endless one is cancelled now; its processes are ${pids.join(' and ')}.`,
      );
      await client.cancel(task, 'the demonstration wants to see its process go');
      return pids;
    }),
  ]);
  return {
    completed: completed.view,
    inSession: inSession.view,
    sessionPid: inSession.aside ?? 0,
    ...(onWorker ? { onWorker: onWorker.view, worker: await whenIdle(client, onWorker.view) } : {}),
    crashed: crashed.view,
    cancelled: cancelled.view,
    pids: cancelled.aside ?? [],
  };
}

async function showTask<Aside>(
  client: WorldClient,
  repository: string,
  agent: ScriptedAgent,
  compute: Compute,
  meanwhile?: (taskId: string) => Promise<Aside>,
): Promise<{ view: TaskView; aside: Aside | undefined }> {
  const first = await client.submit({ repository, prompt: agent.prompt, agentCommand: agent.command.trim(), compute });
  names.set(first.taskId, agent.name);
  report.begin(first);
  const [view, aside] = await Promise.all([
    follower(first, report.news).follow(client, ({ settled }) => settled),
    meanwhile?.(first.taskId),
  ]);
  return { view, aside };
}

/** The process of a run that has claimed; 0 when the task ended without it. */
async function whenClaimed(client: WorldClient, task: string): Promise<number> {
  for (;;) {
    const { run, settled } = await client.task(task);
    if (run?.claimedAt !== undefined || settled) return run?.pid ?? 0;
    await sleep(LOOK_INTERVAL_MS);
  }
}

/** The worker that had the run, once it takes another. */
async function whenIdle(client: WorldClient, { run }: TaskView): Promise<string> {
  const [had = ''] = run?.nativeId?.split('/') ?? [];
  while (!(await client.workers()).some(({ worker, state }) => worker === had && state === 'idle'))
    await sleep(LOOK_INTERVAL_MS);
  return had;
}

async function whenAtWork(pidFile: string): Promise<void> {
  while (!existsSync(pidFile)) await sleep(LOOK_INTERVAL_MS);
  await sleep(WORK_BEFORE_CANCEL_MS);
}

function judge(shown: Shown, head: (branch: string) => string | undefined): number {
  terminal.line();
  for (const line of demoTable(shown, names, paint)) terminal.line(line);
  terminal.line();
  const judged = verdicts(shown, head);
  for (const { says, isTrue } of judged)
    terminal.line(isTrue ? `${paint.green('✓')} ${says}` : `${paint.red('✗')} ${says}`);
  for (const line of CONCLUSION) terminal.line(line);
  return judged.every(({ isTrue }) => isTrue) ? 0 : 1;
}

/** Nothing is left running when the demonstration is broken off. */
async function cancelAll(client: WorldClient): Promise<void> {
  const untilMs = Date.now() + BREAK_OFF_LIMIT_S * 1000;
  for (const { taskId, settled } of await client.tasks())
    if (!settled) await client.cancel(taskId).catch(() => undefined);
  while (Date.now() < untilMs && (await client.facts()).unsettled > 0) await sleep(LOOK_INTERVAL_MS);
}

const introduction = (noFleet: string | undefined): readonly string[] => [
  paint.bold(
    `${noFleet === undefined ? 'Five' : 'Four'} tasks travel through Baton on this machine, on ${noFleet === undefined ? 'three' : 'two'} back ends.`,
  ),
  'Git, processes and events are real; the agents are scripted with /bin/sh. All that back ends and runners say comes twice.',
  ...(noFleet === undefined ? [] : [`None runs on the third, ec2: ${noFleet}.`]),
  '',
];

const CONCLUSION = [
  '',
  'These agents were scripted. With a real one (by default `claude -p`), in a repository of yours:',
  `  ${paint.bold('bin/baton run --repo . --prompt "Add a test for the parser"')}`,
];

process.exitCode = await main(process.argv.slice(2));
process.exit();
