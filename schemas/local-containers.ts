import * as z from 'zod';

/** Names the settings below, as JSON: the world sets it for the commands of a local worker, nobody else knows it. */
export const LOCAL_CONTAINERS_VARIABLE = 'BATON_LOCAL_CONTAINERS';

/** What stands for the daemon and its images on a local worker. */
export const localContainers = z.object({
  /** Program and arguments of the runner; the command of a container is added. */
  runnerCommand: z.array(z.string()).min(1),
  /** Program and arguments of the supervisor; the directory of the container is added. */
  supervisorCommand: z.array(z.string()).min(1),
  /** The folder in which each container has its directory: what its supervisor wrote and its log stay there when it is removed. */
  runsDir: z.string().startsWith('/'),
  /** Name of the directory of this command's container; each further one has a number behind it. */
  runDirName: z.string().regex(/^[\w.-]+$/),
  /** Variables that every container gets besides: the way to the world, and secrets that no command carries. */
  environment: z.record(z.string(), z.string()),
  logMaxBytes: z.int().min(0),
});
export type LocalContainers = z.infer<typeof localContainers>;
