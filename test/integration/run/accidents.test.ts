import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AccidentName } from '../../../src/example/accidents.ts';
import { ACCIDENTS } from '../../../src/example/accidents.ts';
import { makeCompany } from '../../../src/example/company.ts';
import { exampleFeed } from '../../../src/example/feed.ts';
import { writeNight } from '../../../src/example/write.ts';
import { digest } from '../../../src/run/digest.ts';
import { useMuster } from '../../harness.ts';

/** Accidents that the reader refuses outright (R16); the guard holds the others. */
const EXPECTED: Partial<Record<AccidentName, 'failed'>> = {
  empty: 'failed',
  half: 'failed',
  'unclosed-quote': 'failed',
};

const muster = useMuster();
const company = makeCompany({ seed: 7, learners: 1_000 });

async function file(night: number, accident?: AccidentName): Promise<Buffer> {
  const path = join(muster.directory, `night-${night}-${accident ?? 'plain'}.csv`);
  await writeNight(path, company, { night, ...(accident && { accident }) });
  return readFileSync(path);
}

beforeAll(async () => {
  await muster.structure({
    groups: company.groups.map(({ externalId, name, parent }) => ({
      externalId,
      name,
      ...(parent && { parent }),
      courses: company.links.filter(({ group }) => group === externalId).map(({ course }) => course),
    })),
    courses: company.courses.map(({ externalId, name }) => ({ externalId, name })),
  });
  await muster.feed(exampleFeed());
});

describe('a week of the example company', () => {
  test.each([1, 2, 3, 4, 5, 6, 7])('night %i passes the guard', async (night) => {
    muster.clock.forward(86_400_000);
    const report = await muster.import(await file(night));
    expect(report).toMatchObject({ state: 'completed', guard: { held: false, breaches: [] } });
  });
});

describe('R13–R16: an accident in the file is held or refused, and changes nothing', () => {
  test.each(Object.keys(ACCIDENTS) as AccidentName[])('%s', async (accident) => {
    const before = await digest(muster.store);
    muster.clock.forward(3_600_000);
    const report = await muster.import(await file(8, accident));
    const explained = report.guard.breaches.length > 0 || /othing was changed/.test(report.error?.message ?? '');
    expect({ state: report.state, explained }).toEqual({ state: EXPECTED[accident] ?? 'held', explained: true });
    expect(await digest(muster.store)).toBe(before);
  });

  test('and the right file afterwards passes as ever', async () => {
    expect(await muster.import(await file(8))).toMatchObject({ state: 'completed' });
  });
});
