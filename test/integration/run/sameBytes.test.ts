import { beforeAll, expect, test } from 'vitest';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();
const header = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n';
const file = `${header}001,a@x.org,Ann,Lee,A,sector-a\n002,b@x.org,Bo,Day,A,sector-b\n003,c@x.org,Cy,Fox,A,nowhere\n`;

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(HR);
});

test('R17: the same bytes with a rejected row are no change, read once, and the row is rejected as before', async () => {
  const first = await muster.import(file, { approve: true });
  const again = await muster.import(file);
  const { rows, problems, protected: shielded } = first;
  expect(rows.rejected).toBe(1);
  expect(again).toMatchObject({ state: 'completed', noChange: true, rows, problems, protected: shielded });
  expect(again.stages.map(({ name }) => name)).toEqual(['read']);
  const kept = await muster.store.rejected.find({ '_id.run': again.run }).toArray();
  expect(kept.map(({ _id, code }) => [_id.row, code])).toEqual([[4, 'unknown-group']]);
});

test('R17: the same bytes are read anew when the group of the rejected row has come', async () => {
  await muster.structure({ courses: [], groups: [{ externalId: 'nowhere' as never, name: 'Somewhere' }] });
  expect(await muster.import(file)).toMatchObject({ noChange: false, rows: { rejected: 0 }, learners: { created: 1 } });
});

test('R12 R17: an e-mail address that is given up lets the same bytes be read anew', async () => {
  const asks = `${file}004,a@x.org,Di,Gray,A,sector-a\n`;
  expect(await muster.import(asks, { approve: true })).toMatchObject({ rows: { rejected: 1 } });
  const again = await muster.import(asks, { approve: true });
  expect(again.rows.rejected).toBe(1);
  expect(again.stages.map(({ name }) => name)).toContain('plan');
});
