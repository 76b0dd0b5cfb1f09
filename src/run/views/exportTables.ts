import type { Services } from '../../store/services.ts';
import { type AuditView, exportAudit } from './auditExport.ts';
import { csvRow } from './csv.ts';
import { exportGroups, exportLearners, exportSubscriptions, type SubscriptionView } from './exports.ts';
import type { GroupView } from './groupView.ts';
import type { LearnerView } from './learnerView.ts';

type Cell = string | number | boolean | null;
export type ExportFormat = 'ndjson' | 'csv';

/** A kind of export: where its items come from, and its columns as CSV. */
export interface ExportKind<T> {
  readonly items: (services: Services) => AsyncIterable<T>;
  readonly columns: readonly (readonly [string, (item: T) => Cell])[];
}

export const learners: ExportKind<LearnerView> = {
  items: exportLearners,
  columns: [
    ['id', ({ id }) => id],
    ['externalId', ({ externalId }) => externalId],
    ['email', ({ email }) => email],
    ['firstName', ({ firstName }) => firstName],
    ['lastName', ({ lastName }) => lastName],
    ['status', ({ status }) => status],
    ['attributes', ({ attributes }) => JSON.stringify(attributes)],
    ['groups', ({ memberships }) => memberships.map(({ group }) => group).join(';')],
    ['activeCourses', ({ subscriptions }) => coursesOf(subscriptions, 'active')],
    ['expiredCourses', ({ subscriptions }) => coursesOf(subscriptions, 'expired')],
  ],
};

export const groups: ExportKind<GroupView> = {
  items: exportGroups,
  columns: [
    ['id', ({ id }) => id],
    ['externalId', ({ externalId }) => externalId],
    ['name', ({ name }) => name],
    ['parent', ({ parent }) => parent],
    ['instructors', ({ instructors }) => instructors.join(';')],
    ['subenvironments', ({ subenvironments }) => subenvironments.join(';')],
    [
      'courses',
      ({ courses }) =>
        courses
          .filter(({ inherited }) => !inherited)
          .map(({ course }) => course)
          .join(';'),
    ],
    ['members', ({ members }) => members.direct],
    ['effectiveMembers', ({ members }) => members.effective],
  ],
};

export const subscriptions: ExportKind<SubscriptionView> = {
  items: exportSubscriptions,
  columns: [
    ['learner', ({ learner }) => learner],
    ['email', ({ email }) => email],
    ['course', ({ course }) => course],
    ['status', ({ status }) => status],
    ['through', ({ through }) => through.join(';')],
    ['direct', ({ direct }) => direct],
    ['since', ({ since }) => since.toISOString()],
    ['completion', ({ progress }) => progress?.completion ?? null],
    ['score', ({ progress }) => progress?.score ?? null],
  ],
};

export const audit: ExportKind<AuditView> = {
  items: exportAudit,
  columns: [
    ['seq', ({ seq }) => seq],
    ['at', ({ at }) => at.toISOString()],
    ['by', ({ by }) => by],
    ['why', ({ why }) => why],
    ['run', ({ run }) => run],
    ['batch', ({ batch }) => batch],
    ['step', ({ step }) => step],
    ['learners', ({ learners: who }) => who.join(';')],
    ['changes', ({ changes }) => JSON.stringify(changes)],
    ['subscriptions', ({ subscriptions: events }) => JSON.stringify(events)],
    ['structure', ({ structure }) => structure.join('; ')],
    ['detail', ({ detail }) => (detail === null ? null : JSON.stringify(detail))],
    ['hash', ({ hash }) => hash],
  ],
};

/** The audit for those who may not read users and keys. */
export const auditWithoutAccess: ExportKind<AuditView> = {
  ...audit,
  items: (services) => exportAudit(services, { access: false }),
};

function coursesOf(of: LearnerView['subscriptions'], wanted: 'active' | 'expired'): string {
  return of
    .filter(({ status }) => status === wanted)
    .map(({ course }) => course)
    .join(';');
}

/** Everything of a kind in the format, one item a line. */
export async function* exported<T>(
  { items, columns }: ExportKind<T>,
  format: ExportFormat,
  services: Services,
): AsyncGenerator<string> {
  if (format === 'csv') yield csvRow(columns.map(([name]) => name));
  for await (const item of items(services)) {
    yield format === 'csv' ? csvRow(columns.map(([, cell]) => cell(item))) : `${JSON.stringify(item)}\n`;
  }
}
