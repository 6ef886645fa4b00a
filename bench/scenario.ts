// One scenario in a process of its own: name and options as arguments, figures as one line of JSON.
import { closedLoop, type LoopOptions } from './closed-loop.ts';
import { type HandoverOptions, handover } from './handover.ts';
import { type MatcherOptions, measureMatcher } from './matcher.ts';
import { type ParkedOptions, parkedTasks, restart } from './parked.ts';
import { type ProfileOptions, whereTimeGoes } from './where-time-goes.ts';

const scenarios = {
  'closed-loop': (options: LoopOptions) => closedLoop(options),
  handover: (options: HandoverOptions) => handover(options),
  matcher: (options: MatcherOptions) => measureMatcher(options),
  parked: (options: ParkedOptions) => parkedTasks(options),
  restart: (options: { dataDir: string }) => restart(options),
  'where-time-goes': (options: ProfileOptions) => whereTimeGoes(options),
} as const;

const [name = '', options = '{}'] = process.argv.slice(2);
const scenario = (scenarios as Readonly<Record<string, (options: never) => Promise<object>>>)[name];
if (!scenario) throw new Error(`no scenario "${name}"`);
const figures = await scenario(JSON.parse(options) as never);
// The parked world stays open, and the process that asked for it kills this one.
const keepsRunning = name === 'parked' ? setInterval(() => {}, 60_000) : undefined;
process.stdout.write(`${JSON.stringify(figures)}\n`);
if (!keepsRunning) process.exit();
