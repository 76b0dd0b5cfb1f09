import { z } from 'zod';
import { Learners, list, Name, NewExternalId, Reference, Removal, SourceShape } from './common.ts';

const Names = z.array(z.string().trim().min(1).max(200)).max(1000);
const text = z.string().nullable();

/** One line of the list of groups. */
export const GroupRow = z.object({
  id: z.string(),
  externalId: text,
  name: z.string(),
  parent: text,
  /** How many groups lie in it. */
  children: z.number(),
  /** Courses that it is linked to itself. */
  courses: list(z.string()),
});
export const GroupShape = z.object({
  id: z.string(),
  externalId: text,
  name: z.string(),
  parent: text,
  children: list(z.string()),
  instructors: list(z.string()),
  subenvironments: list(z.string()),
  courses: list(z.object({ course: z.string(), inherited: z.boolean() })),
  /** null for those who see no learners. */
  members: z.object({ direct: z.number(), effective: z.number() }).nullable(),
});
export const Member = z.object({
  id: z.string(),
  externalId: text,
  email: text,
  group: z.string(),
  sources: list(SourceShape),
});

export const NewGroupShape = z.strictObject({
  name: Name,
  externalId: NewExternalId.optional(),
  parent: Reference.optional(),
  instructors: Names.optional(),
  subenvironments: Names.optional(),
});
/** Groups in any order; parents and courses by External ID. */
export const GroupsImport = z.strictObject({
  groups: z
    .array(
      z.strictObject({
        externalId: NewExternalId,
        name: Name,
        parent: NewExternalId.optional(),
        courses: z.array(NewExternalId).max(1000).optional(),
      }),
    )
    .min(1)
    .max(5_000),
});
export const GroupEditShape = z.strictObject({
  name: Name.optional(),
  /** null takes it away. */
  externalId: NewExternalId.nullable().optional(),
  instructors: Names.optional(),
  subenvironments: Names.optional(),
});
/** `parent` null = at the top. */
export const GroupMove = z.strictObject({ parent: Reference.nullable(), removal: Removal.default('expire') });
export const MembersAdd = z.strictObject({ learners: Learners });
export const MembersRemove = z.strictObject({
  learners: z.union([Learners, z.literal('all')]),
  removal: Removal.default('keep'),
});
const Courses = z.array(Reference).min(1).max(1000);
export const Link = z.strictObject({ courses: Courses });
export const Unlink = z.strictObject({ courses: Courses, removal: Removal.default('expire') });

/** A change of which the effects are to be looked at first (R11). */
export const ChangeToPreview = z.discriminatedUnion('change', [
  z.strictObject({
    change: z.literal('remove'),
    learners: z.union([Learners, z.literal('all')]),
    removal: Removal.default('keep'),
  }),
  z.strictObject({ change: z.literal('move'), parent: Reference.nullable() }),
  z.strictObject({ change: z.literal('delete') }),
  z.strictObject({ change: z.literal('unlink'), courses: Courses }),
]);
