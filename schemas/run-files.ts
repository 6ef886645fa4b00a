/** Names of the files in a run directory. The supervisor writes all but `spec`, and Baton may write `marker` in its place. */
export const RUN_FILES = {
  /** What to run; written before the supervisor starts. */
  spec: 'run.json',
  /** Created exclusively, once: whoever made it decides whether the runner starts. */
  marker: 'spawned',
  supervisor: 'supervisor.json',
  exit: 'exit.json',
  /** Output of runner and agent, kept with its task. */
  log: 'agent.log',
  /** Output of the supervisor itself; empty unless something is wrong with it. */
  supervisorLog: 'supervisor.log',
  report: 'report.json',
  /** Where the server of a session listens; only for back ends that invoke runs by HTTP. */
  session: 'session.json',
} as const;
