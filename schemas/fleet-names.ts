/** What a machine of a fleet says on itself: its fleet and its stage, which its group gives it at its launch. Commands are sent by them. */
export const FLEET_TAG = 'baton:fleet';
export const STAGE_TAG = 'baton:stage';

/** Name of the document that machines of a deployment are sent, by what the names of the deployment begin with. */
export const runDocumentOf = (prefix: string): string => `${prefix}-run`;
