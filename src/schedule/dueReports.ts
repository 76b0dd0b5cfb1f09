import { askToSend, SCHEDULE } from '../run/reports/send.ts';
import type { ReportDoc } from '../store/models.ts';
import type { Services } from '../store/services.ts';
import { asRead, dueOf } from './due.ts';

/**
 * Asks for each report whose time has come to be sent, and gives their ids. One sending a due time, however many call
 * this and whenever, as of runs (R26).
 */
export async function scheduleDueReports(services: Services, now: Date): Promise<string[]> {
  const { store, log } = services;
  const made: string[] = [];
  for (const report of await store.reports.find({ 'settings.schedule.cron': { $exists: true } }).toArray()) {
    try {
      if (await sendIfDue(services, report, now)) made.push(report._id);
    } catch (error) {
      log.error({ report: report._id, error: (error as Error).name }, 'report is not scheduled');
    }
  }
  return made;
}

async function sendIfDue(services: Services, report: ReportDoc, now: Date): Promise<boolean> {
  const { begins, due } = dueOf(report.settings.schedule, report.scheduled, now);
  const note = (set: object) => services.store.reports.updateOne(asRead(report), { $set: set });
  if (begins) await note({ scheduled: begins });
  if (!due) return false;
  const made = await askToSend(services, report, due, SCHEDULE);
  await note({ 'scheduled.handled': due });
  return made;
}
