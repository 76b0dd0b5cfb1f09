import { dirname } from 'node:path';
import { eraseLearner, liftErasure, tracesOf } from '../../run/erase.ts';
import type { Places } from '../../run/storedFiles.ts';
import { exportPerson } from '../../run/views/personExport.ts';
import type { App } from '../app.ts';
import type { HttpContext } from '../context.ts';
import { ADMINISTRATORS, may } from '../principal.ts';
import { PROBLEMS } from '../shapes/common.ts';
import { Erase, ErasedShape, PersonShape, TracesShape, Unerase, UnerasedShape } from '../shapes/privacy.ts';
import { learnerIn, sightOf } from '../sight.ts';
import { learnerParams as params } from './learners.ts';

const tags = ['learners'];
const read = may('read', 'learners', ADMINISTRATORS);
const write = { ...may('write', 'learners', ADMINISTRATORS), refusal: 409 };

/** What data-protection law asks for: all that is held of one person, and its end. */
export function privacyRoutes(app: App, context: HttpContext): void {
  const places: Places = { base: context.base, data: dirname(context.uploads) };

  app.get(
    '/learners/:learner/export',
    {
      config: read,
      schema: { tags, summary: 'All that is held of one person', params, response: { 200: PersonShape, ...PROBLEMS } },
    },
    async ({ params, principal }) =>
      exportPerson(context, await learnerIn(context, await sightOf(context, principal), params.learner)),
  );

  app.get(
    '/learners/:learner/erase',
    {
      config: read,
      schema: {
        tags,
        summary: 'What erasing the person would take away',
        params,
        response: { 200: TracesShape, ...PROBLEMS },
      },
    },
    async ({ params, principal }) =>
      tracesOf(context, places, await learnerIn(context, await sightOf(context, principal), params.learner)),
  );

  app.post(
    '/learners/:learner/erase',
    {
      config: write,
      schema: {
        tags,
        summary: 'Erases a person from everything that is stored, for good; the next import does not bring them back',
        params,
        body: Erase,
        response: { 200: ErasedShape, ...PROBLEMS },
      },
    },
    async ({ params, body, principal }) => {
      const { id } = await learnerIn(context, await sightOf(context, principal), params.learner);
      const reason = body?.reason;
      return eraseLearner(context, places, { learner: id, by: principal.by, ...(reason !== undefined && { reason }) });
    },
  );

  app.post(
    '/learners/unerase',
    {
      config: write,
      schema: {
        tags,
        summary: 'Lifts an erasure, so that imports may bring the person back; nothing erased returns',
        body: Unerase,
        response: { 200: UnerasedShape, ...PROBLEMS },
      },
    },
    ({ body, principal }) => liftErasure(context, { text: body.externalId, by: principal.by }),
  );
}
