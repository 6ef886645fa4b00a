/**
 * Watches every send of one call, since the SDK tells of the last one only: was there one before of which nobody knows what it did?
 * `isUnheard` says whether an error leaves that open.
 */
export function watchSends(isUnheard: (error: unknown) => boolean) {
  let unheard = false;
  return {
    middleware:
      <Given, Answer>(next: (given: Given) => Promise<Answer>) =>
      async (given: Given): Promise<Answer> => {
        try {
          return await next(given);
        } catch (error) {
          if (isUnheard(error)) unheard = true;
          throw error;
        }
      },
    /** Behind the SDK's own repetitions, so that it sees each of them. */
    place: { name: 'watchSends', step: 'finalizeRequest', priority: 'low' },
    wasUnheard: (): boolean => unheard,
  } as const;
}
