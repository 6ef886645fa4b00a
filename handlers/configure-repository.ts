import { requesterOf } from '../events/define.ts';
import { repositoryConfigRefused } from '../events/repository-config-refused.ts';
import { repositoryConfigRequested } from '../events/repository-config-requested.ts';
import { repositoryConfigured } from '../events/repository-configured.ts';
import { given, unmetOf } from '../lifecycle/terms.ts';
import { configureRepository as rule } from '../rules/configure-repository.ts';
import { refused, said } from '../runtime/outcome.ts';
import { looseEvent } from '../runtime/published.ts';
import { causeOf, react } from '../runtime/react.ts';
import type { Envelope } from '../schemas/envelope.ts';
import { shortText } from '../schemas/json.ts';
import { CONFIGURATIONS_MAX, CONFIGURATIONS_MAX_BYTES } from '../schemas/repository-config.ts';

/** Longest difference between a producer's clock and the bus's, in milliseconds; beyond it the time of the bus orders requests. */
const CLOCK_SKEW_MAX_MS = 5 * 60_000;

/**
 * Stores the configuration of a repository. Twice is harmless: a request is stored once, and one that was overtaken by a later
 * one, in whatever order they come, changes nothing and says so.
 */
export const configureRepository = react(rule, async (event, { configurations, settings, clock }, { mayRepeat }) => {
  const cause = causeOf(event);
  const correlationId = event.detail.metadata?.correlationId ?? event.id;
  const about = { cause, correlationId, at: clock.now() };
  const tell = (fact: { type: string; data: unknown }) =>
    said([looseEvent(fact, { ...about, id: `${cause.id}#${fact.type}` })]);
  const refuse = (message: string, code = 'bad_request') =>
    tell(
      repositoryConfigRefused.of({
        name: shortText(nameIn(event.detail.data)),
        reason: { code, message: shortText(message) },
      }),
    );

  const requester = requesterOf(event.source);
  if (requester !== undefined) return refuse(`"${requester}" asks under a source of its own and may not configure`);
  const parsed = repositoryConfigRequested.schema.safeParse(event.detail.data);
  if (!parsed.success) return refuse(complaints(parsed.error.issues));
  const { name, config } = parsed.data;
  const at = askedAt(event);
  if (Date.parse(at) > Date.parse(clock.now()) + CLOCK_SKEW_MAX_MS)
    return refuse(`it was asked at ${at}, which is not yet; nothing could replace it until then`);

  const unmet = config === null ? undefined : unmetOf({ name, config }, settings);
  const warning = given({ warning: unmet === undefined ? undefined : shortText(unmet) });
  const fact = repositoryConfigured.of({ name, removed: config === null, limit: config?.limit ?? null, ...warning });
  switch (await configurations.set(name, config, { id: cause.id, at, ...warning })) {
    case 'stored':
      return tell(fact);
    case 'already':
      return mayRepeat({ committedAt: event.time }) ? tell(fact) : refused('configured_already');
    case 'older':
      return [refused('configured_again_since'), refuse('a later request for this name holds', 'overtaken')];
    case 'full':
      return refuse(
        `there is no room for another: ${CONFIGURATIONS_MAX} configurations, or ${CONFIGURATIONS_MAX_BYTES} bytes of them; remove some, or use a pattern`,
      );
  }
});

/** When it was asked: as the producer says, unless the bus finds that far off. The same for every delivery. */
function askedAt({ time, detail }: Envelope<string, { metadata?: { occurredAt?: string } }>): string {
  const asked = Date.parse(detail.metadata?.occurredAt ?? '');
  const put = Date.parse(time);
  return new Date(Math.abs(asked - put) <= CLOCK_SKEW_MAX_MS ? asked : put).toISOString();
}

function nameIn(data: unknown): string {
  const { name } = (data ?? {}) as { name?: unknown };
  return typeof name === 'string' ? name : '';
}

const complaints = (issues: readonly { path: readonly PropertyKey[]; message: string }[]): string =>
  issues
    .map(({ path, message }) => (path.length > 0 ? `${path.map(String).join('.')}: ${message}` : message))
    .join('; ');
