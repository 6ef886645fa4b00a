import { Duration } from 'aws-cdk-lib';
import { Archive, EventBus } from 'aws-cdk-lib/aws-events';
import type { Construct } from 'constructs';
import type { Rule } from '../rules/rule.ts';
import type { Names } from './names.ts';
import { hearsNative, type NativeScope } from './scoped-pattern.ts';
import type { Settings } from './settings.ts';

/**
 * Archives the native events about runs of this stage, and no others of the account: a replay goes to the bus of its archive only, and
 * native events are heard on the default bus. None where no rule hears any.
 */
export function nativeArchive(
  scope: Construct,
  { names, settings, rules, scopes }: { names: Names; settings: Settings; rules: readonly Rule[]; scopes: NativeScope },
): Archive | undefined {
  const events = rules.filter(hearsNative).flatMap(({ on }) => on);
  const detail = scopes['aws.ecs'];
  if (events.length === 0 || detail === null) return undefined;
  return new Archive(scope, 'NativeArchive', {
    archiveName: names.nativeArchive,
    sourceEventBus: EventBus.fromEventBusName(scope, 'DefaultBus', 'default'),
    eventPattern: {
      source: [...new Set(events.map(({ source }) => source))],
      detailType: [...new Set(events.map(({ type }) => type))],
      detail,
    },
    retention: Duration.days(settings.archiveRetentionDays),
  });
}
