import { Stack } from 'aws-cdk-lib';
import { CfnGuardrail, CfnGuardrailVersion } from 'aws-cdk-lib/aws-bedrock';
import { Construct } from 'constructs';
import type { Variables } from './function-environment.ts';
import type { Names } from './names.ts';
import type { Settings } from './settings.ts';

/**
 * From which sureness the filter blocks. HIGH would block what it takes for an attack with LOW confidence too, and so ordinary requests
 * in the imperative; MEDIUM blocks from MEDIUM confidence on.
 */
const INPUT_STRENGTH = 'MEDIUM';

/** Nobody reads it: Baton says which filter it was, and never what the guardrail gives back. */
const BLOCKED = 'Blocked by the guardrail of Baton.';

export interface ScreeningProps {
  readonly settings: Pick<Settings, 'guardrail'>;
  readonly names: Names;
}

/** The guardrail that every text of a task must pass: the one that the settings name, or one against prompt attacks. */
export class Screening extends Construct {
  readonly guardrailArn: string;
  readonly variables: Variables;

  constructor(scope: Construct, id: string, { settings, names }: ScreeningProps) {
    super(scope, id);
    const given = settings.guardrail;
    if (given) {
      this.guardrailArn = given.id.startsWith('arn:')
        ? given.id
        : Stack.of(this).formatArn({ service: 'bedrock', resource: 'guardrail', resourceName: given.id });
      this.variables = { BATON_GUARDRAIL_ID: given.id, BATON_GUARDRAIL_VERSION: given.version };
      return;
    }
    const guardrail = new CfnGuardrail(this, 'Guardrail', {
      name: names.guardrail,
      description: 'Keeps prompt attacks from the agents of Baton.',
      blockedInputMessaging: BLOCKED,
      blockedOutputsMessaging: BLOCKED,
      contentPolicyConfig: {
        // What a model answers is not screened, and for this filter the service takes no other strength.
        filtersConfig: [{ type: 'PROMPT_ATTACK', inputStrength: INPUT_STRENGTH, outputStrength: 'NONE' }],
      },
    });
    // A version never changes; another description makes another one.
    const version = new CfnGuardrailVersion(this, 'Version', {
      guardrailIdentifier: guardrail.attrGuardrailId,
      description: `PROMPT_ATTACK ${INPUT_STRENGTH}`,
    });
    this.guardrailArn = guardrail.attrGuardrailArn;
    this.variables = { BATON_GUARDRAIL_ID: guardrail.attrGuardrailId, BATON_GUARDRAIL_VERSION: version.attrVersion };
  }
}
