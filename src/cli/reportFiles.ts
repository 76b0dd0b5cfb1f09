import { isDeepStrictEqual } from 'node:util';
import { readReportFile } from '../settings/report.ts';
import { addReport, changeReport, ReportChanged, ReportExists } from '../store/reports.ts';
import type { Services } from '../store/services.ts';
import { settingsFiles } from './settingsFiles.ts';

const FILE = { owner: 'file', origin: 'file', by: 'file' } as const;

/** Applies the reports that lie as files in the directory. They are read-only elsewhere. @throws {UsageError} for a file that is no report. */
export async function applyReportFiles(services: Services, directory: string): Promise<void> {
  for (const { path, text } of settingsFiles(directory)) {
    const settings = readReportFile(text, path);
    const stored = await services.store.reports.findOne({ owner: FILE.owner, name: settings.name });
    try {
      if (!stored) await addReport(services, { settings, ...FILE });
      else if (!isDeepStrictEqual(stored.settings, settings)) await changeReport(services, stored, settings, FILE.by);
    } catch (error) {
      // Another process, which starts at the same time, has applied it.
      if (!(error instanceof ReportExists || error instanceof ReportChanged)) throw error;
    }
  }
}
