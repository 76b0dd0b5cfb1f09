import { NotFound, UsageError } from '../../domain/errors.ts';
import { seesAll } from '../../domain/role.ts';
import { nextDueTime } from '../../settings/dueTimes.ts';
import type { ReportSettings } from '../../settings/report.ts';
import type { ReportDoc, SendingDoc } from '../../store/models.ts';
import type { Services } from '../../store/services.ts';
import type { Store } from '../../store/store.ts';
import { readUser } from '../../store/users.ts';
import type { Sight, Viewer } from '../sight.ts';
import { compare } from '../views/learnerView.ts';
import { unknownNames } from './names.ts';

/** One who is at the machine itself: everything is seen. */
export function atTheMachine(owner: string): Viewer {
  return { role: 'administrator', owner, subenvironments: [] };
}

/** Who owns the report, as far as there is such a one now. Reports are sent with these eyes. */
export async function ownerOf({ store, clock }: Services, { owner }: ReportDoc): Promise<Viewer | undefined> {
  const [, kind, name] = /^(user|key):(.*)$/.exec(owner) ?? [];
  if (kind === undefined || name === undefined) return atTheMachine(owner);
  if (kind === 'user') {
    const user = await readUser(store, name);
    return user ? { role: user.role, login: user._id, owner, subenvironments: user.subenvironments } : undefined;
  }
  const key = await store.keys.findOne({ name, revokedAt: { $exists: false } });
  const isOver = key?.expiresAt && key.expiresAt <= clock.now();
  return key?.role && !isOver ? { role: key.role, owner, subenvironments: [] } : undefined;
}

/** Owners change their reports, and so do those from whom nothing is hidden. */
export function mayChange({ owner }: ReportDoc, viewer: Viewer): boolean {
  return seesAll(viewer.role) || owner === viewer.owner;
}

/**
 * Whether the report is there for one (R29): his own, one that is shared with his role, and all to those who see everything.
 * Those about runs are there for the last alone, whoever saved them.
 */
function isThere(report: ReportDoc, viewer: Viewer): boolean {
  const { sharedWith, what } = report.settings;
  if (what === 'runs' && !seesAll(viewer.role)) return false;
  return mayChange(report, viewer) || sharedWith.some((role) => role === viewer.role);
}

/** The reports that are there for one, by name. */
export async function reportsFor(store: Store, viewer: Viewer): Promise<ReportDoc[]> {
  const docs = await store.reports.find().toArray();
  return docs
    .filter((report) => isThere(report, viewer))
    .sort((a, b) => compare(a.name, b.name) || compare(a._id, b._id));
}

/** The report of this id. @throws {NotFound} also where it is not there for one who asks. */
export async function reportFor(store: Store, viewer: Viewer, id: string): Promise<ReportDoc> {
  const report = await store.reports.findOne({ _id: id });
  if (report && isThere(report, viewer)) return report;
  throw new NotFound(`There is no report ${id}; nothing was changed.`);
}

/**
 * Settings that one may save or run. Who does not see everything makes reports on learners, for himself alone, and what he
 * does not see does not exist. @throws {UsageError | NotFound}
 */
export function refuseBeyond(settings: ReportSettings, viewer: Viewer, sight: Sight): void {
  const { what, filter, sharedWith, send } = settings;
  if (!seesAll(viewer.role)) {
    if (what === 'runs' || sharedWith.length > 0)
      throw new UsageError(
        'Reports about runs, and sharing, are for administrators and operators; nothing was changed. Leave them out.',
      );
    if (send && !send.to.every((to) => to.toLowerCase() === viewer.login))
      throw new UsageError('Your reports are sent to yourself alone; nothing was changed. Name your own address.');
    if (filter.subenvironments) throw new NotFound('There is no such subenvironment; nothing was changed.');
  }
  const [unknown] = unknownNames(settings, sight);
  if (unknown !== undefined) throw new NotFound(`There is no ${unknown}; nothing was changed.`);
}

export interface ReportView {
  readonly report: string;
  readonly name: string;
  readonly what: ReportSettings['what'];
  readonly origin: ReportDoc['origin'];
  /** Whether the asker may change it; what follows is null where not. */
  readonly mayChange: boolean;
  readonly settings: ReportSettings | null;
  readonly owner: string | null;
  readonly changedAt: Date | null;
  readonly nextDue: Date | null;
  readonly lastSending: SendingView | null;
}
export interface SendingView {
  readonly due: Date;
  readonly state: 'waiting' | 'sent' | 'given up';
  /** What went wrong in the last try that failed. */
  readonly error: string | null;
  readonly by: string;
}

export async function viewReport(
  { store, clock }: Pick<Services, 'store' | 'clock'>,
  report: ReportDoc,
  viewer: Viewer,
): Promise<ReportView> {
  const { _id, name, settings, origin, owner, changedAt } = report;
  const seen = { report: _id, name, what: settings.what, origin };
  if (!mayChange(report, viewer)) {
    const hidden = { settings: null, owner: null, changedAt: null, nextDue: null, lastSending: null };
    return { ...seen, mayChange: false, ...hidden };
  }
  const { cron, timeZone } = settings.schedule;
  const [last] = await store.sendings
    .find({ _id: { $gte: { report: _id } as never, $lt: { report: `${_id} ` } as never } })
    .sort({ _id: -1 })
    .limit(1)
    .toArray();
  return {
    ...seen,
    mayChange: true,
    settings,
    owner,
    changedAt,
    nextDue: (cron === undefined ? undefined : nextDueTime({ cron, timeZone }, clock.now())) ?? null,
    lastSending: last ? viewSending(last) : null,
  };
}

export function viewSending({ _id, by, nextAt, deliveredAt, tries }: SendingDoc): SendingView {
  const state = nextAt !== null ? 'waiting' : deliveredAt ? 'sent' : 'given up';
  return { due: _id.due, state, by, error: state === 'sent' ? null : (tries.at(-1)?.message ?? null) };
}
