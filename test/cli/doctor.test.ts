import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type CliScene, openCliScene } from './scene.ts';

let scene: CliScene;
let withAgent: Record<string, string>;

beforeAll(() => {
  scene = openCliScene();
  const bin = join(scene.folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'claude'), '#!/bin/sh\n');
  chmodSync(join(bin, 'claude'), 0o755);
  withAgent = { PATH: `${bin}:${process.env['PATH']}` };
});
afterAll(() => scene.close());

describe('a machine that has everything', () => {
  it('is well, and nothing is made by looking', async () => {
    const before = readdirSync(scene.folder);
    const { code, stdout, stderr } = await scene.run(['doctor'], { environment: withAgent });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.match(/^ok /gm)).toHaveLength(8);
    expect(stdout).toMatch(/^ok {6}back ends: tasks run on ecs; .*agentcore( or ec2)?$/m);
    expect(stdout).toMatch(/^ok {6}screening: off; /m);
    expect(readdirSync(scene.folder)).toEqual(before);
  });
});

describe('a machine that lacks something', () => {
  it('is told what, and what to do', async () => {
    const environment = { PATH: join(scene.folder, 'nothing') };
    const { code, stdout } = await scene.run(['doctor'], { environment });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^missing git: git does not answer \(ENOENT\)\n {8}Install git\.$/m);
    expect(stdout).toMatch(/^missing agent: The default agent command is "claude -p"/m);
    expect(stdout).toMatch(/^ok {6}node: Node \d+/m);
    // Whoever runs nothing on a fleet lacks nothing.
    expect(stdout).toMatch(/^ok {6}fleet: none: the workers of a fleet need .*; only tasks on ec2 need one$/m);
    expect(stdout).toMatch(/^ok {6}back ends: tasks run on ecs; .*agentcore$/m);
  });

  it('is told of a data directory that cannot be', async () => {
    writeFileSync(join(scene.folder, 'file'), '');
    const { code, stdout } = await scene.run(['doctor', '--data', 'file/data', '--json'], { environment: withAgent });
    expect(code).toBe(1);
    const wrong = JSON.parse(stdout).filter(({ ok }: { ok: boolean }) => !ok);
    expect(wrong).toEqual([
      {
        name: 'data directory',
        ok: false,
        found: expect.stringMatching(/file cannot be written \(is not a directory\)/),
        remedy: expect.stringContaining('--data'),
      },
    ]);
  });
});

describe('a deployment that nobody can ask', () => {
  it('is told as that, part by part', async () => {
    const environment = {
      ...withAgent,
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'none',
      AWS_SECRET_ACCESS_KEY: 'none',
      AWS_MAX_ATTEMPTS: '1',
    };
    const { code, stdout } = await scene.run(['doctor', '--aws'], { environment });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^missing event bus: EventBridge DescribeEventBus/m);
    expect(stdout).toMatch(/^missing table: DynamoDB DescribeTable/m);
  });

  it('is not looked for together with a data directory', async () => {
    const { code, stderr } = await scene.run(['doctor', '--stage', 'dev', '--data', 'data']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('--aws: it excludes --data') });
  });
});
