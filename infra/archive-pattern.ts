import type { EventPattern } from 'aws-cdk-lib/aws-events';
import { archivedPattern } from '../rules/archived.ts';

/** What the archive keeps, as CDK wants it. */
export const archivePattern = {
  detailType: archivedPattern['detail-type'] as unknown as string[],
  detail: archivedPattern.detail,
} satisfies EventPattern;
