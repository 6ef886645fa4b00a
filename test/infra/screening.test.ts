import { describe, expect, it } from '@jest/globals';
import { settingsFrom } from '../../infra/settings.ts';
import { fetchContext } from '../../rules/fetch-context.ts';
import { screenTask } from '../../rules/screen-task.ts';
import { statementsIn, synthesised } from './scene.ts';

const token = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:github-AbCdEf';

/** Variables of the function of each rule. */
const variablesOf = (made: ReturnType<typeof synthesised>, rule: typeof screenTask | typeof fetchContext) => {
  const [one] = made.of(rule as typeof screenTask, 'AWS::Lambda::Function');
  return (one?.properties['Environment'] as { Variables: Record<string, string> } | undefined)?.Variables;
};

/** Everything that a role of these rules may do, by action. */
const allowed = (made: ReturnType<typeof synthesised>, action: string) =>
  made
    .all('AWS::IAM::Policy')
    .flatMap(({ id, properties }) => statementsIn(properties['PolicyDocument']).map((one) => ({ id, ...one })))
    .filter(({ actions }) => actions.includes(action));

describe('a deployment that screens nothing', () => {
  const made = synthesised({});

  it('has no guardrail, and nobody who would ask one', () => {
    expect(made.all('AWS::Bedrock::Guardrail')).toEqual([]);
    expect(made.of(screenTask, 'AWS::Lambda::Function')).toEqual([]);
    expect(allowed(made, 'bedrock:ApplyGuardrail')).toEqual([]);
  });

  it('says so to whoever accepts tasks', () => {
    const accept = made.one('AWS::Lambda::Function', 'FunctionName', 'baton-accept-task');
    expect(accept.properties['Environment']).toMatchObject({ Variables: { BATON_SCREENING: 'off' } });
  });

  it('fetches what tasks name all the same, as a stranger', () => {
    expect(made.of(fetchContext, 'AWS::Lambda::Function')).toHaveLength(1);
    expect(variablesOf(made, fetchContext)).not.toHaveProperty('BATON_GITHUB_TOKEN_ARN');
  });
});

describe('a deployment that requires screening', () => {
  const made = synthesised({ screening: 'required' });
  const guardrail = made.one('AWS::Bedrock::Guardrail');

  // G1, G4: HIGH blocks what is found with LOW confidence too, and so ordinary requests.
  it('has a guardrail against prompt attacks, whose strength is MEDIUM', () => {
    expect(guardrail.properties['ContentPolicyConfig']).toEqual({
      FiltersConfig: [{ Type: 'PROMPT_ATTACK', InputStrength: 'MEDIUM', OutputStrength: 'NONE' }],
    });
  });

  it('asks a version of it, and only who screens may', () => {
    expect(made.one('AWS::Bedrock::GuardrailVersion').properties['GuardrailIdentifier']).toContain('GuardrailId');
    expect(variablesOf(made, screenTask)).toMatchObject({
      BATON_GUARDRAIL_ID: expect.stringContaining('GuardrailId'),
      BATON_GUARDRAIL_VERSION: expect.stringContaining('Version'),
    });
    const [one, ...others] = allowed(made, 'bedrock:ApplyGuardrail');
    expect(others).toEqual([]);
    expect(one?.id).toMatch(/^screentask/);
    expect(one?.resources).toEqual([expect.stringContaining('GuardrailArn')]);
  });

  it('tells whoever accepts tasks, and rings when nobody could screen', () => {
    const accept = made.one('AWS::Lambda::Function', 'FunctionName', 'baton-accept-task');
    expect(accept.properties['Environment']).toMatchObject({ Variables: { BATON_SCREENING: 'required' } });
    const alarm = made.one('AWS::CloudWatch::Alarm', 'AlarmName', 'baton-screen-task-ScreeningFailed');
    expect(alarm.properties).toMatchObject({ MetricName: 'ScreeningFailed', Threshold: 1 });
  });
});

describe('a guardrail of somebody else', () => {
  it.each([
    ['abc123:4', 'arn:aws:bedrock:us-east-1:000000000000:guardrail/abc123', 'abc123'],
    [
      'arn:aws:bedrock:eu-west-1:210987654321:guardrail/abc123:4',
      'arn:aws:bedrock:eu-west-1:210987654321:guardrail/abc123',
      'arn:aws:bedrock:eu-west-1:210987654321:guardrail/abc123',
    ],
  ])('is asked instead of one of our own: %s', (given, arn, id) => {
    const made = synthesised({ screening: 'required', guardrail: given });
    expect(made.all('AWS::Bedrock::Guardrail')).toEqual([]);
    expect(variablesOf(made, screenTask)).toMatchObject({ BATON_GUARDRAIL_ID: id, BATON_GUARDRAIL_VERSION: '4' });
    expect(allowed(made, 'bedrock:ApplyGuardrail').map(({ resources }) => resources)).toEqual([[arn]]);
  });

  it.each([
    [{ guardrail: 'abc123:4' }, 'guardrail is for screening=required'],
    [{ screening: 'off', guardrail: 'abc123:4' }, 'guardrail is for screening=required'],
    [
      { screening: 'required', guardrail: 'abc123' },
      'guardrail is not <id or ARN of a guardrail>:<number of its version>',
    ],
    [{ screening: 'required', guardrail: 'abc123:DRAFT' }, 'guardrail is not <id'],
    [{ screening: 'perhaps' }, 'screening is neither off nor required'],
    [{ githubToken: 'ghp_secret' }, 'githubToken is no complete ARN of a secret'],
  ])('that cannot be meant is refused: %j', (context, complaint) => {
    expect(() => settingsFrom(context)).toThrow(complaint);
  });
});

describe('a deployment with a token of GitHub', () => {
  it('gives it, by reference, to whoever fetches texts and to nobody else', () => {
    const made = synthesised({ githubToken: token });
    expect(variablesOf(made, fetchContext)).toMatchObject({ BATON_GITHUB_TOKEN_ARN: token });
    const readers = allowed(made, 'secretsmanager:GetSecretValue').filter(({ resources }) => resources.includes(token));
    expect(readers.map(({ id }) => id)).toEqual([expect.stringMatching(/^fetchcontext/)]);
    const knowing = made
      .all('AWS::Lambda::Function')
      .filter(({ properties }) => JSON.stringify(properties).includes(token))
      .map(({ properties }) => properties['FunctionName']);
    expect(knowing).toEqual(['baton-fetch-context']);
  });
});
