import type { Stack } from 'aws-cdk-lib';
import type { Grant } from './port-grants.ts';

/** `<account>.dkr.ecr.<region>.amazonaws.com/<repository>`, then a tag or a digest. */
const ECR_IMAGE = /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\/([^:@]+)/;

/** The same as AgentCore takes it (CloudFormation reference, AWS::BedrockAgentCore::Runtime ContainerConfiguration). */
const NAMED_IN_ECR =
  /^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com\/(?:[a-z0-9]+(?:[._-][a-z0-9]+)*\/)*[a-z0-9]+(?:[._-][a-z0-9]+)*[:@]\S+$/;

/** Whether the image is in a private repository of ECR, and named by a tag or a digest. */
export const isEcrImage = (image: string): boolean => NAMED_IN_ECR.test(image);

/** The region of such an image; undefined of any other. */
export const ecrRegionOf = (image: string): string | undefined => ECR_IMAGE.exec(image)?.[2];

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
