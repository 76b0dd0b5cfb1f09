import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { GroupId } from '../domain/ids.ts';
import type { ReportDoc } from '../store/models.ts';
import type { HttpContext } from './context.ts';
import { seesAll } from './principal.ts';
import { HttpProblem } from './problems.ts';

/** The tag of a thing's stored revision. */
function tagOf(kind: string, id: number | string, revision: number): string {
  return `"${kind}${id}-${revision}"`;
}

export async function tagGroup({ store }: HttpContext, reply: FastifyReply, id: GroupId): Promise<void> {
  const stored = await store.groups.findOne({ _id: id }, { projection: { revision: 1 } });
  if (stored) reply.header('etag', tagOf('g', id, stored.revision));
}

export function tagLearner(reply: FastifyReply, { id, revision }: { id: number; revision: number }): void {
  reply.header('etag', tagOf('l', id, revision));
}

/**
 * `If-Match` on an edit of a group: refused where the group is not as it was read. Gives the revision that the edit
 * stands on, for the store to compare again; undefined where the request does not ask for it. Who does not see all was
 * never given a tag, and is not told by guessing one how often the group was changed (R29).
 */
export async function groupMatch(
  { store }: HttpContext,
  request: FastifyRequest,
  id: GroupId,
): Promise<number | undefined> {
  const asked = request.headers['if-match'];
  if (asked === undefined || asked === '*') return undefined;
  if (!seesAll(request.principal.role)) refuseOthers(asked, '');
  const stored = await store.groups.findOne({ _id: id }, { projection: { revision: 1 } });
  refuseOthers(asked, stored ? tagOf('g', id, stored.revision) : '');
  return stored?.revision;
}

/** As `groupMatch`, of a learner. */
export function learnerMatch(
  request: FastifyRequest,
  { id, revision }: { id: number; revision: number },
): number | undefined {
  const asked = request.headers['if-match'];
  if (asked === undefined || asked === '*') return undefined;
  refuseOthers(asked, tagOf('l', id, revision));
  return revision;
}

export function tagReport(reply: FastifyReply, { _id, revision }: ReportDoc): void {
  reply.header('etag', tagOf('', _id, revision));
}

export function reportMatch(request: FastifyRequest, { _id, revision }: ReportDoc): void {
  const asked = request.headers['if-match'];
  if (asked !== undefined && asked !== '*') refuseOthers(asked, tagOf('', _id, revision));
}

/** A thing without a revision of its own: its tag is of what is shown of it. */
export function tagContent(reply: FastifyReply, content: unknown): void {
  reply.header('etag', contentTag(content));
}

/** As `groupMatch`, of such a thing: true where the change stands on what was read. */
export function contentMatch(request: FastifyRequest, content: unknown): boolean {
  const asked = request.headers['if-match'];
  if (asked === undefined || asked === '*') return false;
  refuseOthers(asked, contentTag(content));
  return true;
}

function contentTag(content: unknown): string {
  return `"${createHash('sha256').update(JSON.stringify(content)).digest('base64url').slice(0, 22)}"`;
}

function refuseOthers(asked: string, tag: string): void {
  const tags = asked.split(',').map((one) => one.trim());
  if (tag === '' || !tags.includes(tag)) {
    throw new HttpProblem(
      412,
      'changed-meanwhile',
      'It was changed after it was read. Nothing was changed. Read it again.',
    );
  }
}
