import type { Cast } from '../cast.ts';
import { peakMemory } from '../measure.ts';
import type { Answer } from '../tasks.ts';

const AT_ONCE = 1_000;
/** Collections that an import leaves documents in. */
const LEFT_BEHIND = ['learners', 'subscriptions', 'batches', 'audit', 'tables', 'runs'] as const;

/**
 * Floor: one writer inserts, with the bare driver, the very documents that a run left behind in `from`, into an empty
 * database with the same indexes and the same write concern, 1,000 at once. Reading them is not counted.
 */
export async function rawInserts(cast: Cast, { from, to }: { from: string; to: string }): Promise<Answer> {
  const source = (await cast.muster(from)).context.store;
  const { store } = (await cast.fresh(to)).context;
  const meter = cast.meter();
  let documents = 0;
  for (const name of LEFT_BEHIND) {
    const target = store.connection.db?.collection(store[name].collectionName);
    const atOnce = name === 'batches' || name === 'audit' || name === 'tables' ? 10 : AT_ONCE;
    let docs: object[] = [];
    const flush = async () => {
      if (docs.length > 0) await meter.time(() => target?.insertMany(docs as never[], { ordered: false }));
      documents += docs.length;
      docs = [];
    };
    for await (const doc of source[name].find({} as never).sort({ _id: 1 })) {
      docs.push(doc);
      if (docs.length === atOnce) await flush();
    }
    await flush();
  }
  return { ...meter.cost, peak: peakMemory(), figures: { documents } };
}
