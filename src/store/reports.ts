import { randomBytes } from 'node:crypto';
import { MusterError, UsageError } from '../domain/errors.ts';
import type { ReportSettings } from '../settings/report.ts';
import { isDuplicateKey } from './failures.ts';
import { timesOf } from './feeds.ts';
import type { ReportDoc } from './models.ts';
import type { Services } from './services.ts';
import type { Store } from './store.ts';

/** A report was changed or deleted by somebody else. */
export class ReportChanged extends MusterError {
  readonly code = 'changed-meanwhile';
  constructor(name: string) {
    super(`Report ${name} was changed after it was read. Nothing was changed. Read it again.`);
  }
}

/** Its owner has a report of that name. */
export class ReportExists extends UsageError {
  constructor(name: string) {
    super(`A report named ${name} is there already; nothing was changed. Choose another name.`);
  }
}

export interface NewReport {
  readonly settings: ReportSettings;
  readonly owner: string;
  readonly origin: ReportDoc['origin'];
  readonly by: string;
}

/** Saves a new report. @throws {ReportExists}. */
export async function addReport(
  { store, clock }: Pick<Services, 'store' | 'clock'>,
  { settings, owner, origin, by }: NewReport,
): Promise<ReportDoc> {
  const now = clock.now();
  const report: ReportDoc = {
    _id: `p${randomBytes(8).toString('hex')}`,
    name: settings.name,
    owner,
    origin,
    settings,
    revision: 1,
    scheduled: { as: timesOf(settings.schedule), since: now },
    changedAt: now,
    changedBy: by,
  };
  await named(settings.name, store.reports.insertOne(report));
  return report;
}

/**
 * Changes a report. A schedule that changes counts from now on. @throws {ReportExists}, and {ReportChanged} where it is not at this revision any more.
 */
export async function changeReport(
  { store, clock }: Pick<Services, 'store' | 'clock'>,
  { _id, revision, scheduled }: ReportDoc,
  settings: ReportSettings,
  by: string,
): Promise<ReportDoc> {
  const now = clock.now();
  const as = timesOf(settings.schedule);
  const changed = await named(
    settings.name,
    store.reports.findOneAndUpdate(
      { _id, revision },
      {
        $set: {
          name: settings.name,
          settings,
          changedAt: now,
          changedBy: by,
          ...(scheduled?.as !== as && { scheduled: { as, since: now } }),
        },
        $inc: { revision: 1 },
      },
      { returnDocument: 'after' },
    ),
  );
  if (!changed) throw new ReportChanged(settings.name);
  return changed;
}

/** Deletes a report, and what of it waits to be sent. */
export async function deleteReport(store: Store, { _id, name, revision }: ReportDoc): Promise<void> {
  await store.transaction(async (session) => {
    const { deletedCount } = await store.reports.deleteOne({ _id, revision }, { session });
    if (deletedCount === 0) throw new ReportChanged(name);
    await store.sendings.deleteMany({ '_id.report': _id, nextAt: { $ne: null } }, { session });
  });
}

async function named<T>(name: string, write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if (isDuplicateKey(error)) throw new ReportExists(name);
    throw error;
  }
}
