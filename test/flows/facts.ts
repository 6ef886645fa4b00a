import type { FlowScene } from './scene.ts';

/** The data of what was said of a task, each fact once, in the order in which it was first heard. */
export function factsSaid({ events }: Pick<FlowScene, 'events'>, taskId: string, type: string): unknown[] {
  const facts = new Map<string, unknown>();
  for (const { 'detail-type': said, detail } of events) {
    const { metadata, data } = detail as { metadata?: { taskId?: string; id: string }; data?: unknown };
    if (said === type && metadata?.taskId === taskId) facts.set(metadata.id, data);
  }
  return [...facts.values()];
}

/** Why attempts of a task gave way to the next. */
export const lossesOf = (scene: Pick<FlowScene, 'events'>, taskId: string): { code: string; message: string }[] =>
  factsSaid(scene, taskId, 'RunLost').map((data) => (data as { reason: { code: string; message: string } }).reason);
