/**
 * Every scenario beside its floor and its peers, in the same run:
 * npm run bench -- [--rows 1000000] [--runs 3] [--scenario night --scenario finding] [--report FILE]
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compile } from './build.ts';
import { describe, render, type SizeResult } from './report.ts';
import { type Scenario, STATE, Stand } from './scenario.ts';
import { scenarios } from './scenarios/all.ts';
import { startServers } from './servers.ts';
import { Workload } from './workload.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    runs: { type: 'string', default: '3' },
    scenario: { type: 'string', multiple: true },
    /** Only the size of --rows, without the smaller ones of the growth table. */
    'no-growth': { type: 'boolean', default: false },
    report: { type: 'string' },
  },
});

const rows = whole('rows', values.rows);
const runs = whole('runs', values.runs);
const chosen = scenarios.filter(({ name }) => values.scenario === undefined || values.scenario.includes(name));
const unknown = values.scenario?.find((name) => !scenarios.some((scenario) => scenario.name === name));
if (unknown) refuse(`--scenario ${unknown} is none of ${scenarios.map(({ name }) => name).join(', ')}.`);
const sizes = values['no-growth'] ? [rows] : [...[10_000, 100_000].filter((size) => size < rows), rows];
/** A part of the scenarios leaves the report of all of them as it is. */
const report = values.report ?? (values.scenario ? undefined : join(import.meta.dirname, 'REPORT.md'));

const compiled = compile();
const results: SizeResult[] = [];
for (const size of sizes) {
  process.stdout.write(`\n${size.toLocaleString('en')} rows\n`);
  const servers = await startServers();
  try {
    results.push({ rows: size, results: await runAll(new Workload(size), servers.surroundings) });
  } finally {
    await servers.stop();
  }
}
if (report) {
  writeFileSync(report, render(results, runs));
  process.stdout.write(`\nWritten: ${report}\n`);
}

async function runAll(
  workload: Workload,
  surroundings: ConstructorParameters<typeof Stand>[1],
): Promise<SizeResult['results']> {
  const done: SizeResult['results'][number][] = [];
  if (!chosen.some(({ name }) => name === 'first-import')) await prepare(workload, surroundings);
  for (const scenario of chosen) {
    const answers = await measured(scenario, new Stand(compiled, surroundings, workload, runs));
    done.push({ scenario, answers });
    process.stdout.write(`${describe(scenario, answers)}\n`);
  }
  return done;
}

async function measured(scenario: Scenario, stand: Stand): Promise<Stand['answers']> {
  try {
    await scenario.run(stand);
    return stand.answers;
  } finally {
    await stand.endAll();
  }
}

async function prepare(workload: Workload, surroundings: ConstructorParameters<typeof Stand>[1]): Promise<void> {
  const stand = new Stand(compiled, surroundings, workload, 1);
  const file = await workload.file(1);
  await stand.tell('prepare', 'preparing', { database: STATE, company: stand.company });
  const { wall, peak } = await stand.tell('prepare', 'importing', { database: STATE, file });
  process.stdout.write(`prepared by a first import: ${wall.toFixed(0)} s, at most ${peak.toFixed(0)} MB\n`);
  await stand.endAll();
}

function whole(option: string, text: string): number {
  const number = Number(text);
  return Number.isSafeInteger(number) && number > 0
    ? number
    : refuse(`--${option} ${text} is not a whole number above 0.`);
}

function refuse(fact: string): never {
  process.stderr.write(`${fact} Nothing was measured.\n`);
  process.exit(2);
}
