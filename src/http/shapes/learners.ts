import { z } from 'zod';
import type { LearnerRow as Row } from '../../run/views/learnerList.ts';
import { Learners, list, Name, NewExternalId, Reference, SourceShape } from './common.ts';

const text = z.string().nullable();
const Status = z.enum(['active', 'inactive']);
const SubscriptionStatus = z.enum(['active', 'expired']);

export const ProgressShape = z.object({
  completion: z.number(),
  score: z.number().nullable(),
  activities: list(z.object({ name: z.string(), completion: z.number().optional(), score: z.number().optional() })),
});
const Subscription = z.object({
  course: z.string(),
  status: SubscriptionStatus,
  through: list(z.string()),
  direct: z.boolean(),
  since: z.date(),
  progress: ProgressShape.nullable(),
});
export const LearnerRow = z.object({
  id: z.string(),
  externalId: text,
  email: text,
  firstName: text,
  lastName: text,
  status: Status,
  groups: list(z.string()),
}) satisfies z.ZodType<Row>;
/** The same as `muster learners show --json`. */
export const LearnerShape = z.object({
  id: z.string(),
  externalId: text,
  email: text,
  firstName: text,
  lastName: text,
  status: Status,
  attributes: z.record(z.string(), z.string()),
  memberships: list(z.object({ group: z.string(), name: z.string(), sources: list(SourceShape) })),
  subscriptions: list(Subscription),
});

const Email = z
  .string()
  .trim()
  .regex(/^[^\s@]+@[^\s@]+$/, 'must be an e-mail address')
  .max(320);
const AttributeName = z
  .string()
  .regex(/^[^.$]{1,100}$/, 'must be a name without . and $')
  .refine(
    (name) => !name.includes('\0') && !['__proto__', 'constructor', 'prototype'].includes(name),
    'cannot be a name',
  );
const PersonName = z.string().trim().max(300);
export const NewLearnerShape = z
  .strictObject({
    externalId: NewExternalId.optional(),
    email: Email.optional(),
    firstName: PersonName.optional(),
    lastName: PersonName.optional(),
    attributes: z.record(AttributeName, z.string().trim().max(2000)).default({}),
  })
  .refine(
    ({ externalId, email }) => externalId !== undefined || email !== undefined,
    'needs an externalId or an email',
  );
export const LearnersImport = z.strictObject({ learners: z.array(NewLearnerShape).min(1).max(20_000) });
/** null takes a field away. */
export const LearnerEditShape = z.strictObject({
  externalId: NewExternalId.nullable().optional(),
  email: Email.nullable().optional(),
  firstName: PersonName.nullable().optional(),
  lastName: PersonName.nullable().optional(),
  status: Status.optional(),
  attributes: z.record(AttributeName, z.string().trim().max(2000).nullable()).optional(),
});
export const LearnerMove = z.strictObject({ from: Reference, to: Reference });

export const CourseProgress = ProgressShape.extend({ course: z.string() });
const Percent = z.number().min(0).max(100);
export const ProgressReport = z.strictObject({
  course: Reference,
  completion: Percent,
  score: Percent.optional(),
  activity: z.string().trim().min(1).max(300).optional(),
});

export const CourseShape = z.object({
  id: z.string(),
  externalId: text,
  name: z.string(),
  subenvironment: text,
  groups: list(z.string()),
  /** null for those who see no learners. */
  subscriptions: z.object({ active: z.number(), expired: z.number() }).nullable(),
});
export const NewCourseShape = z.strictObject({
  name: Name,
  externalId: NewExternalId.optional(),
  subenvironment: z.string().trim().min(1).max(200).optional(),
});
export const Subscriber = z.object({
  id: z.string(),
  externalId: text,
  email: text,
  status: SubscriptionStatus,
  through: list(z.string()),
  direct: z.boolean(),
  since: z.date(),
  progress: ProgressShape.nullable(),
});
export const Grant = z.strictObject({ learners: Learners });
export const Revoke = z.strictObject({ learners: Learners, removal: z.enum(['expire', 'purge']).default('expire') });
