import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { BASE_MARKER, cloneFor, type NewDefinition } from '../../lifecycle/user-definition.ts';
import type { Registry } from '../../runtime/definitions.ts';

/** An empty registry, whose clock stands still until it is told. */
export interface RegistryHarness {
  readonly registry: Registry;
  pass(seconds: number): void;
  close(): Promise<void>;
}

/** A definition as a deployment writes it, with the fields that matter to agents and some that do not. */
const aDefinition = (family: string, image = 'agent:1'): NewDefinition => ({
  family,
  tags: { [BASE_MARKER]: 'test', 'team/owner': 'core & more', empty: '' },
  definition: {
    family,
    networkMode: 'awsvpc',
    requiresCompatibilities: ['FARGATE'],
    cpu: '2048',
    memory: '4096',
    taskRoleArn: 'arn:aws:iam::000000000000:role/task',
    executionRoleArn: 'arn:aws:iam::000000000000:role/execution',
    runtimePlatform: { cpuArchitecture: 'ARM64', operatingSystemFamily: 'LINUX' },
    ephemeralStorage: { sizeInGiB: 40 },
    volumes: [
      {
        name: 'shared',
        efsVolumeConfiguration: {
          fileSystemId: 'fs-01234567',
          transitEncryption: 'ENABLED',
          authorizationConfig: { accessPointId: 'fsap-01234567', iam: 'ENABLED' },
        },
      },
    ],
    containerDefinitions: [
      { name: 'sidecar', image: 'otel:1', essential: false, portMappings: [{ containerPort: 4317, protocol: 'tcp' }] },
      {
        name: 'agent',
        image,
        essential: true,
        command: ['run', '--text', 'ünïcode "and" \\ more'],
        environment: [
          { name: 'EMPTY', value: '' },
          { name: 'ONE', value: '1' },
        ],
        secrets: [{ name: 'KEY', valueFrom: 'arn:aws:ssm:eu-west-1:000000000000:parameter/key' }],
        mountPoints: [{ sourceVolume: 'shared', containerPath: '/mnt/shared', readOnly: true }],
        dependsOn: [{ containerName: 'sidecar', condition: 'START' }],
        logConfiguration: { logDriver: 'awslogs', options: { 'awslogs-group': 'g', 'awslogs-stream-prefix': 'p' } },
        healthCheck: { command: ['CMD', 'true'], interval: 30, retries: 3, timeout: 5, startPeriod: 0 },
        linuxParameters: { initProcessEnabled: true },
        stopTimeout: 120,
        readonlyRootFilesystem: false,
        ulimits: [{ name: 'nofile', softLimit: 1_024, hardLimit: 4_096 }],
      },
    ],
  },
});

/** What every registry of task definitions promises to those who start runs. */
export function registryContract(name: string, open: () => Promise<RegistryHarness>): void {
  describe(`the task definitions of ${name}`, () => {
    let harness: RegistryHarness;
    let registry: Registry;
    beforeEach(async () => {
      harness = await open();
      registry = harness.registry;
    });
    afterEach(() => harness.close());

    it('are named by ARN, with family and a revision that counts on', async () => {
      const arns = [await registry.register(aDefinition('one')), await registry.register(aDefinition('one'))];
      expect(arns.map((arn) => arn.replace(/^arn:aws:ecs:[a-z0-9-]+:\d{12}:/, ''))).toEqual([
        'task-definition/one:1',
        'task-definition/one:2',
      ]);
      await registry.deregister(arns[1] ?? '');
      expect(await registry.register(aDefinition('one'))).toBe(arns[0]?.replace(/1$/, '3'));
    });

    // T9
    it('are found by their family: the newest that is active', async () => {
      expect(await registry.newest('one')).toBeUndefined();
      const first = await registry.register(aDefinition('one', 'agent:1'));
      const second = await registry.register(aDefinition('one', 'agent:2'));
      await registry.register(aDefinition('one-user', 'agent:3'));
      expect(await registry.newest('one')).toMatchObject({ arn: second, family: 'one' });
      await registry.deregister(second);
      expect(await registry.newest('one')).toMatchObject({ arn: first });
      await registry.deregister(first);
      expect(await registry.newest('one')).toBeUndefined();
    });

    it('count ten after nine', async () => {
      let last = '';
      for (let revision = 1; revision <= 11; revision++) last = await registry.register(aDefinition('many'));
      expect(last).toMatch(/:11$/);
      expect(await registry.newest('many')).toMatchObject({ arn: last });
    });

    it('are found by their ARN while they are active', async () => {
      const arn = await registry.register(aDefinition('one'));
      expect(await registry.active(arn)).toMatchObject({ arn, family: 'one' });
      await registry.deregister(arn);
      expect(await registry.active(arn)).toBeUndefined();
      expect(await registry.active(arn.replace(/1$/, '7'))).toBeUndefined();
    });

    it('may be deregistered twice, or never have been', async () => {
      const arn = await registry.register(aDefinition('one'));
      for (const each of [arn, arn, arn.replace(/1$/, '7')]) await registry.deregister(each);
      expect(await registry.newest('one')).toBeUndefined();
    });

    it('come back with all that was registered, tags and all', async () => {
      const written = aDefinition('one');
      const arn = await registry.register(written);
      for (const found of [await registry.newest('one'), await registry.active(arn)]) {
        expect(found?.tags).toEqual(written.tags);
        expect(found?.definition).toMatchObject(written.definition);
      }
    });

    it('can be registered again as they are described, without a change', async () => {
      await registry.register(aDefinition('one'));
      const base = await registry.newest('one');
      const clone = base && cloneFor(base, { userId: 'ada', terms: {}, fingerprint: 'f' });
      if (!clone) throw new Error('the base has an agent container');
      const { family: _base, ...written } = aDefinition('one').definition;
      const { family, ...copied } = clone.definition;
      expect(family).toBe('one-user');
      expect(JSON.parse(JSON.stringify(copied))).toEqual(written);
      const arn = await registry.register(clone);
      expect(await registry.newest('one-user')).toMatchObject({ arn, tags: clone.tags, definition: clone.definition });
      expect(clone.tags).not.toHaveProperty([BASE_MARKER]);
    });

    it('are each registered, or sent away to come again, when several of one family come at once', async () => {
      const answers = await Promise.allSettled([1, 2, 3].map(() => registry.register(aDefinition('one'))));
      const arns = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
      const refusals = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
      expect(arns.length).toBeGreaterThan(0);
      expect(new Set(arns).size).toBe(arns.length);
      for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'compute_throttled', retry: 'soon' });
      expect(arns).toContain((await registry.newest('one'))?.arn);
      expect((await registry.newest('one'))?.arn).toMatch(new RegExp(`:${arns.length}$`));
    });

    it('are throttled beyond twenty and one a second, registered or deregistered', async () => {
      const last = await registry.register(aDefinition('one'));
      for (let number = 2; number <= 20; number++) await registry.register(aDefinition('one'));
      const throttled = { code: 'compute_throttled', retry: 'soon' };
      await expect(registry.register(aDefinition('one'))).rejects.toMatchObject(throttled);
      await expect(registry.deregister(last)).rejects.toMatchObject(throttled);
      harness.pass(2);
      await registry.register(aDefinition('one'));
      await registry.deregister(last);
      await expect(registry.register(aDefinition('one'))).rejects.toMatchObject(throttled);
      expect(await registry.newest('one')).toMatchObject({ arn: last.replace(/1$/, '21') });
    });
  });
}
