import { NotNow, UsageError } from '../domain/errors.ts';
import type { FeedDoc } from '../store/models.ts';
import { supersede } from '../store/runs.ts';
import type { Services } from '../store/services.ts';
import { dropTable } from '../store/tables.ts';
import { cancelRun } from './approval.ts';

/**
 * Deletes a feed's settings, and cancels its runs that wait. @throws {UsageError} where it is a file of `config/feeds`, is at work, or still holds
 * learners or memberships: those would be held for ever by what is there no more.
 */
export async function deleteFeed(services: Services, { _id: feed, origin, text, applied }: FeedDoc): Promise<void> {
  const { store, clock } = services;
  const refuse = (why: string, next: string) => new UsageError(`Feed ${feed} ${why}, so it was not deleted. ${next}`);
  if (origin === 'file') throw refuse('is a file of config/feeds', 'Remove that file first.');
  if (await store.runs.findOne({ feed, working: true }))
    throw new NotNow(`Feed ${feed} has a run at work, so it was not deleted. Wait for its end, or cancel it.`);
  const held = await store.learners.countDocuments({
    $or: [{ 'holds.feed': feed }, { 'memberships.sources.source': feed }],
  });
  if (held > 0) {
    throw refuse(
      `holds ${held} learners`,
      'Take them out first: import a file with its header alone and --approve, or take them out of their groups.',
    );
  }
  const by = 'feeds delete';
  const waiting = await store.runs.find({ feed, state: 'queued' }, { projection: { _id: 1 } }).toArray();
  for (const { _id } of waiting) await cancelRun(services, _id, by);
  await supersede(store, { feed }, { by, at: clock.now() });
  await store.feeds.deleteOne({ _id: feed, text });
  if (applied) {
    await dropTable(store, applied.table);
  }
}
