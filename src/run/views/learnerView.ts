import { through } from '../../domain/entitlement.ts';
import type { CourseId, LearnerId } from '../../domain/ids.ts';
import type { Learner, LearnerStatus } from '../../domain/learner.ts';
import type { Subscription } from '../../domain/settle.ts';
import type { Course, Structure } from '../../domain/structure.ts';
import type { ProgressDoc } from '../../store/models.ts';
import type { Services } from '../../store/services.ts';
import { readCourses, readStructure } from '../../store/structure.ts';
import { readSubscriptions } from '../../store/subscriptions.ts';
import { keyIn, keyOf } from './key.ts';
import { readProgress } from './progressView.ts';

export interface LearnerView {
  readonly id: string;
  readonly externalId: string | null;
  readonly email: string | null;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly status: LearnerStatus;
  readonly attributes: Readonly<Record<string, string>>;
  readonly memberships: readonly {
    readonly group: string;
    readonly name: string;
    readonly sources: readonly {
      readonly source: string;
      readonly validFrom: Date | null;
      readonly validUntil: Date | null;
    }[];
  }[];
  readonly subscriptions: readonly {
    readonly course: string;
    readonly status: Subscription['status'];
    /** Linked groups that give the course now. */
    readonly through: readonly string[];
    readonly direct: boolean;
    readonly since: Date;
    readonly progress: ProgressFigures | null;
  }[];
}

export interface ProgressFigures {
  readonly completion: number;
  readonly score: number | null;
  readonly activities: ProgressDoc['activities'];
}

/** What shaping learners needs beside them. */
export interface LearnerSurroundings {
  readonly structure: Structure;
  readonly courses: ReadonlyMap<CourseId, Course>;
  readonly now: Date;
}

/** One learner as `learners show`, the export and the API give it. Groups and courses in the order of their keys. */
export function learnerView(
  learner: Learner,
  subscriptions: readonly Subscription[],
  progress: ReadonlyMap<CourseId, ProgressDoc>,
  { structure, courses, now }: LearnerSurroundings,
): LearnerView {
  const keyOfGroup = (id: number) => keyOf(structure.group(id as never) ?? { id });
  return {
    id: `id:${learner.id}`,
    externalId: learner.externalId ?? null,
    email: learner.email ?? null,
    firstName: learner.firstName ?? null,
    lastName: learner.lastName ?? null,
    status: learner.status,
    attributes: learner.attributes,
    memberships: learner.memberships
      .map(({ group, sources }) => ({
        group: keyOfGroup(group),
        name: structure.group(group)?.name ?? '',
        sources: sources.map(({ source, from, until }) => ({
          source,
          validFrom: from ?? null,
          validUntil: until ?? null,
        })),
      }))
      .sort((a, b) => compare(a.group, b.group)),
    subscriptions: subscriptions
      .map(({ course, status, direct, since }) => ({
        course: keyIn(courses, course),
        status,
        through: through(course, learner.memberships, structure, now).map(keyOfGroup),
        direct,
        since,
        progress: figuresOf(progress.get(course)),
      }))
      .sort((a, b) => compare(a.course, b.course)),
  };
}

export function figuresOf(doc: Omit<ProgressDoc, '_id'> | undefined): ProgressFigures | null {
  return doc ? { completion: doc.completion, score: doc.score ?? null, activities: doc.activities } : null;
}

export async function readSurroundings({ store, clock }: Services): Promise<LearnerSurroundings> {
  return { structure: await readStructure(store), courses: await readCourses(store), now: clock.now() };
}

/** Views of these learners, in their order. */
export async function viewLearners(
  services: Services,
  learners: readonly Learner[],
  surroundings: LearnerSurroundings,
): Promise<LearnerView[]> {
  const ids: LearnerId[] = learners.map(({ id }) => id);
  const [subscriptions, progress] = await Promise.all([
    readSubscriptions(services.store, ids),
    readProgress(services.store, ids),
  ]);
  return learners.map((learner) =>
    learnerView(
      learner,
      subscriptions.get(learner.id)?.items ?? [],
      progress.get(learner.id) ?? new Map(),
      surroundings,
    ),
  );
}

/** By code units: the same order on every machine. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
