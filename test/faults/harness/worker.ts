/**
 * A process of Muster that waits for one order, and does to itself what the order says at the point it names. Started by
 * `children.ts`, with which it speaks over IPC.
 */
import { Engine } from './engine.ts';
import { Commands, type Counts, type Point } from './point.ts';

export interface Order {
  /** `import`: as `muster import FILE`. `recover`: as `muster worker`, until nothing is left to do. */
  readonly task: 'import' | 'recover';
  readonly path: string;
  readonly point?: Point | undefined;
  /** `block`: the event loop stands still for so many ms. */
  readonly act?: 'SIGKILL' | 'SIGSTOP' | { readonly block: number };
}

export type Answer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'acted' }
  | { readonly kind: 'done'; counts: Counts }
  | { readonly kind: 'failed'; error: string };

const [mongodbUri = '', redisUrl = '', prefix = '', lock = ''] = process.argv.slice(2);
const engine = await Engine.open({ mongodbUri, redisUrl, prefix, lock: Number(lock), sweepEvery: 250 });
const commands = new Commands(engine.store);
const tell = (answer: Answer) => process.send?.(answer);

process.on('message', (order: Order) => void carryOut(order));
process.on('disconnect', () => process.exit(1));
tell({ kind: 'ready' });

async function carryOut({ task, path, point, act = 'SIGKILL' }: Order): Promise<void> {
  commands.arm(point, () => {
    if (typeof act === 'string') process.kill(process.pid, act);
    else for (const until = Date.now() + act.block; Date.now() < until; );
    tell({ kind: 'acted' });
  });
  try {
    if (task === 'import') await engine.import(path);
    else await engine.recover();
    tell({ kind: 'done', counts: { ...commands.counts } });
  } catch (error) {
    tell({ kind: 'failed', error: (error as Error).stack ?? String(error) });
  }
}
