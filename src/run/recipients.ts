import type { Person } from '../domain/erase.ts';
import { emailKey } from '../domain/ids.ts';
import type { ReportSettings } from '../settings/report.ts';
import type { ReportDoc } from '../store/models.ts';
import { changeReport, ReportChanged } from '../store/reports.ts';
import type { Services } from '../store/services.ts';
import type { Store } from '../store/store.ts';

/** Saved reports that are sent to the person. */
export async function reportsTo(store: Store, person: Person): Promise<ReportDoc[]> {
  const sent = await store.reports.find({ 'settings.send': { $exists: true } }).toArray();
  return sent.filter(({ settings }) => settings.send?.to.some((to) => isOf(person, to)));
}

/** Takes the person's addresses out of the reports that are sent; one that nobody receives any more is due no more. */
export async function scrubRecipients(services: Pick<Services, 'store' | 'clock'>, by: string, person: Person) {
  for (const report of await reportsTo(services.store, person)) {
    await changeReport(services, report, withoutPerson(report.settings, person), by, 'learners erase').catch(
      (error) => {
        // Changed a moment ago: it is read again.
        if (!(error instanceof ReportChanged)) throw error;
        return scrubRecipients(services, by, person);
      },
    );
  }
}

function withoutPerson({ send, schedule, ...rest }: ReportSettings, person: Person): ReportSettings {
  const to = send?.to.filter((one) => !isOf(person, one)) ?? [];
  if (send && to.length > 0) return { ...rest, schedule, send: { ...send, to } };
  const { cron: _, ...others } = schedule;
  return { ...rest, schedule: others };
}

function isOf({ emails }: Person, address: string): boolean {
  return emails.includes(emailKey(address));
}
