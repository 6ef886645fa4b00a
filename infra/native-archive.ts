import { Duration } from 'aws-cdk-lib';
import { Archive, type CfnArchive, EventBus } from 'aws-cdk-lib/aws-events';
import type { Construct } from 'constructs';
import type { EventPattern } from '../rules/event-pattern.ts';
import type { Rule } from '../rules/rule.ts';
import type { Names } from './names.ts';
import { hearsNative, type NativeScope } from './scoped-pattern.ts';
import type { Settings } from './settings.ts';

/**
 * Archives the native events about runs of this stage, and no others of the account: a replay goes to the bus of its archive only, and
 * native events are heard on the default bus. Those that nothing narrows to this stage (of EC2) are left out. None where no rule hears any.
 */
export function nativeArchive(
  scope: Construct,
  { names, settings, rules, scopes }: { names: Names; settings: Settings; rules: readonly Rule[]; scopes: NativeScope },
): Archive | undefined {
  const events = rules.filter(hearsNative).flatMap(({ on }) => on);
  const patterns = Object.entries(scopes).flatMap(([source, detail]: [string, EventPattern]): EventPattern[] => {
    const types = events.filter((event) => event.source === source).map(({ type }) => type);
    if (types.length === 0 || Object.keys(detail).length === 0) return [];
    return [{ source: [source], 'detail-type': [...new Set(types)], detail }];
  });
  const [first] = patterns;
  if (!first) return undefined;
  const archive = new Archive(scope, 'NativeArchive', {
    archiveName: names.nativeArchive,
    sourceEventBus: EventBus.fromEventBusName(scope, 'DefaultBus', 'default'),
    eventPattern: { source: first['source'] as string[] },
    retention: Duration.days(settings.archiveRetentionDays),
  });
  // The construct's own pattern knows no alternatives.
  const own = archive.node.defaultChild as CfnArchive;
  own.eventPattern = patterns.length > 1 ? { $or: patterns } : first;
  return archive;
}
