/** A process that takes the lock of a data directory, says so, and holds it until it is killed. */
import { acquireWorldLock } from '../../../runtime/engine/world-lock.ts';

const [, , dataDir = ''] = process.argv;
const lock = acquireWorldLock(dataDir);
process.stdout.write('held\n');
setInterval(() => lock, 60_000);
