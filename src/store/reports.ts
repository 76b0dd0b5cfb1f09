import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { MusterError, UsageError } from '../domain/errors.ts';
import type { ReportSettings } from '../settings/report.ts';
import { audited } from './audited.ts';
import { isDuplicateKey } from './failures.ts';
import { timesOf } from './feeds.ts';
import type { ReportDoc } from './models.ts';
import type { Services } from './services.ts';

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

type Stored = Pick<Services, 'store' | 'clock'>;
const STEP = { step: 'report' } as const;

/**
 * What of a report stands in the audit: of those who receive it their number, since no entry is altered when one of them is
 * erased.
 */
function told({ send, ...settings }: ReportSettings) {
  return { ...settings, ...(send && { send: { ...send, to: send.to.length } }) };
}

/** Saves a new report. @throws {ReportExists}. */
export async function addReport(services: Stored, { settings, owner, origin, by }: NewReport): Promise<ReportDoc> {
  const { store, clock } = services;
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
  return named(
    settings.name,
    audited(services, { ...STEP, by, why: 'reports add' }, async (session) => {
      await store.reports.insertOne(report, { session });
      return { result: report, detail: { report: report._id, owner, before: null, after: told(settings) } };
    }),
  );
}

/**
 * Changes a report. A schedule that changes counts from now on. @throws {ReportExists}, and {ReportChanged} where it is not at this revision any more.
 */
export async function changeReport(
  services: Stored,
  { _id, revision, scheduled, settings: before }: ReportDoc,
  settings: ReportSettings,
  by: string,
  why = 'reports edit',
): Promise<ReportDoc> {
  const { store, clock } = services;
  const now = clock.now();
  const as = timesOf(settings.schedule);
  const change = {
    $set: {
      name: settings.name,
      settings,
      changedAt: now,
      changedBy: by,
      ...(scheduled?.as !== as && { scheduled: { as, since: now } }),
    },
    $inc: { revision: 1 },
  };
  const recipients = !isDeepStrictEqual(before.send?.to, settings.send?.to);
  return named(
    settings.name,
    audited(services, { ...STEP, by, why }, async (session) => {
      const after = await store.reports.findOneAndUpdate({ _id, revision }, change, {
        returnDocument: 'after',
        session,
      });
      if (!after) throw new ReportChanged(settings.name);
      const detail = { report: _id, owner: after.owner, before: told(before), after: told(settings) };
      return { result: after, detail: { ...detail, ...(recipients && { recipients: 'changed' }) } };
    }),
  );
}

/** Deletes a report, and what of it waits to be sent. */
export async function deleteReport(
  services: Stored,
  { _id, name, owner, revision, settings }: ReportDoc,
  by: string,
): Promise<void> {
  const { store } = services;
  await audited(services, { ...STEP, by, why: 'reports delete' }, async (session) => {
    const { deletedCount } = await store.reports.deleteOne({ _id, revision }, { session });
    if (deletedCount === 0) throw new ReportChanged(name);
    await store.sendings.deleteMany({ '_id.report': _id, nextAt: { $ne: null } }, { session });
    return { result: undefined, detail: { report: _id, owner, before: told(settings), after: null } };
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
