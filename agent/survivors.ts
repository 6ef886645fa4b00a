import { isErrno } from './supervisor-files.ts';

/** Sends a signal to every process of a group. A group without members (on macOS: with dead ones only, EPERM) is no error. */
export function signalGroup(groupId: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-groupId, signal);
  } catch (error) {
    if (!isErrno(error, 'ESRCH') && !isErrno(error, 'EPERM')) throw error;
  }
}
