#!/usr/bin/env node
import { keepHeapSmall } from '../settings/heap.ts';
import { main } from './program.ts';

keepHeapSmall();

const stop = new AbortController();
process.once('SIGINT', () => stop.abort('SIGINT'));
process.once('SIGTERM', () => stop.abort('SIGTERM'));
// The reader of a pipe has had enough (`muster export … | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') stop.abort('EPIPE');
  else throw error;
});

const exit = await main(process.argv.slice(2), process, { stopping: stop.signal });
// What could not be closed in time would keep the process; what was written has to come out.
for (const stream of [process.stdout, process.stderr]) await new Promise((resolve) => stream.write('', resolve));
process.exit(exit);
