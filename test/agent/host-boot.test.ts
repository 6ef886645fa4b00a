import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, it } from '@jest/globals';
import { workerBootFailed } from '../../events/worker-boot-failed.ts';
import { workerRegistered } from '../../events/worker-registered.ts';
import { agentSecrets, agentSecretsText } from '../../schemas/agent-secrets.ts';
import { HOOK_WAIT_S } from '../../schemas/worker.ts';
import { type Boot, booted, SCRIPT, settings, usual } from './boot-scene.ts';
import { onLinux } from './host-scene.ts';

const arnOf = (name: string): string => `arn:aws:secretsmanager:eu-west-1:000000000000:secret:${name}-AbCdEf`;

/** Most bytes of user data (EC2 user guide), with room for the settings before it, secrets among them. */
const USER_DATA_MAX_BYTES = 16_384 - 4_096;

onLinux('an instance that boots', () => {
  it('pulls its image, and then says that it takes runs', () => {
    const boot = booted();
    expect([boot.code, boot.output]).toEqual([0, '']);
    const data = { fleet: 'main', worker: 'i-0123456789abcdef0' };
    expect(boot.events).toEqual([{ type: 'WorkerRegistered', bus: 'baton', source: workerRegistered.source, data }]);
    expect(workerRegistered.schema.parse(data)).toEqual(data);
    const order = [
      ...['dnf install', 'systemctl enable --now docker', 'docker pull'],
      ...['aws ssm get-connection-status', 'aws events put-events'],
    ];
    const at = order.map((call) => boot.calls.findIndex((one) => one.startsWith(call)));
    expect(at).toEqual([...at].sort((one, other) => one - other));
    expect(at).not.toContain(-1);
    expect(boot.calls).toContain(`docker pull --quiet ${settings.BATON_IMAGE}`);
  });

  it('leaves what the script of a run needs, for root alone', () => {
    const boot = booted();
    expect(boot.file('var/lib/baton/image')).toBe(`${settings.BATON_IMAGE}\n`);
    expect(boot.file('var/lib/baton/container.env')).toBe(
      'BATON_BUS=baton\nBATON_TABLE=baton\nBATON_PAYLOAD_BUCKET=baton-payloads\nAWS_REGION=eu-west-1\n',
    );
    expect(boot.file('var/lib/baton/region')).toBe('eu-west-1\n');
    expect(boot.modeOf('var/lib/baton')).toBe(0o700);
  });

  // B16
  it('tells runners which secrets there are for agents, as they were given', () => {
    const list = agentSecretsText(
      ['model', 'team/npm_read+only.v2@x=y'].map((name, at) => ({ name: `KEY_${at}`, arn: arnOf(name) })),
    );
    expect(agentSecrets.parse(list)).toHaveLength(2);
    const boot = booted({}, { BATON_AGENT_SECRETS: list });
    expect(boot.code).toBe(0);
    expect(boot.file('var/lib/baton/container.env')).toContain(`\nBATON_AGENT_SECRETS=${list}\n`);
  });

  it('has the output of containers go to the log group, under the name of the run', () => {
    expect(JSON.parse(booted().file('etc/docker/daemon.json') ?? '')).toMatchObject({
      // A daemon that is renewed must not take the run with it.
      'live-restore': true,
      'log-driver': 'awslogs',
      'log-opts': {
        'awslogs-region': 'eu-west-1',
        'awslogs-group': '/baton/fleet',
        tag: '{{.Name}}',
        mode: 'non-blocking',
      },
    });
  });

  it('logs in where the image is, and nowhere else', () => {
    const registry = '000000000000.dkr.ecr.eu-west-1.amazonaws.com';
    expect(JSON.parse(booted().file('root/.docker/config.json') ?? '')).toEqual({
      credHelpers: { [registry]: 'ecr-login' },
    });
    expect(
      booted({}, { BATON_IMAGE: 'public.ecr.aws/baton/agent:1' }).file('root/.docker/config.json'),
    ).toBeUndefined();
  });

  it('asks for its name only with a token', () => {
    const asked = booted().calls.filter((call) => call.startsWith('curl') && !call.includes('api/token'));
    expect(asked.length).toBe(2);
    expect(asked.every((call) => call.includes('X-aws-ec2-metadata-token: a-token'))).toBe(true);
  });

  it.each(['curl', 'dnf', 'docker', 'aws'] as const)('tries again what %s cannot do at once', (program) => {
    const boot = booted({ [program]: `((NTH > 2)) || exit 1\n${usual[program]}` });
    expect(boot.code).toBe(0);
    expect(boot.events.at(-1)).toMatchObject({ type: 'WorkerRegistered' });
  });

  it('tries again to say what the bus did not take', () => {
    const boot = booted({
      aws: `case "$*" in *put-events*) if ((NTH > 3)); then echo 0; else echo 1; fi; exit ;; esac\n${usual.aws}`,
    });
    expect(boot.code).toBe(0);
    expect(boot.events.length).toBeGreaterThan(1);
  });

  // A command that is sent before would be turned away, and the worker replaced.
  it.each(['echo notconnected', 'echo no right yet >&2; exit 254', 'echo'])(
    'says that it takes runs only when commands reach it: not yet at "%s"',
    (notYet) => {
      const boot = booted({ aws: `((NTH > 8)) || case "$*" in *get-conn*) ${notYet}; exit ;; esac\n${usual.aws}` });
      expect([boot.code, boot.events.map(({ type }) => type)]).toEqual([0, ['WorkerRegistered']]);
      const asked = boot.calls.filter((call) => call.startsWith('aws ssm get-connection-status'));
      expect(asked).toHaveLength(9);
      expect(new Set(asked)).toEqual(
        new Set([
          'aws ssm get-connection-status --region eu-west-1 --target i-0123456789abcdef0 --query Status --output text',
        ]),
      );
      // All before the word, with a pause after each that was not the last.
      expect(boot.calls.filter((call) => call === 'sleep 5')).toHaveLength(8);
      expect(boot.calls.findLastIndex((call) => asked.includes(call))).toBeLessThan(
        boot.calls.findIndex((call) => call.startsWith('aws events')),
      );
    },
  );
});

onLinux('a boot that fails', () => {
  it.each([
    ['the packages', { dnf: 'exit 1' }],
    ['the daemon', { systemctl: 'exit 1' }],
    ['the image', { docker: 'exit 1' }],
    ['the version of the agent', { rpm: 'echo 3.3.2299.0' }],
    ['the agent itself', { rpm: 'exit 1' }],
    ['a command that is killed', { docker: 'kill -9 $PPID; exit 137' }],
  ] as const)('says so once, for %s, and never that it takes runs', (_, programs) => {
    const boot = booted(programs);
    expect(boot.code).toBe(1);
    expect(boot.events).toHaveLength(1);
    expect(boot.events[0]).toMatchObject({ type: 'WorkerBootFailed', source: workerBootFailed.source, bus: 'baton' });
    expect(workerBootFailed.schema.parse(boot.events[0]?.data)).toMatchObject({
      worker: 'i-0123456789abcdef0',
      message: expect.stringMatching(/^The boot failed at line \d+ with exit code \d+\.$/),
    });
    expect(boot.calls.filter((call) => call.includes('baton:status'))).toEqual([
      expect.stringContaining('boot-failed'),
    ]);
  });

  const asking = (answer: string) => ({ aws: `case "$*" in *get-conn*) ${answer}; exit ;; esac\n${usual.aws}` });
  const questionsOf = ({ calls }: Boot) => calls.filter((call) => call.startsWith('aws ssm get-connection-status'));

  it.each([
    ['never', 'echo notconnected', { BATON_REACHED_S: '3' }, 3],
    ['never, after a boot that took nearly all of its time', 'echo notconnected', { BATON_REACHED_BY_S: '3' }, 3],
    // Two seconds for each question: a count of tries would ask four times.
    ['only slowly', '/bin/sleep 2; echo notconnected', { BATON_REACHED_S: '4' }, 2],
    ['never, and no question is answered', 'exec /bin/sleep 60', { BATON_REACHED_S: '4', BATON_ASK_S: '2' }, 2],
  ])('says so in time, and why, when commands reach it %s', (_, answer, bounds, questions) => {
    const boot = booted({ ...asking(answer), sleep: '/bin/sleep "$1"' }, { BATON_PAUSE_S: '1', ...bounds });
    expect(boot.code).toBe(1);
    expect(questionsOf(boot).length).toBeLessThanOrEqual(questions);
    expect(boot.events).toMatchObject([{ type: 'WorkerBootFailed' }]);
    const said =
      /^The boot failed at line \d+ with exit code 1\. Systems Manager did not reach the machine within [0-4] s, \d+ s after the boot began\.$/;
    expect(workerBootFailed.schema.parse(boot.events[0]?.data).message).toMatch(said);
    expect(boot.output).toContain('Systems Manager did not reach the machine');
  });

  it('asks once whether commands reach it, although the time for that is over', () => {
    const late = { BATON_REACHED_BY_S: '0' };
    expect(booted({}, late).events).toMatchObject([{ type: 'WorkerRegistered' }]);
    const boot = booted(asking('echo notconnected'), late);
    expect([questionsOf(boot).length, boot.events.map(({ type }) => type)]).toEqual([1, ['WorkerBootFailed']]);
  });

  it('prints what it was answered once, and again only when that changes', () => {
    const answers = '((NTH > 4)) || { echo denied >&2; exit 254; }; ((NTH > 6)) || { echo notconnected; exit; }';
    const boot = booted(asking(`${answers}; echo a warning >&2; echo connected`));
    expect(boot.code).toBe(0);
    expect(boot.output.split('\n')).toEqual([
      'baton: whether Systems Manager reaches the machine: denied (exit code 254)',
      'baton: whether Systems Manager reaches the machine: notconnected',
      '',
    ]);
  });

  it('has no name to say it under when nobody tells it its own', () => {
    const boot = booted({ curl: 'exit 22' });
    expect(boot.code).toBe(1);
    expect(boot.events).toEqual([]);
    expect(boot.output).toContain('the boot failed at line');
  });

  it.each(Object.keys(settings))('is one whose setting %s could mean something to a shell, or in JSON', (name) => {
    for (const value of ['', '$(id)', 'a"b', "a'b", 'a b', 'a\nb', '-x"']) {
      const boot = booted({}, { [name]: value });
      expect(boot.code).toBe(1);
      expect(boot.calls).toEqual([]);
    }
  });

  it.each([
    ['a value', 'OPENAI_API_KEY=sk-123456789'],
    ['nothing', ''],
    ['a variable of Baton', `BATON_BUS=${arnOf('model')}`],
    ['a variable of AWS behind a good one', `KEY=${arnOf('model')},AWS_REGION=${arnOf('model')}`],
    ['a second line', `KEY=${arnOf('model')}\nBATON_BUS=other`],
    ['a space', `KEY=${arnOf('model')}, OTHER=${arnOf('model')}`],
    ['something for a shell', `KEY=${arnOf('$(id)')}`],
    ['something for JSON', `KEY=${arnOf('a"b')}`],
    ['an ARN that is not complete', `KEY=${arnOf('model').slice(0, -7)}`],
    ['too much', Array.from({ length: 30 }, (_, at) => `KEY_${at}=${arnOf('model')}`).join(',')],
  ])('is one whose list of secrets has %s in it', (_, list) => {
    const boot = booted({}, { BATON_AGENT_SECRETS: list });
    expect(agentSecrets.safeParse(list).success).toBe(false);
    expect([boot.code, boot.calls, boot.file('var/lib/baton/container.env')]).toEqual([1, [], undefined]);
  });

  // B21
  it('says so exactly once, whichever of its calls fails', () => {
    const calls = booted().calls.map((call) => call.split(' ')[0] ?? '');
    const places = calls.map((program, at) => ({
      program: program as keyof typeof usual,
      nth: calls.slice(0, at + 1).filter((one) => one === program).length,
    }));
    // The name of the machine comes first, and without it there is nobody to speak of; tags are for people.
    const telling = places.slice(3).filter(({ program }) => program !== 'aws');
    expect(new Set(telling.map(({ program }) => program))).toEqual(new Set(['rpm', 'dnf', 'systemctl', 'docker']));
    for (const { program, nth } of telling) {
      const boot = booted({ [program]: `((NTH < ${nth})) || exit 9\n${usual[program]}` });
      expect([boot.code, boot.events.map(({ type }) => type)]).toEqual([1, ['WorkerBootFailed']]);
    }
  });

  it.each(['etc', 'root/.docker', 'var/lib/baton', 'var/lib/baton/container.env/x'])(
    'says so exactly once when %s cannot be written',
    (path) => {
      const inTheWay = path.endsWith('/x')
        ? `mkdir -p root/${path}`
        : `mkdir -p root/${dirname(path)} && touch root/${path}`;
      const boot = booted({ dnf: inTheWay });
      expect([boot.code, boot.events.map(({ type }) => type)]).toEqual([1, ['WorkerBootFailed']]);
    },
  );

  // B13
  it.each(['eu-west-1"; id', 'eu-west-1\\nx', "eu'west", '$(id)', ''])('is one that hears of a region %j', (region) => {
    const curl = usual.curl.replace('echo eu-west-1', `printf '%b' '${region.replaceAll("'", "'\\\\''")}'`);
    const boot = booted({ curl });
    expect(boot.code).toBe(1);
    expect(boot.calls.filter((call) => /^(dnf|docker|systemctl) /.test(call))).toEqual([]);
    expect(boot.file('var/lib/baton/region')).toBeUndefined();
    expect(boot.events.map(({ type }) => type)).not.toContain('WorkerRegistered');
  });

  it('at its very last word has failed, too', () => {
    const boot = booted({ aws: usual.aws.replace('echo 0', 'echo 1') });
    expect(boot.code).toBe(1);
    const told = boot.events.map(({ type }) => type);
    expect(new Set(told)).toEqual(new Set(['WorkerRegistered', 'WorkerBootFailed']));
    expect(workerBootFailed.schema.parse(boot.events.at(-1)?.data).message).not.toContain('Systems Manager');
  });
});

onLinux('the text of the boot script', () => {
  const text = readFileSync(SCRIPT, 'utf8');
  const lines = text.split('\n');

  it('is understood by bash, and fits into user data', () => {
    expect(lines[0]).toBe('#!/bin/bash');
    expect(execFileSync('bash', ['-n', SCRIPT], { encoding: 'utf8' })).toBe('');
    expect(Buffer.byteLength(text)).toBeLessThan(USER_DATA_MAX_BYTES);
  });

  it('traps every failure', () => {
    expect(lines).toContain('set -Eeuo pipefail');
    const main = lines.slice(lines.indexOf('main() {') + 1);
    expect(main[0]?.trim()).toMatch(/^trap 'failed .*' ERR$/);
  });

  it('gives every bound a name and a reason', () => {
    const bounds = lines.flatMap((line, at) =>
      /^readonly (\w+_S|TRIES|AGENT_MIN)=/.test(line) ? [lines[at - 1] ?? ''] : [],
    );
    expect(bounds).toHaveLength(8);
    expect(bounds.filter((line) => !line.startsWith('# '))).toEqual([]);
  });

  it('has the wait for Systems Manager end in time to say so before the launch hook gives the machine up', () => {
    const bound = (name: string): number => Number(/\d+/.exec(text.split(`readonly ${name}=`)[1] ?? '')?.[0]);
    const saying = bound('CALL_S') + bound('TRIES') * (bound('CALL_S') + bound('PAUSE_S')) - bound('PAUSE_S');
    const BEFORE_THE_BOOT_S = 90;
    expect(BEFORE_THE_BOOT_S + bound('REACHED_BY_S') + bound('ASK_S') + saying).toBeLessThanOrEqual(HOOK_WAIT_S.launch);
    expect(bound('REACHED_S')).toBeLessThan(bound('REACHED_BY_S'));
  });
});
