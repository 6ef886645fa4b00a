import * as z from 'zod';
import { type DocumentParameter, documentParameters, NO_PAYLOAD } from './ssm-command.ts';

/** A parameter of a document. With `ENV_VAR` its value reaches the script as the variable `SSM_<name>`, and no line of it. */
const documentParameter = z.object({
  type: z.literal('String'),
  description: z.string().optional(),
  default: z.string().optional(),
  allowedPattern: z.string().optional(),
  /** Agents of SSM from 3.3.2746.0 on understand it; an older one sets no variable, and the script refuses to work. */
  interpolationType: z.enum(['ENV_VAR']).optional(),
});

/** A document of SSM that runs one script (Systems Manager user guide, schema version 2.2, aws:runShellScript). */
export const commandDocument = z.object({
  schemaVersion: z.literal('2.2'),
  description: z.string().optional(),
  parameters: z.record(z.string(), documentParameter).default({}),
  mainSteps: z.tuple([
    z.object({
      action: z.literal('aws:runShellScript'),
      name: z.string(),
      inputs: z.object({ runCommand: z.array(z.string()), timeoutSeconds: z.string() }),
    }),
  ]),
});
export type CommandDocument = z.infer<typeof commandDocument>;

/** Most bytes of a document (Systems Manager API reference, CreateDocument). */
export const DOCUMENT_MAX_BYTES = 65_536;

/** How the script on the host learns a parameter. */
export const variableOf = (parameter: string): string => `SSM_${parameter}`;

/** Baton's own document: the script of the host as it is, and parameters that only variables carry. */
export function runDocument(script: string): CommandDocument {
  return {
    schemaVersion: '2.2',
    description: 'Runs or ends one attempt of a task of Baton, and proves that nothing of it is left.',
    parameters: {
      action: variable('action', 'run or end'),
      taskId: variable('taskId', 'The task'),
      attempt: variable('attempt', 'Its attempt'),
      payload: { ...variable('payload', 'Reference of the payload'), default: NO_PAYLOAD },
      executionTimeout: {
        type: 'String',
        description: 'Seconds after which the command is killed',
        allowedPattern: documentParameters.executionTimeout,
      },
    },
    mainSteps: [
      {
        action: 'aws:runShellScript',
        name: 'run',
        inputs: { runCommand: script.trimEnd().split('\n'), timeoutSeconds: '{{ executionTimeout }}' },
      },
    ],
  };
}

const variable = (name: DocumentParameter, description: string) => ({
  type: 'String' as const,
  description,
  allowedPattern: documentParameters[name],
  interpolationType: 'ENV_VAR' as const,
});
