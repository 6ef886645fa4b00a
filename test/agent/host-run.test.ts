import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { documentParameters, HOST_EXIT, nothingLeftOf } from '../../schemas/ssm-command.ts';
import { eventually, lives } from '../runtime/engine/local-ecs-fixture.ts';
import { aCommand, agentDoes, aHost, GOES_ON, type Host, onLinux, pidIn, SCRIPT } from './host-scene.ts';

const hosts: Host[] = [];
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.close();
});

function host(options: Parameters<typeof aHost>[0] = {}): Host {
  const one = aHost(options);
  hosts.push(one);
  return one;
}

const isFree = (one: Host): boolean => {
  try {
    execFileSync('/usr/bin/env', ['flock', '--nonblock', join(one.dir, 'lock'), 'true']);
    return true;
  } catch {
    return false;
  }
};
/** Nothing of any run is on the host. */
const expectClear = (one: Host): void => {
  expect(one.names('host', 'containers')).toEqual([]);
  expect(one.names('host', 'run')).toEqual([]);
};
/** What a host keeps of an attempt that must not start there any more. */
const endedFile = (one: Host, { taskId, attempt }: Record<string, string | undefined>): string =>
  join(one.dir, 'ended', `baton-${taskId}-${attempt}`);

onLinux('a run on a host of the fleet', () => {
  it('works with what the command, the host and the deployment say, and ends with its code', async () => {
    const one = host();
    agentDoes(one, 'env > "$BATON_SCRIPT.env"; pwd > "$BATON_SCRIPT.pwd"; echo "$1" > "$BATON_SCRIPT.word"; exit 7');
    const command = aCommand();
    expect(await one.command(command).ended).toBe(7);
    const run = `${command['taskId']}/1`;
    expect(one.read('agent.sh.env')?.split('\n')).toEqual(
      expect.arrayContaining([
        `BATON_TASK_ID=${command['taskId']}`,
        'BATON_ATTEMPT=1',
        `BATON_PAYLOAD=${command['payload']}`,
        `BATON_NATIVE_ID=i-0123456789abcdef0/${run}`,
        'BATON_STOP_TIMEOUT_S=5',
        `BATON_RUN_DIR=${join(one.dir, 'run')}`,
        'BATON_TABLE=baton',
      ]),
    );
    // Neither the command's own parameters nor what stands for the daemon is any business of its runner.
    const strange = (one.read('agent.sh.env') ?? '')
      .split('\n')
      .filter((line) => /^(SSM_|AWS_SSM_|BATON_LOCAL_|BATON_HOST_)/.test(line));
    expect(strange).toEqual([]);
    expect(one.read('agent.sh.pwd')).toBe(`${join(one.dir, 'run')}\n`);
    // The runner is not root, and nobody else gets as far.
    expect((statSync(join(one.dir, 'run')).mode & 0o777).toString(8)).toBe('777');
    expect(one.read('agent.sh.word')).toBe('run\n');
  });

  it('leaves neither a process nor a file, and says so before it gives the host free', async () => {
    const one = host();
    agentDoes(
      one,
      `(setsid sh -c '${GOES_ON}' >/dev/null 2>&1 &); until [ -s "$BATON_SCRIPT.pid" ]; do sleep 0.05; done; echo secret > left; mkdir -p deep/er; ln -s / deep/root`,
    );
    const command = one.command(aCommand());
    expect(await command.ended).toBe(0);
    expect(command.output()).toContain('nothing of');
    expect(lives(await pidIn(one))).toBe(false);
    expectClear(one);
    await eventually(() => isFree(one), 'the lock');
  });

  it('gets only the image that the boot has pulled, no way to more rights, and goes first when memory or numbers run out', async () => {
    const one = host();
    agentDoes(one, 'true');
    await one.command(aCommand()).ended;
    const [started = ''] = one.calls().filter((call) => call.startsWith('run '));
    for (const words of [
      '--pull never',
      '--security-opt no-new-privileges',
      '--pids-limit 8192',
      '--oom-score-adj 500',
      '--ulimit core=0',
      'agent:1 run',
    ]) {
      expect(started).toContain(words);
    }
    expect(started).not.toMatch(/--privileged|docker\.sock|--network|--cap-add/);
    // The agent could read the environment of such a process, and with it what the runner is told.
    expect(started).not.toContain('--init');
  });

  it('keeps its log and its report where they are not wiped', async () => {
    const one = host();
    agentDoes(one, 'echo hello; echo {} > report.json');
    const command = aCommand();
    await one.command(command).ended;

    expect(one.read('runs', 'run', 'agent.log')).toBe('hello\n');
    expect(one.read('runs', 'run', 'report.json')).toBe('{}\n');
  });

  it('removes containers that have ended, never images', async () => {
    const one = host();
    agentDoes(one, 'true');
    await one.command(aCommand()).ended;
    expect(one.calls()).toContain('container prune --force');
    // Volumes that an image asks for have no name, and go with the container.
    expect(one.calls().find((call) => call.startsWith('rm '))).toMatch(/^rm --force --volumes \w+$/);
    expect(one.calls().filter((call) => /system|image|volume prune/.test(call))).toEqual([]);
  });

  it('never ends with the code for which SSM reboots the machine', async () => {
    const one = host();
    agentDoes(one, 'exit 194');
    expect(await one.command(aCommand()).ended).toBe(1);
  });

  it.each([
    ['SIGKILL ends', 'kill -9 $$'],
    ['ends with the code of SIGKILL', 'exit 137'],
    ['leaves no code', 'until [ -e ../code ]; do sleep 0.05; done; rm ../code; : > ../code; exit 7'],
  ])('that %s is told as killed, never with the code that SSM takes for the end of its time', async (_, script) => {
    const one = host();
    agentDoes(one, script);
    const parameters = aCommand();
    expect(await one.command(parameters).ended).toBe(HOST_EXIT.killed);
    expect(readFileSync(endedFile(one, parameters), 'utf8')).toBe(`${HOST_EXIT.killed}\n`);
  });

  it('whose end cannot be noted says so', async () => {
    const one = host();
    agentDoes(one, 'rm -rf ../ended; ln -s /proc/self ../ended; exit 7');
    const parameters = aCommand();
    const command = one.command(parameters);
    expect(await command.ended).toBe(7);
    expect(command.output()).toContain(`it cannot be noted that ${parameters['taskId']}/1 ended with 7`);
  });

  it('that cannot be started says so, and leaves nothing', async () => {
    const one = host();
    one.breakDocker('^run ');
    expect(await one.command(aCommand()).ended).toBe(HOST_EXIT.notStarted);
    expectClear(one);
    expect(await eventually(() => isFree(one), 'the lock')).toBe(true);
  });

  it('on a host that cannot say whose it is does not start', async () => {
    const one = host();
    mkdirSync(join(one.dir, 'holder', 'in the way'), { recursive: true });
    const command = one.command(aCommand());
    expect(await command.ended).toBe(HOST_EXIT.notStarted);
    expect(command.output()).toContain('cannot be written');
  });

  it('on a host without an image does not start', async () => {
    const one = host();
    rmSync(join(one.dir, 'image'));
    expect(await one.command(aCommand()).ended).toBe(HOST_EXIT.notStarted);
  });
});

onLinux('a command that comes again', () => {
  it('starts nothing while the first works, however long, and tells the same when that has ended', async () => {
    const one = host({ stopTimeoutS: 1, marginS: 1 });
    agentDoes(one, 'echo run >> "$BATON_SCRIPT.runs"; until [ -e "$BATON_SCRIPT.go" ]; do sleep 0.05; done; exit 3');
    const command = aCommand();
    const first = one.command(command);
    await eventually(() => one.read('agent.sh.runs'), 'the run');
    const again = one.command(command);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    writeFileSync(join(one.folder, 'agent.sh.go'), '');
    expect(await Promise.all([first.ended, again.ended])).toEqual([3, 3]);
    expect(await one.command(command).ended).toBe(3);
    expect(one.read('agent.sh.runs')).toBe('run\n');
  });

  it('does not run once more when the end of the first was not seen, as after a restart of the machine', async () => {
    const one = host();
    agentDoes(one, 'echo run >> "$BATON_SCRIPT.runs"');
    const command = aCommand();
    expect(await one.command(command).ended).toBe(0);
    rmSync(endedFile(one, command));
    for (const again of [one.command(command), one.command(command)]) {
      expect(await again.ended).toBe(HOST_EXIT.killed);
      expect(again.output()).toContain('nothing of');
    }
    expect(one.read('agent.sh.runs')).toBe('run\n');
    expect(await one.command(aCommand()).ended).toBe(0);
  });

  it('tells of a first whose code is lost that it was killed', async () => {
    const one = host();
    agentDoes(one, 'true');
    const command = aCommand();
    await one.command(command).ended;
    writeFileSync(endedFile(one, command), '');
    expect(await one.command(command).ended).toBe(HOST_EXIT.killed);
  });

  it.each([
    ['ran', 'run', 3],
    ['was ended before it began', 'end', HOST_EXIT.over],
  ])('when its attempt is over, which %s, leaves the run of the next task alone', async (_, action, code) => {
    const one = host();
    agentDoes(one, 'exit 3');
    const old = aCommand();
    await one.command(action === 'end' ? { ...old, action, payload: '-' } : old).ended;
    agentDoes(one, GOES_ON);
    const next = one.command(aCommand());
    const pid = await pidIn(one);
    const late = one.command(old);
    expect(await late.ended).toBe(code);
    expect(late.output()).toContain('nothing of');
    expect(lives(pid)).toBe(true);
    expect(one.calls().filter((call) => call.startsWith('kill '))).toEqual([]);
    process.kill(next.pid, 'SIGTERM');
    await next.ended;
  });

  it('tells nothing of an attempt that is over before what is left of it is removed', async () => {
    const one = host();
    agentDoes(one, 'exit 3');
    const old = aCommand();
    await one.command(old).ended;
    agentDoes(one, GOES_ON);
    const next = one.command(aCommand());
    await pidIn(one);
    const left = {
      ...{ name: 'left', labels: { 'baton.run': `${old['taskId']}/1` } },
      ...{ path: join(one.folder, 'nowhere'), workspace: one.dir, stopTimeoutSeconds: 0 },
    };
    writeFileSync(join(one.dir, 'containers', 'left.json'), JSON.stringify(left));
    expect(await one.command(old).ended).toBe(3);
    expectClear(one);
    expect(await next.ended).toBe(HOST_EXIT.killed);
  });

  it('is not taken for another attempt of its task', async () => {
    const one = host();
    agentDoes(one, 'echo "$BATON_ATTEMPT" >> "$BATON_SCRIPT.runs"');
    const command = aCommand();
    expect(await one.command(command).ended).toBe(0);
    expect(await one.command({ ...command, attempt: '2' }).ended).toBe(0);
    expect(one.read('agent.sh.runs')).toBe('1\n2\n');
  });
});

onLinux('a host that still has another run', () => {
  it('kills it before it begins with the next', async () => {
    const one = host();
    agentDoes(one, `trap "" TERM; ${GOES_ON}`);
    const old = one.command(aCommand());
    const pid = await pidIn(one);
    // A dead process whose number the first process of the machine has not taken back yet is none.
    agentDoes(
      one,
      `{ ls -A; echo all; } > "$BATON_SCRIPT.seen"; grep -qs '^State:.[^Z]' /proc/${pid}/status && echo alive >> "$BATON_SCRIPT.seen"; true`,
    );
    expect(await one.command(aCommand()).ended).toBe(0);
    expect(await old.ended).toBe(HOST_EXIT.killed);
    expect(one.read('agent.sh.seen')).toBe('all\n');
  });

  it('starts nothing when that cannot be ended, and says that nothing is proven', async () => {
    const one = host({ stopTimeoutS: 1, marginS: 1 });
    agentDoes(one, 'true');
    await one.command(aCommand()).ended;
    writeFileSync(
      join(one.dir, 'containers', 'stuck.json'),
      JSON.stringify({
        name: 'stuck',
        labels: { 'baton.run': 'x/1' },
        path: one.folder,
        workspace: one.dir,
        stopTimeoutSeconds: 0,
      }),
    );
    one.breakDocker('^rm ');
    agentDoes(one, 'echo ran > "$BATON_SCRIPT.ran"');
    expect(await one.command(aCommand()).ended).toBe(HOST_EXIT.unproven);
    expect(one.read('agent.sh.ran')).toBeUndefined();
    rmSync(join(one.dir, 'containers', 'stuck.json'));
  });

  it.each([
    ['run', '^kill '],
    ['end', '^stop '],
  ])('does not wait for that longer than it may, however long the daemon takes: %s', async (action, slow) => {
    const one = host({ stopTimeoutS: 3, marginS: 3 });
    agentDoes(one, GOES_ON);
    const parameters = aCommand();
    one.command(parameters);
    await pidIn(one);
    one.slowDocker(slow, 5);
    one.breakDocker('^(stop|kill|rm) ');
    const next = action === 'end' ? { ...parameters, action, payload: '-' } : aCommand();
    expect(await one.command(next).ended).toBe(HOST_EXIT.unproven);
    // Six seconds are two looks of five and the wait for the lock before them, where six looks would take half a minute.
    expect(one.calls().filter((call) => new RegExp(slow).test(call)).length).toBeLessThanOrEqual(2);
  });

  it('has no proof when nobody can tell what runs', async () => {
    const one = host();
    agentDoes(one, 'true');
    one.breakDocker('^ps ');
    expect(await one.command(aCommand()).ended).toBe(HOST_EXIT.unproven);
    expect(await one.command(aCommand({ action: 'end', payload: '-' })).ended).toBe(HOST_EXIT.unproven);
  });
});

onLinux('a command that is killed', () => {
  it('as SSM kills it has its run stopped all the same, with time to save its work', async () => {
    const one = host();
    agentDoes(one, `trap 'echo saved > "$BATON_SCRIPT.saved"; exit 143' TERM; ${GOES_ON}`);
    const command = one.command(aCommand());
    const pid = await pidIn(one);
    process.kill(-command.pid, 'SIGKILL');
    expect(await command.ended).toBe('SIGKILL');
    expect(isFree(one)).toBe(false);
    await eventually(() => isFree(one), 'the end of the run');
    expect(one.read('agent.sh.saved')).toBe('saved\n');
    expect(lives(pid)).toBe(false);
    expectClear(one);
  });

  it('keeps its attempt from beginning again', async () => {
    const one = host();
    agentDoes(one, GOES_ON);
    const parameters = aCommand();
    const command = one.command(parameters);
    await pidIn(one);
    process.kill(-command.pid, 'SIGKILL');
    expect(await one.command(parameters).ended).toBe(HOST_EXIT.killed);
  });

  it('has its run stopped on a full disk, too, where its guard can say nothing', async () => {
    const one = host();
    symlinkSync('/dev/full', join(one.dir, 'guard.log'));
    agentDoes(one, GOES_ON);
    const command = one.command(aCommand());
    const pid = await pidIn(one);
    process.kill(-command.pid, 'SIGKILL');
    await eventually(() => isFree(one), 'the end of the run');
    expect(lives(pid)).toBe(false);
    expectClear(one);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('by %s stops its run, and proves it', async (signal) => {
    const one = host();
    agentDoes(one, GOES_ON);
    const command = one.command(aCommand());
    const pid = await pidIn(one);
    process.kill(command.pid, signal);
    expect(await command.ended).toBe(143);
    expect(command.output()).toContain('nothing of');
    expect(lives(pid)).toBe(false);
    expectClear(one);
  });
});

onLinux('a command that ends an attempt', () => {
  it('stops it, with time to save its work, and proves that nothing is left', async () => {
    const one = host();
    agentDoes(one, `trap 'echo saved > "$BATON_SCRIPT.saved"; exit 143' TERM; ${GOES_ON}`);
    const parameters = aCommand();
    const run = one.command(parameters);
    const pid = await pidIn(one);
    const end = one.command({ ...parameters, action: 'end', payload: '-' });
    expect(await end.ended).toBe(0);
    expect(end.output()).toContain('nothing of');
    expect(lives(pid)).toBe(false);
    expectClear(one);
    expect(await run.ended).toBe(143);
    expect(one.read('agent.sh.saved')).toBe('saved\n');
  });

  it('proves as well what ended long before, and what was never here', async () => {
    const one = host();
    agentDoes(one, 'exit 5');
    const parameters = aCommand();
    await one.command(parameters).ended;
    expect(await one.command({ ...parameters, action: 'end', payload: '-' }).ended).toBe(0);
    expect(await one.command(aCommand({ action: 'end', payload: '-' })).ended).toBe(0);
    // What it ended with is not forgotten.
    expect(await one.command(parameters).ended).toBe(5);
  });

  it('lets nothing of it begin afterwards', async () => {
    const one = host();
    agentDoes(one, 'echo ran > "$BATON_SCRIPT.ran"');
    const parameters = aCommand();
    expect(await one.command({ ...parameters, action: 'end', payload: '-' }).ended).toBe(0);
    expect(await one.command(parameters).ended).toBe(HOST_EXIT.over);
    expect(one.read('agent.sh.ran')).toBeUndefined();
  });

  it('waits for one that is just beginning, and ends that', async () => {
    const one = host();
    agentDoes(one, GOES_ON);
    one.slowDocker('^run ', 2);
    const parameters = aCommand();
    const run = one.command(parameters);
    await eventually(() => one.calls().some((call) => call.startsWith('run ')), 'its beginning');
    expect(await one.command({ ...parameters, action: 'end', payload: '-' }).ended).toBe(0);
    expect(one.calls().filter((call) => call.startsWith('stop ')).length).toBeGreaterThan(0);
    expectClear(one);
    expect(await run.ended).not.toBe(0);
  });

  it('waits for one whose container has its name and is coming up, and ends that at once', async () => {
    // Less than the time of a stop: a container that hears the word too late would be killed after that only, and END_S be over.
    const one = host({ comesUpS: 2, stopTimeoutS: 20, marginS: 0 });
    agentDoes(one, `trap 'exit 143' TERM; ${GOES_ON}`);
    const parameters = aCommand();
    const run = one.command(parameters);
    await eventually(() => one.names('host', 'containers').length > 0, 'its name');
    expect(await one.command({ ...parameters, action: 'end', payload: '-' }).ended).toBe(0);
    expectClear(one);
    expect(await run.ended).not.toBe(0);
  });

  it('leaves the run of another attempt alone', async () => {
    const one = host();
    agentDoes(one, GOES_ON);
    const parameters = aCommand();
    const run = one.command(parameters);
    const pid = await pidIn(one);
    expect(await one.command(aCommand({ action: 'end', payload: '-' })).ended).toBe(0);
    expect(lives(pid)).toBe(true);
    process.kill(run.pid, 'SIGTERM');
    await run.ended;
  });

  it('has no proof when it cannot be noted that nothing of it may begin', async () => {
    const one = host();
    agentDoes(one, GOES_ON);
    const parameters = aCommand();
    const run = one.command(parameters);
    const pid = await pidIn(one);
    rmSync(join(one.dir, 'ended'), { recursive: true });
    symlinkSync('/proc/self', join(one.dir, 'ended'));
    expect(await one.command({ ...parameters, action: 'end', payload: '-' }).ended).toBe(HOST_EXIT.unproven);
    expect(lives(pid)).toBe(false);
    expect(await run.ended).toBe(143);
  });

  it('has no proof when the run cannot be ended', async () => {
    const one = host({ stopTimeoutS: 1, marginS: 1 });
    agentDoes(one, GOES_ON);
    const parameters = aCommand();
    const run = one.command(parameters);
    await pidIn(one);
    one.breakDocker('^(stop|rm) ');
    process.kill(run.pid, 'SIGTERM');
    expect(await run.ended).toBe(HOST_EXIT.unproven);
    expect(await one.command({ ...parameters, action: 'end', payload: '-' }).ended).toBe(HOST_EXIT.unproven);
    // That has noted that the attempt is over, which is no proof of it.
    expect(await one.command(parameters).ended).toBe(HOST_EXIT.unproven);
  });
});

onLinux('the parameters of a command', () => {
  const texts = [
    '',
    ' ',
    "'",
    '"',
    '$(touch "$BATON_SCRIPT.hacked")',
    '`touch $BATON_SCRIPT.hacked`',
    '; touch hacked',
    '../../x',
    '-',
    '--rm',
    'a\nb',
    '*',
    '${IFS}',
    '\u0000'.repeat(0),
    '{{ taskId }}',
    '\\',
  ];
  const hostile = fc.oneof(
    fc.constantFrom(...texts),
    fc.string({ unit: 'binary', maxLength: 40 }).map((text) => text.replaceAll('\0', '')),
    // Good ones with something before, behind or in them.
    fc
      .tuple(fc.constantFrom('action', 'taskId', 'attempt', 'payload'), fc.constantFrom(...texts), fc.nat(20))
      .map(([name, text, at]) => {
        const good = aCommand()[name] ?? '';
        return good.slice(0, at) + text + good.slice(at);
      }),
  );
  const names = fc.constantFrom('action', 'taskId', 'attempt', 'payload', 'instance');

  it('reach no shell, whatever they are: what is not as it must be starts nothing', async () => {
    const one = host();
    agentDoes(one, 'echo ran > "$BATON_SCRIPT.ran"');
    await fc.assert(
      fc.asyncProperty(names, hostile, async (name, text) => {
        const pattern = name === 'instance' ? '^m?i-[0-9a-f]{8,32}$' : documentParameters[name];
        fc.pre(!new RegExp(pattern).test(text) || (name === 'payload' && text === '-'));
        const command = name === 'instance' ? one.command(aCommand(), text) : one.command(aCommand({ [name]: text }));
        expect(await command.ended).toBe(HOST_EXIT.refused);
        // It is not even repeated.
        expect(command.output()).toMatch(
          /^baton: the parameter (action|taskId|attempt|payload|instance id) is not valid\n$/,
        );
      }),
      { numRuns: 200 },
    );
    expect(one.names().filter((name) => !['agent.sh', 'bin', 'host', 'runs'].includes(name))).toEqual([]);
    expect(one.names('host')).toEqual(['container.env', 'image']);
    expect(one.calls()).toEqual([]);
  });

  it('that are missing start nothing', async () => {
    const one = host();
    for (const name of ['action', 'taskId', 'attempt', 'payload']) {
      expect(await one.command(aCommand({ [name]: undefined })).ended).toBe(HOST_EXIT.refused);
    }
  });
});

onLinux('the text of the script', () => {
  const text = readFileSync(SCRIPT, 'utf8');
  const lines = text.split('\n');

  it('is understood by bash, and names it in its first line', () => {
    expect(lines[0]).toBe('#!/bin/bash');
    expect(execFileSync('bash', ['-n', SCRIPT], { encoding: 'utf8' })).toBe('');
  });

  it('has nothing that SSM would replace, evaluate or expand', () => {
    const code = lines.filter((line) => !line.trim().startsWith('#'));
    expect(text).not.toContain('{{');
    expect(code.filter((line) => /\beval\b|`|\bsource\b|^\s*\. /.test(line))).toEqual([]);
  });

  it('says in the words that the control plane knows that nothing is left', () => {
    const words = nothingLeftOf({ taskId: 'T', attempt: 1 }).replace('T/1', '$RUN');
    expect(text.split(words)).toHaveLength(5);
  });

  it('tells the codes that the control plane knows', () => {
    const told = Object.fromEntries(
      [...text.matchAll(/^readonly EXIT_(\w+)=(\d+)$/gm)].map(([, name, code]) => [name, Number(code)]),
    );
    expect(told).toEqual({
      UNPROVEN: HOST_EXIT.unproven,
      OVER: HOST_EXIT.over,
      REFUSED: HOST_EXIT.refused,
      NOT_STARTED: HOST_EXIT.notStarted,
      KILLED: HOST_EXIT.killed,
      SIGKILL: 137,
      REBOOT: 194,
    });
  });

  it('gives every bound a name and a reason', () => {
    const bounds = lines.flatMap((line, at) => (/^readonly \w+_(S|D|MAX)=/.test(line) ? [lines[at - 1] ?? ''] : []));
    expect(bounds.length).toBeGreaterThan(4);
    expect(bounds.filter((line) => !line.startsWith('# '))).toEqual([]);
  });
});
