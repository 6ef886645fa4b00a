import * as z from 'zod';
import { AwsError, refused } from './aws-error.ts';
import { type AwsService, type Place, parsedInput } from './aws-service.ts';
import { restJsonProtocol } from './rest-json-protocol.ts';

const schedule = z.looseObject({
  Name: z.string().regex(/^[0-9a-zA-Z-_.]{1,64}$/, 'Member must satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$'),
  GroupName: z.string().default('default'),
  ScheduleExpression: z.string(),
  ScheduleExpressionTimezone: z.string().default('UTC'),
  FlexibleTimeWindow: z.looseObject({ Mode: z.enum(['OFF', 'FLEXIBLE']) }),
  Target: z.looseObject({ Arn: z.string(), RoleArn: z.string(), Input: z.string().optional() }),
  ActionAfterCompletion: z.enum(['NONE', 'DELETE']).default('NONE'),
  State: z.enum(['ENABLED', 'DISABLED']).default('ENABLED'),
});

/** A one-time schedule: what was asked for, and when it is due in milliseconds since the epoch. */
export interface OneTimeSchedule {
  readonly input: z.infer<typeof schedule>;
  readonly dueMs: number;
  readonly createdMs: number;
}

/** Keeps schedules and delivers them when they are due. */
export interface ScheduleBook {
  /** Whether a target is one that this world can reach. */
  reaches(targetArn: string): boolean;
  /** False if one of that group and name is there already. */
  add(schedule: OneTimeSchedule): Promise<boolean>;
  get(group: string, name: string): Promise<OneTimeSchedule | undefined>;
  /** False if there was none. */
  delete(group: string, name: string): Promise<boolean>;
}

export interface SchedulerParts {
  readonly place: Place;
  readonly groups: readonly string[];
  readonly book: ScheduleBook;
  /** Now, as `Date.toISOString` writes it. */
  now(): string;
}

const named = z.looseObject({ Name: z.string(), GroupName: z.string().default('default') });

/** EventBridge Scheduler for one-time schedules. They ring to the second here, on AWS within a minute. */
export function schedulerService({ place, groups, book, now }: SchedulerParts): AwsService {
  const query = { groupName: 'GroupName' };
  return {
    signingName: 'scheduler',
    protocol: restJsonProtocol([
      { operation: 'CreateSchedule', method: 'POST', path: '/schedules/{Name}' },
      { operation: 'GetSchedule', method: 'GET', path: '/schedules/{Name}', query },
      { operation: 'DeleteSchedule', method: 'DELETE', path: '/schedules/{Name}', query },
    ]),
    operations: {
      async CreateSchedule(given) {
        const input = parsedInput(schedule, given);
        assertGroup(input.GroupName);
        if (!book.reaches(input.Target.Arn)) {
          throw refused(
            'ValidationException',
            `Provided Arn is not in correct format, or nothing here has it: ${input.Target.Arn}`,
          );
        }
        const added = { input, dueMs: dueOf(input), createdMs: Date.parse(now()) };
        if (!(await book.add(added)))
          throw new AwsError('ConflictException', 409, `Schedule ${input.Name} already exists.`);
        return { ScheduleArn: arnOf(input) };
      },
      async GetSchedule(given) {
        const { Name, GroupName } = parsedInput(named, given);
        const found = await book.get(GroupName, Name);
        if (!found) throw notFound(`Schedule ${Name} does not exist.`);
        const { input, createdMs } = found;
        const { ClientToken: _token, ...shown } = input;
        const at = createdMs / 1_000;
        return { ...shown, Arn: arnOf(input), CreationDate: at, LastModificationDate: at };
      },
      async DeleteSchedule(given) {
        const { Name, GroupName } = parsedInput(named, given);
        if (!(await book.delete(GroupName, Name))) throw notFound(`Schedule ${Name} does not exist.`);
        return {};
      },
    },
  };

  function assertGroup(group: string): void {
    if (!groups.includes(group)) throw notFound(`Schedule group ${group} does not exist.`);
  }

  function arnOf({ GroupName, Name }: { GroupName: string; Name: string }): string {
    return `arn:aws:scheduler:${place.region}:${place.account}:schedule/${GroupName}/${Name}`;
  }
}

const notFound = (message: string) => new AwsError('ResourceNotFoundException', 404, message);

/** The time in `at(yyyy-mm-ddThh:mm:ss)`, in UTC. */
function dueOf({ ScheduleExpression: expression, ScheduleExpressionTimezone: zone }: OneTimeSchedule['input']): number {
  const [, at] = /^at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)$/.exec(expression) ?? [];
  const dueMs = Date.parse(`${at}Z`);
  if (at === undefined || Number.isNaN(dueMs)) {
    throw refused(
      'ValidationException',
      `Invalid Schedule Expression ${expression}. Only one-time schedules are served here.`,
    );
  }
  if (zone !== 'UTC') throw refused('ValidationException', `Only the time zone UTC is served here, not ${zone}.`);
  return dueMs;
}
