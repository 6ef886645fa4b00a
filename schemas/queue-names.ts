/** Queues of a deployment: infrastructure makes them, operators look for them by the same names. */
export interface QueueNames {
  /** In which the alarm clock rings. */
  readonly alarms: string;
  readonly alarmDeadLetters: string;
  /** The queue of a rule that has one of its own; its function is called the same. */
  ofRule(rule: string): string;
  deadLettersOf(rule: string): string;
}

/** By what the names of the deployment begin with. */
export const queueNamesOf = (prefix: string): QueueNames => ({
  alarms: `${prefix}-alarms`,
  alarmDeadLetters: `${prefix}-alarms-dead`,
  ofRule: (rule) => `${prefix}-${rule}`,
  deadLettersOf: (rule) => `${prefix}-${rule}-dead`,
});

/** Attributes of a dead letter, as EventBridge names those of the ones that it writes itself (EventBridge guide, "Dead-letter queues"). */
export const LETTER_ATTRIBUTES = {
  code: 'ERROR_CODE',
  message: 'ERROR_MESSAGE',
  /** Tries after the first. */
  retries: 'RETRY_ATTEMPTS',
} as const;
