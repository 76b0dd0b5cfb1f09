/**
 * What a report over many rows costs: `npx tsx bench/reports.ts [ROWS [CASE…]]` (a million rows and every case, where no
 * number is given). Servers of its own, and a process for each way of asking, so that its memory is its own.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { written } from '../src/run/reports/formats.ts';
import { runReport } from '../src/run/reports/rows.ts';
import { atTheMachine } from '../src/run/reports/saved.ts';
import { sightOf } from '../src/run/sight.ts';
import { type ReportFormat, readReport } from '../src/settings/report.ts';
import { systemClock } from '../src/store/services.ts';
import { openStore } from '../src/store/store.ts';
import { fillSubscriptions } from './reportRows.ts';
import { startServers } from './servers.ts';

const COLUMNS = ['groupName', 'courseName', 'learner', 'lastName', 'firstName', 'email', 'completion', 'since'];
const ORDER = { order: ['groupName', 'courseName', 'lastName'] };
const CASES: readonly { name: string; format: ReportFormat; more: object }[] = [
  { name: 'CSV, as it comes', format: 'csv', more: { columns: COLUMNS } },
  { name: 'CSV, ordered', format: 'csv', more: { columns: COLUMNS, ...ORDER } },
  { name: 'XLSX, ordered', format: 'xlsx', more: { columns: COLUMNS, ...ORDER } },
  { name: 'JSON, ordered', format: 'json', more: { columns: COLUMNS, ...ORDER } },
  {
    name: 'CSV, summed up by group and course',
    format: 'csv',
    more: { summary: { by: ['groupName', 'courseName'], figures: ['count', 'average completion'] } },
  },
];

const [, , first = '1000000', ...rest] = process.argv;
if (rest[0]?.includes('://')) await measure(CASES[Number(first)] as (typeof CASES)[number], rest[0]);
else await measureAll(Number(first), rest.length > 0 ? rest.map(Number) : [...CASES.keys()]);

async function measureAll(rows: number, cases: readonly number[]): Promise<void> {
  const { surroundings, stop } = await startServers();
  try {
    const address = new URL(surroundings.mongodbUri);
    address.pathname = '/reports';
    const store = await openStore(address.href);
    await fillSubscriptions(store, rows);
    await store.close();
    console.log(`${rows.toLocaleString('en')} subscriptions; memory of the Node process`);
    for (const at of cases) {
      spawnSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), String(at), address.href], {
        stdio: 'inherit',
      });
    }
  } finally {
    await stop();
  }
}

async function measure({ name, format, more }: (typeof CASES)[number], address: string): Promise<void> {
  const store = await openStore(address);
  const sight = await sightOf({ store }, atTheMachine('bench'));
  const report = readReport({ name, what: 'subscriptions', ...more });
  const megabytes = () => process.memoryUsage().rss / 1e6;
  const before = megabytes();
  const began = performance.now();
  let [bytes, peak] = [0, before];
  for await (const chunk of written(runReport({ store, clock: systemClock }, report, sight), format)) {
    bytes += chunk.byteLength;
    peak = Math.max(peak, megabytes());
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `${name}: ${seconds.toFixed(1)} s, ${(bytes / 1e6).toFixed(1)} MB written, ${before.toFixed(0)} MB before, ${peak.toFixed(0)} MB at most`,
  );
  await store.close();
}
