import type { Stack } from 'aws-cdk-lib';
import type { Grant } from './port-grants.ts';

/** `<account>.dkr.ecr.<region>.amazonaws.com/<repository>`, then a tag or a digest. */
const ECR_IMAGE = /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\/([^:@]+)/;

/** What pulling the image needs. An image of another registry is public: nothing. */
export function imagePullGrants(stack: Stack, image: string): readonly Grant[] {
  const [, account, region, repository] = ECR_IMAGE.exec(image) ?? [];
  if (account === undefined || region === undefined || repository === undefined) return [];
  return [
    {
      reason: 'Pulls the image of the agent.',
      actions: ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'],
      resources: [`arn:${stack.partition}:ecr:${region}:${account}:repository/${repository}`],
    },
    {
      reason: 'Has no resource level: it is a token for the registry (Service Authorization Reference, ECR).',
      actions: ['ecr:GetAuthorizationToken'],
      resources: ['*'],
    },
  ];
}
