import type { Timings } from '../../lifecycle/timings.ts';
import { openWorld } from '../../runtime/embedded-world.ts';
import { quickTimings } from './scene.ts';

// A world in a process of its own, made to be killed: `world-process <data directory> [<waits as JSON>]`. Says "ready <url>".
const [dataDir = '', waits = '{}'] = process.argv.slice(2);
const world = await openWorld({
  dataDir,
  timings: { ...quickTimings, ...(JSON.parse(waits) as Partial<Timings>) },
  stopTimeoutSeconds: 8,
  limit: 3,
  copies: 2,
  onDeadLetter: (letter) => process.stderr.write(`dead letter: ${letter.rule} ${JSON.stringify(letter.error)}\n`),
  warn: (message, error) => process.stderr.write(`${message}: ${String(error)}\n`),
});
process.stdout.write(`ready ${world.url}\n`);
setInterval(() => undefined, 1_000);
