import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { testProgram } from '../programs.ts';
import type { Asked, Told } from './simulator.ts';

/** The simulation in a process of its own: inside the test runner worlds take four times as long. One question after the other. */
export function besideJest() {
  const simulator = spawn(process.execPath, [testProgram(new URL('./simulator.ts', import.meta.url))]);
  simulator.stderr.pipe(process.stderr);
  const answers = createInterface({ input: simulator.stdout })[Symbol.asyncIterator]();
  return {
    async ask(asked: Asked): Promise<Told> {
      simulator.stdin.write(`${JSON.stringify(asked)}\n`);
      const { value, done } = await answers.next();
      if (done) throw new Error(`the simulator ended with ${simulator.exitCode} over ${JSON.stringify(asked)}`);
      return JSON.parse(value) as Told;
    },
    close(): void {
      simulator.kill();
    },
  };
}
