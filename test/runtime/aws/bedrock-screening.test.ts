import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { describe, expect, it } from '@jest/globals';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { bedrockScreening } from '../../../runtime/aws/bedrock-screening.ts';
import { CONTEXT_MAX_BYTES } from '../../../schemas/context-text.ts';
import { FINDINGS_MAX, screeningVerdict } from '../../../schemas/screening.ts';
import { aTaskId } from '../../builders.ts';
import { githubStub } from '../../github-stub.ts';
import { type Answer, anError, aWire, clientConfig, type Script } from './wire.ts';

/** Stands in every text that is screened here, and may stand in no verdict. */
const CANARY = 'canary-4711';

async function aGuardrail(script: Script, { maxAttempts = 1 } = {}) {
  const wire = await aWire(script);
  const client = new BedrockRuntimeClient({ ...wire.client, requestHandler: new NodeHttpHandler(), maxAttempts });
  const screening = bedrockScreening({ client, guardrail: { id: 'gr1', version: '3' } });
  const screen = async (text = `Mend the roof. ${CANARY}`) => {
    const verdict = screeningVerdict.parse(await screening.screen({ taskId: aTaskId(), of: 'request', text }));
    expect(JSON.stringify(verdict)).not.toContain(CANARY);
    return verdict;
  };
  return { wire, screen };
}

const usage = {
  topicPolicyUnits: 0,
  contentPolicyUnits: 1,
  wordPolicyUnits: 0,
  sensitiveInformationPolicyUnits: 0,
  sensitiveInformationPolicyFreeUnits: 0,
  contextualGroundingPolicyUnits: 0,
};

/** What the guardrail answers: `NONE`, or that it intervened because of what it found. */
const answering = (action: string, ...assessments: object[]): Answer => ({
  body: { usage, action, outputs: [{ text: `Blocked: ${CANARY}` }], assessments },
});
const passes = answering('NONE');
const intervenes = (...assessments: object[]): Answer => answering('GUARDRAIL_INTERVENED', ...assessments);

const attack = (confidence: string, action = 'BLOCKED') => ({
  contentPolicy: { filters: [{ type: 'PROMPT_ATTACK', confidence, filterStrength: 'MEDIUM', action, detected: true }] },
});

/** The texts that were judged, in the order of the calls. */
const judged = (wire: Awaited<ReturnType<typeof aWire>>): string[] =>
  wire.calls.map(({ body }) => (body as { content: [{ text: { text: string } }] }).content[0].text.text);

describe('a text', () => {
  it('is judged as input by that version of that guardrail, and passes', async () => {
    const { wire, screen } = await aGuardrail(() => passes);
    expect(await screen()).toEqual({ outcome: 'passed' });
    expect(wire.calls.map(({ operation, body }) => [operation, body])).toEqual([
      [
        'POST /guardrail/gr1/version/3/apply',
        { source: 'INPUT', content: [{ text: { text: `Mend the roof. ${CANARY}` } }] },
      ],
    ]);
  });

  // G1: what the service finds with LOW confidence at this strength it does not act on.
  it.each([
    ['LOW', 'NONE', 'NONE', 'passed'],
    ['MEDIUM', 'BLOCKED', 'GUARDRAIL_INTERVENED', 'blocked'],
    ['HIGH', 'BLOCKED', 'GUARDRAIL_INTERVENED', 'blocked'],
  ])(
    'that is an attack with %s confidence, on which the filter acts with %s, is %s: %s',
    async (sure, acts, all, outcome) => {
      const { screen } = await aGuardrail(() => answering(all, attack(sure, acts)));
      expect(await screen()).toMatchObject({ outcome });
    },
  );
});

// G5
describe('what a guardrail finds', () => {
  it.each([
    ['an attack', attack('HIGH'), { policy: 'content', filter: 'PROMPT_ATTACK', confidence: 'HIGH' }],
    [
      'a topic',
      { topicPolicy: { topics: [{ name: 'payroll', type: 'DENY', action: 'BLOCKED' }] } },
      { policy: 'topic', filter: 'payroll' },
    ],
    [
      'a word of its own list',
      { wordPolicy: { customWords: [{ match: CANARY, action: 'BLOCKED' }], managedWordLists: [] } },
      { policy: 'word', filter: 'CUSTOM_WORD' },
    ],
    [
      'a word of a list that AWS keeps',
      { wordPolicy: { customWords: [], managedWordLists: [{ match: CANARY, type: 'PROFANITY', action: 'BLOCKED' }] } },
      { policy: 'word', filter: 'PROFANITY' },
    ],
    [
      'personal data that it only masks',
      {
        sensitiveInformationPolicy: {
          piiEntities: [{ match: CANARY, type: 'EMAIL', action: 'ANONYMIZED' }],
          regexes: [],
        },
      },
      { policy: 'sensitive information', filter: 'EMAIL' },
    ],
    [
      'a pattern',
      {
        sensitiveInformationPolicy: {
          piiEntities: [],
          regexes: [{ name: 'badge', match: CANARY, regex: `${CANARY}.*`, action: 'BLOCKED' }],
        },
      },
      { policy: 'sensitive information', filter: 'badge' },
    ],
    [
      'a pattern without a name',
      {
        sensitiveInformationPolicy: { piiEntities: [], regexes: [{ match: CANARY, regex: CANARY, action: 'BLOCKED' }] },
      },
      { policy: 'sensitive information', filter: 'REGEX' },
    ],
    [
      'a filter with a new name and a new confidence',
      { contentPolicy: { filters: [{ type: 'GRUMBLING', confidence: 'UTTER', action: 'BLOCKED' }] } },
      { policy: 'content', filter: 'GRUMBLING' },
    ],
    ['nothing that it names', {}, { policy: 'UNKNOWN', filter: 'UNKNOWN' }],
    [
      'something of a policy that nobody knows yet',
      { moodPolicy: { moods: [] } },
      { policy: 'UNKNOWN', filter: 'UNKNOWN' },
    ],
  ])('is told by policy, filter and confidence: %s', async (_, assessment, finding) => {
    const { screen } = await aGuardrail(() => intervenes(assessment));
    expect(await screen()).toEqual({ outcome: 'blocked', findings: [finding] });
  });

  it('but only watches is no finding', async () => {
    const seen = {
      filters: [...attack('HIGH').contentPolicy.filters, { type: 'INSULTS', confidence: 'LOW', action: 'NONE' }],
    };
    const { screen } = await aGuardrail(() => intervenes({ contentPolicy: seen }));
    expect(await screen()).toMatchObject({ findings: [{ filter: 'PROMPT_ATTACK' }] });
  });

  it('is told up to a bound, and names are cut', async () => {
    const topics = Array.from({ length: 40 }, (_, n) => ({
      name: `${n} ${'x'.repeat(200)}`,
      type: 'DENY',
      action: 'BLOCKED',
    }));
    const { screen } = await aGuardrail(() => intervenes({ topicPolicy: { topics } }));
    const verdict = await screen();
    expect(verdict.outcome === 'blocked' && verdict.findings.length).toBe(FINDINGS_MAX);
  });
});

// G3
describe('a text that cannot be judged has failed, and never passed', () => {
  it.each([
    ['ThrottlingException', 429],
    ['AccessDeniedException', 403],
    ['ResourceNotFoundException', 404],
    ['ValidationException', 400],
    ['InternalServerException', 500],
  ])('%s', async (name, status) => {
    const { screen } = await aGuardrail(() => anError(name, `what was asked: ${CANARY}`, status));
    expect(await screen()).toEqual({ outcome: 'failed', message: expect.stringContaining(name) });
  });

  it('nobody answers', async () => {
    const { screen } = await aGuardrail(() => 'hang up');
    expect(await screen()).toMatchObject({ outcome: 'failed' });
  });

  it.each([
    ['an action that is new', answering('ASK_A_PERSON')],
    ['no action', { body: {} }],
    ['something else', { body: ['?'] }],
  ] as const)('the answer has %s', async (_, answer) => {
    const { screen } = await aGuardrail(() => answer);
    expect(await screen()).toMatchObject({ outcome: 'failed' });
  });

  it('the service keeps silent', async () => {
    const silent = await githubStub(() => 'wait');
    const client = new BedrockRuntimeClient({ ...clientConfig(silent.url), requestHandler: new NodeHttpHandler() });
    const screening = bedrockScreening({ client, guardrail: { id: 'gr1', version: '3' }, maxSeconds: 0.2 });
    expect(await screening.screen({ taskId: aTaskId(), of: 'request', text: 'x'.repeat(90_000) })).toEqual({
      outcome: 'failed',
      message: 'Bedrock ApplyGuardrail: the text was not judged within 0.2 s.',
    });
    await silent.close();
  });

  it('after the SDK has tried again where that helps', async () => {
    const { screen, wire } = await aGuardrail(
      (_, nth) => (nth === 0 ? anError('InternalServerException', '', 500) : passes),
      {
        maxAttempts: 2,
      },
    );
    expect(await screen()).toEqual({ outcome: 'passed' });
    expect(wire.calls).toHaveLength(2);
  });
});

describe('a long text', () => {
  it('is judged in pieces, each with the end of the one before, and none longer than a call takes', async () => {
    const { screen, wire } = await aGuardrail(() => passes);
    const text = Array.from({ length: 9_000 }, (_, n) => `${n} `).join('');
    expect(await screen(text)).toEqual({ outcome: 'passed' });
    const pieces = judged(wire).sort((a, b) => text.indexOf(a) - text.indexOf(b));
    expect(pieces).toHaveLength(3);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(25_000);
    const joined = pieces.reduce((all, piece) => {
      const shared = all.length === 0 ? 0 : all.length - text.indexOf(piece);
      expect(shared).toBeGreaterThanOrEqual(all.length === 0 ? 0 : 500);
      return all + piece.slice(shared);
    }, '');
    expect(joined).toBe(text);
  });

  it('is blocked by any of its pieces', async () => {
    const { screen } = await aGuardrail(({ text }) => (text.includes('attack') ? intervenes(attack('HIGH')) : passes));
    expect(await screen(`${'all is well. '.repeat(8_000)}attack`)).toMatchObject({ outcome: 'blocked' });
    expect(await screen('all is well. '.repeat(8_000))).toEqual({ outcome: 'passed' });
  });

  it('that hides an attack where it is cut is blocked all the same', async () => {
    const { screen } = await aGuardrail(({ text }) =>
      text.includes('an attack') ? intervenes(attack('HIGH')) : passes,
    );
    for (let before = 19_990; before < 20_001; before++) {
      expect(await screen(`${'x'.repeat(before)}an attack${'x'.repeat(20_000)}`)).toMatchObject({ outcome: 'blocked' });
    }
  });

  it('fails with one piece that cannot be judged', async () => {
    const { screen } = await aGuardrail((_, nth) => (nth === 1 ? anError('ThrottlingException', '', 429) : passes));
    expect(await screen('all is well. '.repeat(8_000))).toMatchObject({ outcome: 'failed' });
  });

  it('of the largest size is judged whole', async () => {
    const { screen, wire } = await aGuardrail(() => passes);
    expect(await screen('ü'.repeat(CONTEXT_MAX_BYTES / 2))).toEqual({ outcome: 'passed' });
    expect(judged(wire).join('').length).toBeGreaterThanOrEqual(CONTEXT_MAX_BYTES / 2);
  });

  it('has no half characters where it is cut', async () => {
    const { screen, wire } = await aGuardrail(() => passes);
    await screen(`x${'🦉'.repeat(15_000)}`);
    for (const piece of judged(wire)) expect(Buffer.from(piece).toString()).toBe(piece);
    expect(wire.calls.length).toBeGreaterThan(1);
  });
});
