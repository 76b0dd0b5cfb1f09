import { sourceFile } from '../../../src/feed/sources/file.ts';
import { executeRun } from '../../../src/run/execute.ts';
import { requestRun } from '../../../src/run/request.ts';
import type { RunDoc } from '../../../src/store/models.ts';
import type { Engine } from './engine.ts';

/** Takes a run as far as reading, planning and starting it go; nothing of it is applied, nothing enqueued. */
export async function readOnly({ context }: Engine, path: string, feed = 'hr'): Promise<RunDoc> {
  const file = await sourceFile(path);
  const source = { name: file.name, path: file.path, bytes: file.bytes };
  const run = await requestRun(context, { feed, mode: 'full', preview: false, approve: false, by: 'test', source });
  return executeRun(context, run, file);
}
