import { join } from 'node:path';
import { programOn } from '../../cli/main.ts';
import { openTerminal } from '../../cli/terminal.ts';
import { openWorld, type World } from '../../runtime/embedded-world.ts';
import { type CliScene, openCliScene } from './scene.ts';

/** A world, and `baton repo` on it in this process, so that a test is about what it says and not about how long Node starts. */
export interface RepoScene extends CliScene {
  readonly world: World;
  ask(...words: string[]): Promise<{ stdout: string; stderr: string }>;
  json(...words: string[]): Promise<ReturnType<typeof JSON.parse>>;
}

export async function openRepoScene(): Promise<RepoScene> {
  const scene = openCliScene();
  const world = await openWorld({ dataDir: join(scene.folder, 'data') });
  async function ask(...words: string[]) {
    let stdout = '';
    let stderr = '';
    const out = { write: (text: string | Uint8Array) => (stdout += String(text)) };
    const err = { write: (text: string | Uint8Array) => (stderr += String(text)) };
    const program = programOn(openTerminal({ out, err, environment: {} }), { json: true });
    await program.parseAsync(['repo', ...words, '--endpoint', world.url], { from: 'user' });
    return { stdout, stderr };
  }
  return {
    ...scene,
    world,
    ask,
    json: async (...words) => JSON.parse((await ask(...words, '--json')).stdout),
    close: async () => {
      await world.close();
      await scene.close();
    },
  };
}
