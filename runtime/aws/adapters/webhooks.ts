import type { Webhooks } from '../../ports.ts';
import { webhooksOver } from '../../webhooks.ts';

/** Posts to the public internet alone: whoever configures a repository must not reach what only this function can. */
export const open = (): Webhooks => webhooksOver({ allowed: 'public' });
