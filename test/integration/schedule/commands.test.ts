import { describe, expect, test } from 'vitest';
import { FEED, rows, useCommandLine } from '../cli/commandLine.ts';

const muster = useCommandLine();
const NIGHTLY = `${FEED}source: { file: hr.csv }
unknownGroup: create
schedule: { cron: "0 2 * * *", timeZone: Europe/Amsterdam }
notify: { webhook: "https://example.org/hook" }
`;

interface FeedJson {
  readonly name: string;
  readonly nextDue: string | null;
  readonly lastDue: unknown;
  readonly quarantined: { run: string } | null;
}

describe('a scheduled feed at the command line', () => {
  test('muster run reads its own source; feeds list shows when it runs next', async () => {
    await muster.run(`feeds apply ${muster.file('hr.yaml', NIGHTLY)}`);
    muster.file('hr.csv', rows('1 a', '2 a;b'));
    expect(await muster.json('run hr')).toMatchObject({ state: 'completed', rows: { read: 2 } });
    const [feed] = await muster.json<FeedJson[]>('feeds list');
    expect(new Date(feed?.nextDue ?? 0).getTime()).toBeGreaterThan(Date.now());
    expect(feed).toMatchObject({ name: 'hr', lastDue: null, quarantined: null });
    expect(await muster.run('feeds list')).toMatch(/NEXT DUE .*\n.* \d{4}-\d\d-\d\d 0[01]:00Z /);
    expect(await muster.run('doctor')).toMatch(/feed hr: scheduled 0 2 \* \* \* Europe\/Amsterdam, next at /);
  });

  test('three runs that fail put it in quarantine; it is shown, imported by hand all the same, and released', async () => {
    muster.file('hr.csv', 'no header that fits\n');
    for (let times = 0; times < 3; times += 1) await muster.run('run hr', 1);
    const [feed] = await muster.json<FeedJson[]>('feeds list');
    expect(feed).toMatchObject({ nextDue: null, quarantined: { run: expect.any(String) } });
    expect(await muster.run('feeds list')).toContain('quarantine');
    expect(await muster.run('feeds show hr')).toMatch(/quarantine +since/);
    expect(await muster.run('doctor', 1)).toContain('muster feeds release hr');
    muster.file('hr.csv', rows('1 a', '2 a;b'));
    expect(await muster.json('run hr')).toMatchObject({ state: 'completed' });
    expect(await muster.run('feeds release hr')).toContain('is out of quarantine');
    expect(await muster.json('feeds show hr')).toMatchObject({ quarantined: null, nextDue: expect.any(String) });
    await muster.run('feeds release hr', 2);
  });

  test("the receiver's key is printed: of MUSTER_SECRET, or of the environment's own secret", async () => {
    const own = await muster.run('feeds secret hr');
    expect(await muster.run('feeds secret hr')).toBe(own);
    const { stdout } = await muster.call(['feeds', 'secret', 'hr'], { env: { MUSTER_SECRET: 's'.repeat(32) } });
    for (const key of [own, stdout]) expect(key).toMatch(/^whsec_[A-Za-z0-9+/]{43}=\n$/);
    expect(stdout).not.toBe(own);
  });
});
