import type { Instances, Machines } from '../runtime/ports.ts';

type Call = 'isThere' | 'isGone' | 'replace' | 'protect' | 'proceed';

/** Auto Scaling, in memory: what was asked is recorded, machines stand as the test says, and it fails on request. */
export function machinesTwin() {
  const calls: string[] = [];
  const leaving = new Set<string>();
  const gone = new Set<string>();
  const detached = new Set<string>();
  const fleets = new Map<string, string>();
  const isKept = new Map<string, boolean>();
  const failures: { call: Call; error: unknown }[] = [];

  const machines: Machines & Instances = {
    async isThere(worker, fleet) {
      fail('isThere');
      if (gone.has(worker) || detached.has(worker)) return false;
      const own = fleets.get(worker);
      return own === undefined ? undefined : own === fleet;
    },
    async isGone(worker) {
      fail('isGone');
      return gone.has(worker);
    },
    async replace({ worker }) {
      calls.push(`replace ${worker}`);
      fail('replace');
    },
    async protect({ worker }, on) {
      calls.push(`${on ? 'keep' : 'let go'} ${worker}`);
      fail('protect');
      if (leaving.has(worker) || gone.has(worker) || detached.has(worker)) return false;
      isKept.set(worker, on);
      return true;
    },
    async proceed({ worker, fleet }, to) {
      calls.push(`${to} ${worker} of ${fleet}`);
      fail('proceed');
    },
  };

  return {
    machines,
    /** `keep <id>`, `let go <id>`, `launch <id> of <fleet>`, `terminate <id> of <fleet>`, `replace <id>`, in order. */
    calls,
    /** Machines that Auto Scaling is taking away. */
    leaving,
    gone,
    /** Machines that somebody took out of their group by hand, and that run on. */
    detached,
    /** Which fleet a machine is of; of others nobody can tell. */
    fleets,
    isKept: (worker: string) => isKept.get(worker) ?? false,
    /** The next such call fails. */
    failNext: (call: Call, error: unknown) => void failures.push({ call, error }),
  };

  function fail(call: Call): void {
    const at = failures.findIndex((failure) => failure.call === call);
    if (at >= 0) throw failures.splice(at, 1)[0]?.error;
  }
}
