import * as z from 'zod';
import type { Patience } from './control-plane.ts';
import { type Tried, untilAnswered } from './until-answered.ts';

/** Answer of the task path of the metadata endpoint (Amazon ECS developer guide, task metadata endpoint version 4). */
const taskMetadata = z.object({ TaskARN: z.string().startsWith('arn:') });

/**
 * Who this container natively is: the ARN of its ECS task, the same that native events and RunTask name. Asked of the metadata
 * endpoint, whose address ECS leaves in `ECS_CONTAINER_METADATA_URI_V4`. Throws `Unavailable` when the patience ended first.
 */
export const ecsIdentity = (metadataUri: string, patience: Patience): Promise<string> =>
  untilAnswered(patience, (timeoutMs) => askOnce(`${metadataUri}/task`, timeoutMs));

async function askOnce(url: string, timeoutMs: number): Promise<Tried<string>> {
  try {
    const answer = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
    if (!answer.ok) return { tryAgain: `the ECS metadata endpoint answers with status ${answer.status}` };
    return { answer: taskMetadata.parse(await answer.json()).TaskARN };
  } catch (error) {
    return { tryAgain: `the ECS metadata endpoint does not answer: ${String(error)}` };
  }
}
