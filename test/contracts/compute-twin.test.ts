import { startedByOf } from '../../lifecycle/ecs-task.ts';
import { aHandle, aTaskId } from '../builders.ts';
import { computeTwin } from '../compute-twin.ts';
import { computeBackendContract } from './compute-backend.ts';

computeBackendContract('twin of the handler tests', async () => {
  const twin = computeTwin();
  const exits = new Map<string, number>();
  let serial = 0;
  return {
    compute: {
      ...twin.backend,
      ask: async (question) => {
        for (const run of twin.runs) {
          const exitCode = exits.get(run.asked.clientToken);
          if (exitCode !== undefined) twin.exit(run, exitCode);
        }
        return twin.backend.ask(question);
      },
    },
    aRun: (behaviour) => {
      const taskId = aTaskId(`n${++serial}`);
      const clientToken = `${taskId}-1`;
      if (behaviour !== 'goes on') exits.set(clientToken, behaviour.exitCode);
      const startedBy = startedByOf('test', taskId, 1);
      return { taskId, attempt: 1, startedBy, clientToken, environment: {}, command: ['run'] };
    },
    unknownHandle: aHandle('never'),
    close: async () => undefined,
  };
});
