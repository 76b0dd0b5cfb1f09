import { written } from '../../../../src/run/reports/formats.ts';
import { type Cell, type RunReportOptions, runReport } from '../../../../src/run/reports/rows.ts';
import { atTheMachine } from '../../../../src/run/reports/saved.ts';
import type { Viewer } from '../../../../src/run/sight.ts';
import { sightOf } from '../../../../src/run/sight.ts';
import { type ReportFormat, readReportFile } from '../../../../src/settings/report.ts';
import type { TestMuster } from '../../../harness.ts';

interface Asked extends RunReportOptions {
  readonly viewer?: Viewer;
}

async function tableOf(muster: TestMuster, yaml: string, { viewer = atTheMachine('test'), ...options }: Asked = {}) {
  const report = readReportFile(`name: test\n${yaml}`, 'test.yaml');
  return runReport(muster.context, report, await sightOf(muster.context, viewer), options);
}

/** The rows of a report. */
export async function rowsOf(muster: TestMuster, yaml: string, asked?: Asked): Promise<(readonly Cell[])[]> {
  const rows = [];
  for await (const row of (await tableOf(muster, yaml, asked)).rows) rows.push(row);
  return rows;
}

/** The bytes of a report in a format. */
export async function bytesOf(muster: TestMuster, yaml: string, format: ReportFormat, asked?: Asked): Promise<Buffer> {
  const chunks = [];
  for await (const chunk of written(await tableOf(muster, yaml, asked), format)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
