import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { main } from '../../../src/cli/program.ts';
import { COMPANY, HR } from '../../harness.ts';
import { answered, useApi } from './asking.ts';

const api = useApi();
const read = (path: string) => readFileSync(new URL(`../../../config/${path}`, import.meta.url), 'utf8');

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; description: string };
}
interface Panel {
  title: string;
  targets: { expr: string; legendFormat: string }[];
}
const rules = (parse(read('prometheus/alerts.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (one) => one.rules,
);
const { panels } = JSON.parse(read('grafana/muster.json')) as { panels: Panel[] };
const queries = [...rules.map(({ expr }) => expr), ...panels.flatMap((panel) => panel.targets.map(({ expr }) => expr))];

/** Names of metrics in a query, each with the labels that it is asked by. */
function metricsIn(query: string): { name: string; labels: string[] }[] {
  return [...query.matchAll(/\b((?:muster|nodejs|process)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', labels = '']) => ({
      name,
      labels: [...labels.matchAll(/(\w+)(?==)/g)].map(([, label = '']) => label),
    }),
  );
}

/** Labels of each metric that is exported, by its name. */
async function exported(): Promise<Map<string, Set<string>>> {
  const { body } = answered(200, await api.ask(await api.key('operator', ['metrics:read']), 'GET', '/metrics'));
  const found = new Map<string, Set<string>>();
  for (const [, name = '', labels = ''] of body.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const of = found.get(name) ?? new Set();
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) of.add(label);
    found.set(name, of);
  }
  return found;
}

describe('dashboard and alert rules', () => {
  test('name only metrics that are exported, with the labels that these have', async () => {
    await api.muster.structure(COMPANY);
    await api.muster.feed(`${HR}source: { file: hr.csv }\nschedule: { cron: "0 2 * * *" }\n`);
    await api.muster.import('EmployeeID,Mail,Status,Groups\n1,a@x.org,A,sector-a\n');
    await api.muster.store.setAside.insertOne({ _id: 'one', job: 'apply' } as never);
    await api.muster.store.outbox.insertOne({
      _id: { run: 'r0', batch: 1 },
      job: 'apply',
      at: new Date(8.64e15),
    } as never);
    // Of a process that has worked and answered.
    answered(200, await api.ask(await api.key('operator'), 'GET', 'feeds'));
    const found = await exported();
    for (const query of queries) {
      const metrics = metricsIn(query);
      const grouped = [...query.matchAll(/by \(([^)]*)\)/g)].flatMap(([, labels = '']) => labels.split(/,\s*/));
      for (const { name, labels } of metrics) {
        expect(found.has(name), `${name} in ${query}`).toBe(true);
        for (const label of labels) expect(found.get(name), query).toContain(label);
      }
      const known = new Set(metrics.flatMap(({ name }) => [...(found.get(name) ?? [])]));
      for (const label of grouped) expect(known, query).toContain(label);
    }
    await api.muster.store.setAside.deleteOne({ _id: 'one' });
    await api.muster.store.outbox.deleteOne({ '_id.run': 'r0' });
  });

  test('have queries whose brackets close, and use each metric of Muster at least once', async () => {
    for (const query of queries) {
      for (const [open = '', close = ''] of ['()', '[]', '{}'].map((pair) => pair.split(''))) {
        expect(query.split(open).length, query).toBe(query.split(close).length);
      }
    }
    const used = new Set(queries.flatMap(metricsIn).map(({ name }) => name));
    const bare = [...(await exported()).keys()].filter(
      (name) => name.startsWith('muster_') && !/_(sum|created)$/.test(name),
    );
    expect(bare.filter((name) => !used.has(name))).toEqual([]);
  });

  test('name only commands and options that there are', async () => {
    const texts = rules.flatMap(({ annotations }) => Object.values(annotations).join(' '));
    const commands = texts.flatMap((text) =>
      [...text.matchAll(/`muster ([^`]+)`/g)].map(([, command = '']) => command),
    );
    expect(commands.length).toBeGreaterThan(5);
    for (const command of commands) {
      const words = command.split(' ');
      const stdout = new PassThrough();
      const exit = await main([...words.filter((word) => /^[a-z]+$/.test(word)).slice(0, 2), '--help'], {
        ...process,
        stdout,
      });
      const help = String(stdout.read());
      expect(exit, command).toBe(0);
      for (const option of words.filter((word) => word.startsWith('--'))) expect(help, command).toContain(option);
    }
  });

  test('every alert says how bad it is and what to do', () => {
    for (const { alert, labels, annotations } of rules) {
      expect(['warning', 'critical'], alert).toContain(labels.severity);
      expect(annotations.summary.length * annotations.description.length, alert).toBeGreaterThan(0);
    }
  });
});
