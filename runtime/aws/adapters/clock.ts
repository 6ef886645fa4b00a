import type { Clock } from '../../ports.ts';

/** The clock of the machine. AWS keeps it within milliseconds of everybody else's. */
export const open = (): Clock => ({ now: () => new Date().toISOString() });
