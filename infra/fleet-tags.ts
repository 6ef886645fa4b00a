/** What a machine says of its status, for people who look at the list: nothing decides by these. */
export const STATUS_TAGS = ['baton:status', 'baton:task-id'] as const;
