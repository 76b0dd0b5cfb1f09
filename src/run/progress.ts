import { UsageError } from '../domain/errors.ts';
import type { CourseId, LearnerId } from '../domain/ids.ts';
import type { ProgressDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';

export interface ProgressReport {
  readonly learner: LearnerId;
  readonly course: CourseId;
  /** Per cent, 0 to 100. */
  readonly completion: number;
  readonly score?: number;
  /** The result is of this activity of the course; without it, of the course as a whole. */
  readonly activity?: string;
}

/** Records a result in a course to which the learner has an active subscription. */
export async function recordProgress({ store, clock }: Services, report: ProgressReport): Promise<ProgressDoc> {
  const { learner, course, completion, score, activity } = report;
  for (const [name, value] of [
    ['completion', completion],
    ['score', score ?? 0],
  ] as const) {
    if (!(value >= 0 && value <= 100))
      throw new UsageError(`The ${name} must be from 0 to 100, not ${value}; nothing was recorded.`);
  }
  return store.transaction(async (session) => {
    const subscribed = await store.subscriptions.findOne(
      { _id: learner, items: { $elemMatch: { course, status: 'active' } } },
      { session, projection: { _id: 1 } },
    );
    if (!subscribed) {
      throw new UsageError(
        'The learner has no active subscription to the course; nothing was recorded. `muster learners show` lists them.',
      );
    }
    const _id = { learner, course };
    const before = await store.progress.findOne({ _id }, { session });
    const activities = [...(before?.activities ?? [])];
    if (activity !== undefined) {
      const at = activities.findIndex(({ name }) => name === activity);
      const result = { name: activity, completion, ...(score !== undefined && { score }) };
      if (at >= 0) activities[at] = result;
      else activities.push(result);
    }
    const whole = activity === undefined;
    const kept = whole ? (score ?? before?.score) : before?.score;
    const doc: ProgressDoc = {
      _id,
      completion: whole ? completion : average(activities.map((one) => one.completion ?? 0)),
      ...(kept !== undefined && { score: kept }),
      activities,
      updatedAt: clock.now(),
    };
    const { _id: __, ...rest } = doc;
    await store.progress.replaceOne({ _id }, rest, { session, upsert: true });
    return doc;
  });
}

function average(values: readonly number[]): number {
  return Math.round((10 * values.reduce((sum, value) => sum + value, 0)) / values.length) / 10;
}
