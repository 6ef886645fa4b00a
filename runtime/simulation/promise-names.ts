/** The promises of the design, by number, as far as this simulation watches them. */
export const promiseNames = {
  ends: '1: every accepted task reaches one terminal state, settles, and always has something due that will ring',
  'no lost step': '2: what a transition stored is published, whole and unchanged, and nothing else is',
  'one attempt counts': '3: one runner is accepted at a time, and the next attempt waits for the end of the last',
  'no orphan': '4: when a task has settled its compute has ended, or an alarm says that it may not have',
  slots: '5: never more holders than places, no place taken from who works, nobody forgotten',
  'replay is safe': '8: a replay creates no task, starts, stops and sends nothing, and what it says is marked as such',
  'native order': '9: what the back end said last counts, whatever arrives last',
  explained: '10: every fact names its correlation and its cause, and every state of a task can be explained',
  'unknown is loud':
    '11: nothing unknown or unexpected makes a handler throw for ever, and what newer code wrote stays',
  'fail closed': '12: no run starts before every text of its task has passed screening, where that is required',
  'own definition':
    "13: a run starts from the newest base that infrastructure wrote, or from its own user's clone of it, and every start of an attempt is the same",
  'signs of life':
    '14: where runs beat, a death is known within 120 s of the last sign (AWS timings), nobody who beats is lost for silence, and an attempt works once',
  'clean worker':
    '15: a worker has one run at a time, an attempt begins on one worker and once, and nothing of one run is there when another begins',
  'whole fleet':
    '16: no worker stays with a run that is over, whoever cannot be proven clean is replaced, who was given back may be taken, and a machine that is gone keeps nobody waiting',
} as const satisfies Record<string, string>;

export type PromiseName = keyof typeof promiseNames;

/** A promise that did not hold. */
export interface Broken {
  readonly promise: PromiseName;
  readonly taskId: string;
  readonly message: string;
}

/** Records as they stand, by key. */
export type Records = ReadonlyMap<string, unknown>;

export type Complain = (promise: PromiseName, taskId: string, message: string) => void;
