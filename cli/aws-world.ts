import type { AwsDeadLetters } from '../runtime/aws/aws-dead-letters.ts';
import type { AwsDesk } from '../runtime/aws/aws-desk.ts';
import type { DeploymentCheck } from '../runtime/aws/deployment-check.ts';
import { BatonError } from '../runtime/errors.ts';
import type { Compute } from '../schemas/compute.ts';
import { prefixOf, stage as stageSchema } from '../schemas/stage.ts';
import { badInput } from './cli-error.ts';
import type { HeardEvent, WorldClient } from './world-client.ts';

/** A deployment on AWS, asked with the region and the credentials that the AWS tools of this shell would use. */
export async function awsWorld(stage: string): Promise<WorldClient> {
  assertStage(stage);
  quietSdk();
  // Loaded only when it is asked for: the SDK is larger than all the rest.
  const { awsDesk } = await import('../runtime/aws/aws-desk.ts');
  return clientOver(awsDesk(stage), stage);
}

/** What can be found out about a deployment. */
export async function checksOf(stage: string): Promise<readonly DeploymentCheck[]> {
  assertStage(stage);
  quietSdk();
  const { deploymentChecks } = await import('../runtime/aws/deployment-checks.ts');
  return deploymentChecks(stage);
}

/** The SDK warns at each start that it will want a newer Node one day; which Node this version works with, its pins say. */
function quietSdk(): void {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
}

function assertStage(stage: string): void {
  const named = stageSchema.safeParse(stage);
  if (named.success) return;
  throw badInput('--stage', `"${stage}" ${named.error.issues[0]?.message}`, 'Give the stage that was deployed.');
}

function clientOver(desk: AwsDesk, stage: string): WorldClient {
  const url = `aws:${stage}`;
  return {
    url,
    facts: () => notHere('facts', 'Look at the dashboard of the deployment.'),
    submit: (request) => desk.submit(request),
    tasks: () => desk.list(),
    task: (taskId) => desk.view(taskId),
    explain: (taskId) => desk.explain(taskId),
    cancel: (taskId, reason) => desk.cancel(taskId, reason === undefined ? {} : { reason }),
    repositories: () => desk.repositories.list(),
    repository: (name) => desk.repositories.show(name),
    configure: (name, config) =>
      config === null ? desk.repositories.remove(name) : desk.repositories.set(name, config),
    workers: () => desk.workers.list(),
    deadLetters: async (rule) => (await letters(stage)).list(rule),
    redrive: async (asked) => (await letters(stage)).redrive(asked),
    replays: desk.replays,
    log: async (taskId) => notHere('logs', whereLogsAre((await desk.view(taskId)).compute, stage)),
    events: ({ signal }) => silence(signal),
  };
}

/** Loaded only when it is asked for, as it alone needs Lambda's client. */
const letters = async (stage: string): Promise<AwsDeadLetters> =>
  (await import('../runtime/aws/aws-dead-letters.ts')).awsDeadLetters(stage);

function whereLogsAre(compute: Compute, stage: string): string {
  switch (compute) {
    case 'agentcore':
      return 'Read them with: aws logs tail <group> --follow; the group is the output AgentcoreLogGroup of the deployment.';
    case 'ec2':
      return 'Read them with: aws logs tail <group> --follow; the group is the output FleetLogGroup of the deployment.';
    case 'ecs':
      return `Read them with: aws logs tail /baton/${prefixOf(stage)}/agent --follow`;
  }
}

const notHere = (what: string, remedy: string): Promise<never> =>
  Promise.reject(
    new BatonError('bad_input', `A deployment on AWS does not give its ${what} to the command line.`, { remedy }),
  );

/** Nobody but a rule hears the events of a bus: who follows a task looks at it again and again. */
async function* silence(signal: AbortSignal): AsyncIterable<HeardEvent> {
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
