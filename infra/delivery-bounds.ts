/** Seconds that a function may take: below REPUBLISH_AGE_S (55 s), which is below Lambda's first retry (60 s), so that a retry never overlaps. */
export const FUNCTION_TIMEOUT_S = 30;

/** Seconds that a message is hidden while it is handled: six times the function's time-out (AWS Lambda guide, "Using Lambda with SQS"). */
export const VISIBILITY_S = 6 * FUNCTION_TIMEOUT_S;

/**
 * Seconds after which EventBridge, and then Lambda, give an event up to the dead letters: Lambda's own longest wait. What drives a task is
 * said again by its alarm after 5 minutes; a request is said by nobody, so it may wait out a throttled account.
 */
export const DELIVERY_AGE_MAX_S = 6 * 3_600;

/** Hand-offs that EventBridge tries within that age: as many as it allows. The age ends them. */
export const HAND_OFF_RETRIES = 185;

/**
 * Receives of one message before it goes to the dead letters: at one per VISIBILITY_S, 24 hours, so that a service may be down for a day
 * and nobody has to redrive (SQS allows 1,000).
 */
export const RECEIVES_MAX = (24 * 3_600) / VISIBILITY_S;

/**
 * Seconds that the oldest message of a queue may wait before an alarm: twice the longest delay of a wake-up (15 minutes), which counts as
 * age. What was received three times is no longer in that figure (SQS guide, "Available CloudWatch metrics"): next bound.
 */
export const OLDEST_MESSAGE_MAX_S = 1_800;

/** Minutes in a row in which a queue hands out more than is handled, before an alarm: ten tries of a message that fails each time. */
export const FAILING_MAX_MIN = 30;

/** Days that a dead letter waits for somebody: the longest that SQS allows. */
export const DEAD_LETTER_RETENTION_D = 14;
