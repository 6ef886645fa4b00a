import { ArnFormat, type Stack } from 'aws-cdk-lib';
import type { AgentSecret } from '../schemas/agent-secrets.ts';
import type { Grant, Places } from './port-grants.ts';
import type { EcsSettings } from './settings.ts';

/** What ECS reads before a run of an isolated user starts: what its definition refers to, as far as the deployment allows it. */
export function userSecretGrants({ userSecrets }: EcsSettings): readonly Grant[] {
  const of = (service: string) => userSecrets.filter((arn) => arn.split(':')[2] === service);
  return [
    { service: 'secretsmanager', actions: ['secretsmanager:GetSecretValue'] },
    { service: 'ssm', actions: ['ssm:GetParameters'] },
  ].flatMap(({ service, actions }) => {
    const resources = of(service);
    const reason = 'Fetches what may be a secret of a user, as the deployment names it.';
    return resources.length === 0 ? [] : [{ reason, actions, resources }];
  });
}

/** Exactly the secrets that agents were given, for a back end on which the runner fetches them. */
export function agentSecretGrants(
  reason: string,
  { secrets }: { readonly secrets: readonly AgentSecret[] },
  places: Places,
): readonly Grant[] {
  if (secrets.length === 0) return [];
  return [
    { reason, actions: ['secretsmanager:GetSecretValue'], resources: secrets.map(({ arn }) => arn) },
    ownSecretsDenied(secrets, places),
  ];
}

/**
 * What settings open by mistake, by name or by a pattern that fits too much, stays closed: from the deployment's own secret come all run
 * tokens and references of payloads. The token of GitHub may be given to agents, but only by name.
 */
export function ownSecretsDenied(given: readonly AgentSecret[], { secretArn, githubTokenArn }: Places): Grant {
  const isForAgents = given.some(({ arn }) => arn === githubTokenArn);
  return {
    effect: 'Deny',
    reason: "Baton's own secrets are for no run.",
    actions: ['secretsmanager:GetSecretValue'],
    resources: [secretArn, ...(githubTokenArn === undefined || isForAgents ? [] : [githubTokenArn])],
  };
}

/** The way to the files of users: through access points alone, each of which shows the part of one user. */
export function userFileGrants(stack: Stack, { userFileSystem }: EcsSettings): readonly Grant[] {
  if (!userFileSystem) return [];
  const arnOf = (resource: string, resourceName: string) =>
    stack.formatArn({
      service: 'elasticfilesystem',
      resource,
      resourceName,
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    });
  return [
    {
      reason: 'Mounts the part of a user in the file system of users, and never all of it.',
      actions: ['elasticfilesystem:ClientMount', 'elasticfilesystem:ClientWrite'],
      resources: [arnOf('file-system', userFileSystem.id)],
      conditions: { ArnLike: { 'elasticfilesystem:AccessPointArn': arnOf('access-point', '*') } },
    },
  ];
}
