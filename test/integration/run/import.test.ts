import { beforeAll, describe, expect, test } from 'vitest';
import { COMPANY, HR, useMuster } from '../../harness.ts';

const muster = useMuster();

beforeAll(async () => {
  await muster.structure(COMPANY);
  await muster.feed(HR);
});

describe('nights of one feed', () => {
  const first =
    'EmployeeID,Mail,FirstName,LastName,Status,Groups\n001,a@x.org,Ann,Lee,A,sector-a\n002,b@x.org,Bo,Day,A,sector-b\n003,c@x.org,Cy,Fox,A,sector-a;sector-b\n';

  test('R1 R2 R3: a first feed creates learners, memberships and the subscriptions that the groups and those above give', async () => {
    const report = await muster.import(first);
    expect(report).toMatchObject({
      state: 'completed',
      noChange: false,
      rows: { read: 3, accepted: 3, rejected: 0, repeated: 0 },
      learners: { created: 3, updated: 0, unchanged: 0 },
      memberships: { added: 4, removed: 0 },
      subscriptions: { subscribed: 2 + 3 + 3, expired: 0 },
      setAside: 0,
    });
    expect(await muster.subscriptions('001')).toEqual(['safety: active', 'welcome: active']);
    expect(await muster.subscriptions('003')).toEqual(['safety: active', 'sales: active', 'welcome: active']);
    expect(await muster.memberships('003')).toEqual(['sector-a: hr', 'sector-b: hr']);
  });

  test('R17: the same bytes again are no change, and so are the same facts in other bytes', async () => {
    expect(await muster.import(first)).toMatchObject({ state: 'completed', noChange: true, rows: { read: 3 } });
    const reordered = `${first.split('\n')[0]}\r\n003,c@x.org,Cy,Fox,A,sector-b;sector-a\r\n001,a@x.org,Ann,Lee,A,sector-a\r\n002,b@x.org,Bo,Day,A,sector-b\r\n`;
    expect(await muster.import(reordered)).toMatchObject({
      noChange: true,
      rows: { read: 3, accepted: 3 },
      learners: { unchanged: 3, updated: 0 },
      memberships: { added: 0, removed: 0, unchanged: 4 },
    });
  });

  test('R9 R13 R20: a mover keeps what both groups give, a leaver expires and becomes inactive', async () => {
    const report = await muster.import(
      'EmployeeID,Mail,FirstName,LastName,Status,Groups\n001,a@x.org,Ann,Lee,A,sector-b\n003,c@x.org,Cy,Fox,A,sector-a;sector-b\n',
      { approve: true },
    );
    expect(report).toMatchObject({
      state: 'completed',
      guard: { held: true, breaches: [{ limit: 'rowsPercent', value: 66.7, min: 80 }] },
      learners: { created: 0, deactivated: 1, unchanged: 2 },
      memberships: { added: 1, removed: 2 },
      subscriptions: { subscribed: 1, expired: 3 },
    });
    expect(await muster.subscriptions('001')).toEqual(['safety: active', 'sales: active', 'welcome: active']);
    expect(await muster.subscriptions('002')).toEqual(['safety: expired', 'sales: expired', 'welcome: expired']);
  });
});

test('R15 R16: a file of which masses of rows are rejected is not used, and the error names one of them', async () => {
  const header = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n';
  expect(await muster.import(`${header}001,a@x.org,Ann,Lee,A,sector-a\n`, { approve: true })).toMatchObject({
    state: 'completed',
  });
  const report = await muster.import(header + '1,,,,?,\n'.repeat(250_001), { approve: true });
  expect(report).toMatchObject({ state: 'failed', error: { code: 'too-many-rejected' } });
  expect((report.error as { message: string }).message).toMatch(
    /^More than 250000 rows of .* are rejected, for example row 2: .*Nothing was changed\. Look whether/,
  );
  expect(await muster.memberships('001')).toEqual(['sector-a: hr']);
});
