import type { Job } from '../src/queue/job.ts';
import { apply } from './apply.ts';
import type { JobContext } from './context.ts';
import { expire } from './expire.ts';
import { importFeed } from './import.ts';
import { purge } from './purge.ts';
import { subscribe } from './subscribe.ts';

/** Every kind of job. */
export const jobs = [importFeed, apply, subscribe, expire, purge] as readonly unknown[] as readonly Job<JobContext>[];
