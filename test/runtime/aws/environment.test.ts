import { describe, expect, test } from '@jest/globals';
import { awsTimings } from '../../../lifecycle/timings.ts';
import { functionEnvironment, timingsOf } from '../../../runtime/aws/environment.ts';
import type { BatonError } from '../../../runtime/errors.ts';

const TASKS = {
  BATON_TABLE: 'baton',
  BATON_RECORD_RETENTION_D: '90',
  BATON_ALARM_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/000000000000/baton-alarms',
  BATON_ALARM_QUEUE_ARN: 'arn:aws:sqs:us-east-1:000000000000:baton-alarms',
  BATON_ALARM_GROUP: 'baton',
  BATON_ALARM_ROLE_ARN: 'arn:aws:iam::000000000000:role/baton-alarms',
  BATON_ALARM_DEAD_LETTERS_ARN: 'arn:aws:sqs:us-east-1:000000000000:baton-alarms-dead',
};
const ECS = {
  BATON_ECS_CLUSTER: 'arn:aws:ecs:us-east-1:000000000000:cluster/baton',
  BATON_ECS_TASK_FAMILY: 'baton-agent',
  BATON_ECS_SUBNETS: ' subnet-a, subnet-b,,subnet-c, ',
  BATON_ECS_SECURITY_GROUPS: 'sg-a',
};
const AGENTCORE = {
  BATON_AGENTCORE_RUNTIME_ARN: 'arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/baton_agent-0123456789',
  BATON_AGENTCORE_QUALIFIER: 'live',
};

const complaint = (read: () => unknown): BatonError => {
  try {
    read();
  } catch (error) {
    return error as BatonError;
  }
  throw new Error('the environment was accepted');
};

describe('an environment with everything that its ports need', () => {
  // A15
  test('is read by port, each value in its own type', () => {
    const environment = functionEnvironment(['bus', 'tasks', 'ecs'], { BATON_BUS: 'baton', ...TASKS, ...ECS });
    expect(environment.bus).toEqual({ BATON_BUS: 'baton' });
    expect(environment.tasks).toEqual({ ...TASKS, BATON_RECORD_RETENTION_D: 90 });
    expect(environment.ecs.BATON_ECS_SUBNETS).toEqual(['subnet-a', 'subnet-b', 'subnet-c']);
  });

  test('names the runtime and the endpoint at which sessions are started, and what their signs of life are read from', () => {
    const { agentcore } = functionEnvironment(['agentcore'], { ...TASKS, ...AGENTCORE });
    expect(agentcore).toEqual({ ...AGENTCORE, BATON_TABLE: 'baton', BATON_RECORD_RETENTION_D: 90 });
    const quicker = {
      ...TASKS,
      ...AGENTCORE,
      BATON_TIMINGS: '{"HEARTBEAT_SILENCE_S":9,"HEARTBEAT_S":3,"LIFE_LOOK_S":3}',
    };
    expect(timingsOf(functionEnvironment(['agentcore'], quicker).agentcore).HEARTBEAT_SILENCE_S).toBe(9);
  });

  test('names the fleets, the stage of their groups and the one document, as the back end needs them', () => {
    const FLEET = { BATON_FLEET_DOCUMENT: 'baton-run', BATON_FLEET_REGION: 'eu-west-1' };
    const SETTINGS = { BATON_STAGE: 'main', BATON_COMPUTES: 'ec2', BATON_FLEETS: ' main, big,,' };
    const read = functionEnvironment(['settings', 'ec2', 'machines'], { ...TASKS, ...FLEET, ...SETTINGS });
    expect(read.settings).toMatchObject({ BATON_COMPUTES: ['ec2'], BATON_FLEETS: ['main', 'big'] });
    expect(read.ec2).toMatchObject({ ...FLEET, BATON_STAGE: 'main' });
    expect(read.machines).toEqual({ BATON_STAGE: 'main' });
    const strange = () => functionEnvironment(['settings'], { ...SETTINGS, BATON_FLEETS: 'main,Big One' });
    expect(complaint(strange)).toMatchObject({ code: 'bad_configuration' });
    const half = () => functionEnvironment(['ec2'], { ...TASKS, BATON_FLEET_REGION: 'eu-west-1' });
    expect(complaint(half).message).toMatch(/BATON_FLEET_DOCUMENT is not set; BATON_STAGE is not set/);
  });

  test('has the waits for AWS, and those that it changes', () => {
    const { tasks } = functionEnvironment(['tasks'], { ...TASKS, BATON_TIMINGS: '{"STEP_RETRY_S":2}' });
    expect(timingsOf(tasks)).toEqual({ ...awsTimings, STEP_RETRY_S: 2 });
    expect(timingsOf({})).toEqual(awsTimings);
  });
});

describe('an environment with gaps', () => {
  // A12, A15
  test('is refused once, with the name of every variable that is missing or wrong', () => {
    const { BATON_TABLE, BATON_ALARM_GROUP, ...rest } = TASKS;
    const variables = {
      ...rest,
      ...ECS,
      BATON_RECORD_RETENTION_D: 'soon',
      BATON_ECS_SUBNETS: ' , ',
      BATON_ECS_CLUSTER: 'x',
    };
    const error = complaint(() => functionEnvironment(['bus', 'tasks', 'slots', 'ecs'], variables));
    expect(error.code).toBe('bad_configuration');
    expect(error.retry).toBe('never');
    const told = error.message.split(': ').slice(1).join(': ').split('; ');
    expect(told.map((one) => one.split(' ')[0])).toEqual([
      'BATON_ALARM_GROUP',
      'BATON_BUS',
      'BATON_ECS_CLUSTER',
      'BATON_ECS_SUBNETS',
      'BATON_RECORD_RETENTION_D',
      'BATON_TABLE',
      'BATON_TASKS_AT_ONCE',
    ]);
    expect(error.message).toContain('BATON_BUS is not set');
    expect(error.message).toContain('BATON_ECS_SUBNETS names nothing');
    expect(error.message).toContain('BATON_ECS_CLUSTER is no ARN');
  });

  // A12
  test('is refused where AgentCore is half set', () => {
    const told = (variables: object) =>
      complaint(() => functionEnvironment(['agentcore'], { ...TASKS, ...variables })).message;
    expect(told({})).toMatch(/BATON_AGENTCORE_QUALIFIER is not set; BATON_AGENTCORE_RUNTIME_ARN is not set$/);
    expect(told({ ...AGENTCORE, BATON_AGENTCORE_RUNTIME_ARN: 'baton_agent' })).toContain('RUNTIME_ARN is no ARN');
    expect(told({ ...AGENTCORE, BATON_AGENTCORE_QUALIFIER: ' ' })).toContain('BATON_AGENTCORE_QUALIFIER is empty');
  });

  test('is refused when it is empty where a name belongs', () => {
    expect(complaint(() => functionEnvironment(['bus'], { BATON_BUS: ' ' })).message).toContain('BATON_BUS is empty');
  });

  test('is refused when it changes a wait that does not exist', () => {
    const misspelt = { ...TASKS, BATON_TIMINGS: '{"STEP_RETRY":2}' };
    const { message } = complaint(() => functionEnvironment(['tasks'], misspelt));
    expect(message).toContain('BATON_TIMINGS there is no wait "STEP_RETRY"');
  });

  test('is refused where its waits would have healthy runs taken for dead', () => {
    const hasty = { ...TASKS, BATON_TIMINGS: '{"HEARTBEAT_S":30}' };
    expect(() => functionEnvironment(['tasks'], hasty)).toThrow('BATON_TIMINGS HEARTBEAT_SILENCE_S must be at least 3');
  });

  test('is not asked for what its ports do not need', () => {
    expect(functionEnvironment(['bus', 'clock'], { BATON_BUS: 'baton' })).toEqual({
      bus: { BATON_BUS: 'baton' },
      clock: {},
    });
  });
});
