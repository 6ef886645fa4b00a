/** What a machine of a fleet says on itself: its fleet and its stage, which its group gives it at its launch. Commands are sent by them. */
export const FLEET_TAG = 'baton:fleet';
export const STAGE_TAG = 'baton:stage';

/** What it says of its status, for people who look at the list: nothing decides by these. */
export const STATUS_TAGS = ['baton:status', 'baton:task-id'] as const;
