import type { Env } from './env.ts';

/** How long what nobody needs any more is kept, days. */
export interface Retention {
  /** Runs that changed nothing: previews, failed, rejected, superseded, without news. */
  readonly runs: number;
  /** Rejected rows, of any run. */
  readonly rejectedRows: number;
  /** Copies of uploaded files, for plans that are still held. */
  readonly uploads: number;
}

export function retentionOf(env: Env): Retention {
  return {
    runs: env.RUN_RETENTION_DAYS,
    rejectedRows: env.REJECTED_RETENTION_DAYS,
    uploads: env.UPLOAD_RETENTION_DAYS,
  };
}
