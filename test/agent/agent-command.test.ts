import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findAgentCommand } from '../../agent/agent-command.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-path-'));
  writeFileSync(join(folder, 'robot'), '#!/bin/sh\n');
  chmodSync(join(folder, 'robot'), 0o755);
  writeFileSync(join(folder, 'notes'), 'no program');
});
afterAll(() => rmSync(folder, { recursive: true }));

const find = (given?: string) => findAgentCommand(given, { PATH: `/nowhere:${folder}` });

describe('no agent command', () => {
  it('is Claude Code where it is installed', () => {
    writeFileSync(join(folder, 'claude'), '#!/bin/sh\n', { mode: 0o755 });
    expect(find()).toEqual({ found: true, command: 'claude -p' });
    rmSync(join(folder, 'claude'));
  });

  it('is an error that says what to install or to pass where it is not', () => {
    expect(find()).toEqual({
      found: false,
      message: expect.stringContaining('"claude" is not installed'),
      remedy: expect.stringMatching(/Install Claude Code.*--agent/),
    });
  });
});

describe('a given agent command', () => {
  it.each([
    'robot --fast',
    '  robot',
    'cd sub && robot',
    './in-the-clone.sh',
    'X=1 robot',
    '"quoted robot"',
    '(robot)',
    '$AGENT',
  ])('%s is taken as it is', (command) => {
    expect(find(command)).toEqual({ found: true, command });
  });

  it.each(['robbot --fast', 'notes', '/no/such/robot', '   '])('%j is refused before anything starts', (command) => {
    expect(find(command)).toMatchObject({ found: false, remedy: expect.stringContaining('--agent') });
  });
});
