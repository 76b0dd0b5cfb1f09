import { nameOfEntry } from '../../store/auditChain.ts';
import { OF_ACCESS } from '../../store/audited.ts';
import type { AuditDoc, BatchDoc } from '../../store/models.ts';
import type { Services } from '../../store/services.ts';
import { readCourses, readStructure } from '../../store/structure.ts';
import type { StructureDetail } from '../history.ts';
import { type ChangeView, fieldsOf, viewField, viewMembership } from './changesView.ts';
import { structureLines } from './historyView.ts';
import { keyIn, keyOf } from './key.ts';

/** One audit entry. Learners stand by their numbers, which no erasure and no change of External ID touches. */
export interface AuditView {
  /** Place in the chain; null = not sealed yet. */
  readonly seq: number | null;
  readonly at: Date;
  readonly by: string;
  readonly why: string;
  readonly run: string;
  readonly batch: number;
  readonly step: string;
  readonly learners: readonly string[];
  /** What was applied, before and after. */
  readonly changes: readonly (Pick<ChangeView, 'created' | 'fields' | 'memberships' | 'rows'> & {
    readonly learner: string;
  })[];
  readonly subscriptions: readonly { readonly learner: string; readonly course: string; readonly event: string }[];
  readonly structure: readonly string[];
  /** Of entries about access, subenvironments and reports: what was changed. Of others: what is not shown otherwise, such as a reason. */
  readonly detail: unknown;
  readonly counts: Readonly<Record<string, number>>;
  readonly content: string | null;
  readonly hash: string | null;
}

/**
 * Every audit entry: those of the chain in its order, then those that are not sealed yet, and last those that were
 * sealed while the others were read. `access: false` leaves out those about users, keys and log-ins.
 */
export async function* exportAudit({ store }: Services, { access = true } = {}): AsyncGenerator<AuditView> {
  const shown = access ? {} : { '_id.step': { $nin: OF_ACCESS } };
  const find = (filter: object) => store.audit.find({ ...filter, ...shown } as never).sort({ seq: 1, at: 1, _id: 1 });
  const [structure, courses] = [await readStructure(store), await readCourses(store)];
  const nameOf = (id: number) => keyOf(structure.group(id as never) ?? { id });
  const changesOf = ({ changes }: Pick<BatchDoc, 'changes'>, of: ReadonlySet<number>): AuditView['changes'] =>
    changes
      .filter(({ learner }) => of.has(learner))
      .map((change) => ({
        learner: `id:${change.learner}`,
        created: change.create !== undefined,
        fields: change.create ? fieldsOf(change.create) : change.fields.map(viewField),
        memberships: change.memberships.map((one) => viewMembership(one, nameOf)),
        rows: change.rows ?? [],
      }));
  const view = async (entry: AuditDoc): Promise<AuditView> => {
    const { run, batch, step } = entry._id;
    const applied = /^(apply|retry-[0-9]+)$/.test(step) ? await store.batches.findOne({ _id: { run, batch } }) : null;
    const planned = (entry.instead ?? []).map(([from]) => from);
    return {
      seq: entry.seq ?? null,
      at: entry.at,
      by: entry.by,
      why: entry.why,
      run,
      batch,
      step,
      learners: entry.learners.map((id) => `id:${id}`),
      changes: applied ? changesOf(applied, new Set([...entry.learners, ...planned])) : [],
      subscriptions: (entry.events ?? []).flatMap(({ learner, events }) =>
        events.map(({ course, kind }) => ({ learner: `id:${learner}`, course: keyIn(courses, course), event: kind })),
      ),
      structure: entry.groups ? structureLines(entry.detail as StructureDetail, structure, courses) : [],
      detail: entry.groups ? null : (entry.detail ?? null),
      counts: entry.counts,
      content: entry.content ?? null,
      hash: entry.hash ?? null,
    };
  };
  let last = 0;
  for await (const entry of find({ seq: { $gt: 0 } })) {
    last = entry.seq ?? last;
    yield view(entry);
  }
  const unsealed = new Set<string>();
  for await (const entry of find({ seq: null })) {
    unsealed.add(nameOfEntry(entry));
    yield view(entry);
  }
  for await (const entry of find({ seq: { $gt: last } })) if (!unsealed.has(nameOfEntry(entry))) yield view(entry);
}
