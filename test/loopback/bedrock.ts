import * as z from 'zod';
import { AwsError } from '../../runtime/endpoint/aws/aws-error.ts';
import { type AwsService, parsedInput } from '../../runtime/endpoint/aws/aws-service.ts';
import { restJsonProtocol } from '../../runtime/endpoint/aws/rest-json-protocol.ts';
import { standInScreening } from '../../runtime/engine/stand-in-screening.ts';

const asked = z.object({
  guardrailIdentifier: z.string().min(1),
  guardrailVersion: z.string().min(1),
  source: z.literal('INPUT'),
  content: z.array(z.object({ text: z.object({ text: z.string().min(1).max(25_000) }) })).length(1),
});

const UNITS = {
  topicPolicyUnits: 0,
  contentPolicyUnits: 1,
  wordPolicyUnits: 0,
  sensitiveInformationPolicyUnits: 0,
  sensitiveInformationPolicyFreeUnits: 0,
  contextualGroundingPolicyUnits: 0,
};

/** A guardrail of Bedrock that finds what the stand-in of the embedded world finds, and says so as Bedrock does. */
export const bedrockService = (): AwsService => ({
  signingName: 'bedrock',
  protocol: restJsonProtocol([
    {
      operation: 'ApplyGuardrail',
      method: 'POST',
      path: '/guardrail/{guardrailIdentifier}/version/{guardrailVersion}/apply',
    },
  ]),
  operations: {
    async ApplyGuardrail(input) {
      const { content } = parsedInput(asked, input);
      const text = content[0]?.text.text ?? '';
      const verdict = await standInScreening.screen({ taskId: '', of: 'request', text });
      switch (verdict.outcome) {
        case 'passed':
          return { usage: UNITS, action: 'NONE', outputs: [], assessments: [{}] };
        case 'blocked': {
          const filters = verdict.findings.map(({ filter: type, confidence }) => ({
            type,
            confidence,
            action: 'BLOCKED',
          }));
          return {
            usage: UNITS,
            action: 'GUARDRAIL_INTERVENED',
            outputs: [{ text }],
            assessments: [{ contentPolicy: { filters } }],
          };
        }
        case 'failed':
          throw new AwsError('AccessDeniedException', 403, `You may not have this judged: ${text}`);
      }
    },
  },
});
