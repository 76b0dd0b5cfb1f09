import type { Learner } from '../../domain/learner.ts';
import type { Services } from '../../store/services.ts';
import { readCourses } from '../../store/structure.ts';
import { personOf } from '../erase.ts';
import { reportsTo } from '../recipients.ts';
import { rejectedOf } from '../traces.ts';
import { type HistoryEntry, historyOf } from './historyView.ts';
import { keyIn } from './key.ts';
import { figuresOf, type LearnerView, type ProgressFigures, readSurroundings, viewLearners } from './learnerView.ts';
import { readProgress } from './progressView.ts';

interface Results extends ProgressFigures {
  readonly course: string;
}

/** All that is held of one person. */
export interface PersonExport {
  readonly learner: LearnerView;
  /** What the person was ever called, addresses in lower case. */
  readonly names: { readonly externalIds: readonly string[]; readonly emails: readonly string[] };
  readonly feeds: readonly { readonly feed: string; readonly leftAt: Date | null }[];
  readonly results: readonly Results[];
  /** Results that a purge took away, and that stay restorable until then. */
  readonly purged: readonly (Results & { readonly until: Date })[];
  readonly history: readonly HistoryEntry[];
  readonly setAside: readonly { readonly id: string; readonly run: string; readonly job: string; readonly at: Date }[];
  /** Names of the reports that are sent to the person. */
  readonly reports: readonly string[];
  /** Rows of feeds that were rejected, as the file had them. */
  readonly rejectedRows: readonly {
    readonly run: string;
    readonly row: number;
    readonly reason: string;
    readonly text: string;
  }[];
}

export async function exportPerson(services: Services, learner: Learner): Promise<PersonExport> {
  const { store } = services;
  const person = await personOf(store, learner);
  const courses = await readCourses(store);
  const [view] = await viewLearners(services, [learner], await readSurroundings(services));
  const results = [...((await readProgress(store, [learner.id])).get(learner.id) ?? [])];
  const purged = await store.purged.find({ '_id.learner': learner.id } as never).toArray();
  const aside = await store.setAside.find({ learner: learner.id }).toArray();
  return {
    learner: view as LearnerView,
    names: { externalIds: person.externalIds, emails: person.emails },
    feeds: learner.holds.map(({ feed, leftAt }) => ({ feed, leftAt: leftAt ?? null })),
    results: results.map(([course, doc]) => ({
      course: keyIn(courses, course),
      ...(figuresOf(doc) as ProgressFigures),
    })),
    purged: purged.flatMap(({ _id: { course }, progress, until }) =>
      progress ? [{ course: keyIn(courses, course), ...(figuresOf(progress) as ProgressFigures), until }] : [],
    ),
    history: await historyOf(services, learner.id),
    setAside: aside.map(({ _id, run, job, createdAt }) => ({ id: _id, run, job, at: createdAt })),
    reports: (await reportsTo(store, person)).map(({ name }) => name),
    rejectedRows: await rejectedOf(store, person),
  };
}
