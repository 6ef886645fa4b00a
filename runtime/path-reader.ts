/** What stands for the values of a path that may have several: an array or a name with dots is on the way. */
export const SEVERAL = Symbol('several values');

/** Makes a function that finds what an event has at a path (names joined by dots): a value, undefined, or SEVERAL. */
export function pathReader(path: string): (event: unknown) => unknown {
  const names = path.split('.');
  const steps = names.map((field, index) => ({
    field,
    isInherited: field in Object.prototype,
    /** This name and the next ones, written as one: if the event has it, it has the path a second time. */
    dotted: names.slice(index + 1).map((_, more) => names.slice(index, index + more + 2).join('.')),
  }));
  return (event) => {
    let below = event;
    for (const { field, isInherited, dotted } of steps) {
      if (typeof below !== 'object' || below === null) return undefined;
      if (Array.isArray(below)) return SEVERAL;
      for (const name of dotted) if ((below as Fields)[name] !== undefined) return SEVERAL;
      // Names that every object answers to must be its own.
      below = isInherited && !Object.hasOwn(below, field) ? undefined : (below as Fields)[field];
    }
    return below;
  };
}

type Fields = Readonly<Record<string, unknown>>;
