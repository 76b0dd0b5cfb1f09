import type { Cast } from './cast.ts';
import type { Cost, ServerPids } from './measure.ts';

/** Where the servers are. */
export interface Surroundings {
  readonly mongodbUri: string;
  readonly redisUrl: string;
  readonly pids: ServerPids;
}

export interface Answer extends Cost {
  /** Highest memory of the process so far, MB. */
  readonly peak: number;
  /** Where only a share of the work was done: by what the cost is to be multiplied to stand for the whole. */
  readonly times?: number;
  /** Stages of a run, s. */
  readonly stages?: Readonly<Record<string, number>>;
  readonly figures?: Readonly<Record<string, number>>;
}

/** Everything that a side of a comparison can be told to do; loaded when it is, so that no side carries what another needs. */
export const tasks = {
  sha256: async () => (await import('./floors/sha256.ts')).sha256,
  papaparse: async () => (await import('./floors/papaparse.ts')).papaparse,
  rawInserts: async () => (await import('./floors/rawInserts.ts')).rawInserts,
  rawChanges: async () => (await import('./floors/rawChanges.ts')).rawChanges,
  rawLinks: async () => (await import('./floors/rawChanges.ts')).rawLinks,
  bullmq: async () => (await import('./floors/bullmq.ts')).bullmq,
  duckdb: async () => (await import('./peers/duckdb.ts')).duckdb,
  rowByRow: async () => (await import('./peers/rowByRow.ts')).rowByRow,
  preparing: async () => (await import('./ours/importing.ts')).preparing,
  importing: async () => (await import('./ours/importing.ts')).importing,
  changingSettings: async () => (await import('./ours/importing.ts')).changingSettings,
  working: async () => (await import('./ours/importing.ts')).working,
  finding: async () => (await import('./ours/finding.ts')).finding,
  changing: async () => (await import('./ours/changing.ts')).changing,
  linking: async () => (await import('./ours/linking.ts')).linking,
  moving: async () => (await import('./ours/moving.ts')).moving,
  queueing: async () => (await import('./ours/queueing.ts')).queueing,
};

export type TaskName = keyof typeof tasks;
export type Task<Order> = (cast: Cast, order: Order) => Promise<Answer>;
export type TaskOrder<Name extends TaskName> =
  Awaited<ReturnType<(typeof tasks)[Name]>> extends Task<infer Order> ? Order : never;
