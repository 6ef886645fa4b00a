export type Leaving = 'interrupted' | 'terminated';

/** What the person or the machine outside wants of a running command. */
export interface Interruption {
  /** Resolves when the process shall leave: at Ctrl-C that `first` did not take, SIGTERM or SIGHUP. A further signal kills. */
  readonly leaving: Promise<Leaving>;
  /** Takes the signals no more. */
  end(): void;
}

/** Takes Ctrl-C and the signals to end. The first Ctrl-C asks `first`, which may answer that it takes it. */
export function onInterruption(first: () => boolean = () => false): Interruption {
  let left = (_how: Leaving): void => undefined;
  let isSecond = false;
  const leaving = new Promise<Leaving>((resolve) => {
    left = resolve;
  });
  const interrupt = (): void => {
    if (!isSecond && first()) isSecond = true;
    else leave('interrupted');
  };
  const terminate = (): void => leave('terminated');
  const end = (): void => {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', terminate);
    process.off('SIGHUP', terminate);
  };
  const leave = (how: Leaving): void => {
    end();
    left(how);
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', terminate);
  process.on('SIGHUP', terminate);
  return { leaving, end };
}
