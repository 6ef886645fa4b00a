import {
  ApplyGuardrailCommand,
  type BedrockRuntimeClient,
  type GuardrailAssessment,
} from '@aws-sdk/client-bedrock-runtime';
import { shortText } from '../../schemas/json.ts';
import {
  FINDINGS_MAX,
  type ScreeningFinding,
  type ScreeningVerdict,
  screeningFinding,
} from '../../schemas/screening.ts';
import type { Screening } from '../ports.ts';
import { sdkError } from './sdk-errors.ts';

/**
 * Characters of one call: 20 text units of 1,000. A call takes at most 25 of them, which in most regions is also what an account may
 * have judged per second (Amazon Bedrock service quotas, "ApplyGuardrail … text units per second").
 */
const CHUNK_CHARS = 20_000;
/** Characters that two neighbouring chunks share, so that nothing is hidden by being cut in two. */
const OVERLAP_CHARS = 500;
/** Calls at the same time: 1 MiB is some fifty, and one takes up to a second. */
const CALLS_AT_ONCE = 4;
/** Seconds for one text, however long it is: below the 30 of a function, which must still say what came of it. */
const SCREENING_MAX_S = 20;

export interface BedrockScreeningOptions {
  readonly client: BedrockRuntimeClient;
  readonly guardrail: { readonly id: string; readonly version: string };
  /** Seconds for one text; default SCREENING_MAX_S. */
  readonly maxSeconds?: number;
}

/**
 * Screens by a guardrail of Amazon Bedrock. Fails closed: whatever it intervenes against is blocked, also what it only masks, and
 * whatever goes wrong is a verdict of its own. A verdict never holds a word of the text.
 */
export function bedrockScreening(options: BedrockScreeningOptions): Screening {
  const { client, guardrail, maxSeconds = SCREENING_MAX_S } = options;
  const tooSlow = failed(`the text was not judged within ${maxSeconds} s`);

  return {
    async screen({ text }) {
      const chunks = chunksOf(text);
      const ends = AbortSignal.timeout(maxSeconds * 1000);
      const stop = new AbortController();
      const signal = AbortSignal.any([ends, stop.signal]);
      let verdict: ScreeningVerdict = { outcome: 'passed' };
      await Promise.all(Array.from({ length: CALLS_AT_ONCE }, judgeNext));
      return verdict;

      async function judgeNext(): Promise<void> {
        for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
          const one = await judged(chunk, signal);
          if (one.outcome === 'passed') continue;
          // The first one that does not pass decides, and ends the others.
          if (verdict.outcome === 'passed') verdict = ends.aborted ? tooSlow : one;
          stop.abort();
          return;
        }
      }
    },
  };

  async function judged(text: string, abortSignal: AbortSignal): Promise<ScreeningVerdict> {
    const command = new ApplyGuardrailCommand({
      guardrailIdentifier: guardrail.id,
      guardrailVersion: guardrail.version,
      source: 'INPUT',
      content: [{ text: { text } }],
    });
    try {
      const { action, assessments = [] } = await client.send(command, { abortSignal });
      if (action === 'NONE') return { outcome: 'passed' };
      if (action !== 'GUARDRAIL_INTERVENED') return failed(`the guardrail answers "${action}", which is unknown`);
      return { outcome: 'blocked', findings: findingsOf(assessments) };
    } catch (error) {
      const { name, status } = sdkError(error);
      // Not its message: that of a refused request may quote it.
      return failed(`${name || 'an error'}${status === undefined ? '' : `, HTTP status ${status}`}`);
    }
  }
}

const failed = (why: string): ScreeningVerdict => ({
  outcome: 'failed',
  message: shortText(`Bedrock ApplyGuardrail: ${why}.`),
});

/** The text in pieces that one call takes, each with the end of the one before. An empty text is one piece. */
function chunksOf(text: string): string[] {
  const chunks: string[] = [];
  for (let at = 0; at === 0 || at < text.length - OVERLAP_CHARS; at += CHUNK_CHARS - OVERLAP_CHARS) {
    chunks.push(wellFormed(text.slice(at, at + CHUNK_CHARS)));
  }
  return chunks;
}

/** A text without halves of characters, which the service would refuse. */
const wellFormed = (text: string): string => Buffer.from(text).toString();

/** Names of the policies of a guardrail, by the member of an assessment that tells of them. */
const POLICIES: Readonly<Record<string, string>> = {
  contentPolicy: 'content',
  topicPolicy: 'topic',
  wordPolicy: 'word',
  sensitiveInformationPolicy: 'sensitive information',
  contextualGroundingPolicy: 'grounding',
  automatedReasoningPolicy: 'automated reasoning',
};

/** Names of findings that bring none of their own. The words that matched are none: they are of the text. */
const NAMELESS: Readonly<Record<string, string>> = { customWords: 'CUSTOM_WORD', regexes: 'REGEX' };

const UNKNOWN = 'UNKNOWN';

/** What was found, by policy and filter: all that is known of it but the words themselves, also of policies that are new. */
function findingsOf(assessments: readonly GuardrailAssessment[]): ScreeningFinding[] {
  const found = assessments.flatMap((assessment) =>
    Object.entries(assessment)
      .filter(([member, said]) => member.endsWith('Policy') && said)
      .flatMap(([member, said]) =>
        Object.entries(said as object).flatMap(([list, items]) =>
          (Array.isArray(items) ? items : []).flatMap((item) => findingIn(POLICIES[member] ?? member, list, item)),
        ),
      ),
  );
  return (found.length > 0 ? found : [{ policy: UNKNOWN, filter: UNKNOWN }]).slice(0, FINDINGS_MAX);
}

/** One entry of a policy's list. What was only watched is no finding. */
function findingIn(policy: string, list: string, item: unknown): ScreeningFinding[] {
  const { action, name, type, confidence } = (item ?? {}) as Readonly<Record<string, unknown>>;
  if (action === 'NONE') return [];
  const filter = [name, type, NAMELESS[list]].find((one) => typeof one === 'string') ?? UNKNOWN;
  const known = sureness.safeParse(confidence).data;
  return [
    {
      policy: policy.slice(0, NAME_MAX_CHARS),
      filter: String(filter).slice(0, NAME_MAX_CHARS),
      ...(known === undefined ? {} : { confidence: known }),
    },
  ];
}

const sureness = screeningFinding.shape.confidence;

/** Of a name in a fact, in characters: what `screeningFinding` takes. */
const NAME_MAX_CHARS = 64;
