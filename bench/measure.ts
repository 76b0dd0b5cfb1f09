import { readFileSync } from 'node:fs';

/** Seconds, except where it says otherwise. */
export interface Cost {
  readonly wall: number;
  /** CPU of this process with all of its threads. */
  readonly node: number;
  /** CPU of the servers while it went on, from /proc. */
  readonly mongod: number;
  readonly redis: number;
}

export interface ServerPids {
  readonly mongod: number;
  readonly redis: number;
}

/** Clock ticks a second of /proc/PID/stat, on every Linux that Node runs on. */
const TICKS = 100;

function cpuOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** Adds up what pieces of work cost, leaving out what lies between them. */
export class Meter {
  readonly #pids: ServerPids;
  #sum: Cost = { wall: 0, node: 0, mongod: 0, redis: 0 };

  constructor(pids: ServerPids) {
    this.#pids = pids;
  }

  async time<T>(work: () => Promise<T> | T): Promise<T> {
    const mongod = cpuOf(this.#pids.mongod);
    const redis = cpuOf(this.#pids.redis);
    const cpu = process.cpuUsage();
    const began = performance.now();
    const result = await work();
    const wall = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    this.#sum = {
      wall: this.#sum.wall + wall,
      node: this.#sum.node + (user + system) / 1e6,
      mongod: this.#sum.mongod + cpuOf(this.#pids.mongod) - mongod,
      redis: this.#sum.redis + cpuOf(this.#pids.redis) - redis,
    };
    return result;
  }

  get cost(): Cost {
    return this.#sum;
  }

  /** Of work that asks no server: what these do meanwhile, as writing what others left, is not its. */
  get costAlone(): Cost {
    return { ...this.#sum, mongod: 0, redis: 0 };
  }
}

/** The most memory that this process has held at once, MB (VmHWM). */
export function peakMemory(): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line?.[1]) / 1024;
}

export function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

export function percentile(list: readonly number[], share: number): number {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
