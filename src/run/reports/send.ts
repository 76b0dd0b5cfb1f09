import { MusterError } from '../../domain/errors.ts';
import { deliverDue } from '../../notify/due.ts';
import { sendMail } from '../../notify/mail.ts';
import type { Telling } from '../../settings/telling.ts';
import { isDuplicateKey } from '../../store/failures.ts';
import type { ReportDoc, SendingDoc } from '../../store/models.ts';
import type { Services } from '../../store/services.ts';
import type { Store } from '../../store/store.ts';
import { sightOf } from '../sight.ts';
import { fileName, TYPES, written } from './formats.ts';
import { runReport } from './rows.ts';
import { ownerOf, refuseBeyond } from './saved.ts';

/** Bytes that go with a mail; what is larger is fetched by its link, after log-in. */
const LARGEST = 10 * 1024 * 1024;
/** Who asks for what is sent when due. */
export const SCHEDULE = 'schedule';
/** Longer than a report takes, ms. */
const CLAIM = 900_000;

/**
 * Asks for the report to be sent. One sending a due time, however many ask: false where there is one. A report is run when it
 * is sent, so of several due times that wait for a mail server the last alone is.
 */
export async function askToSend(
  { store, clock }: Pick<Services, 'store' | 'clock'>,
  { _id: report }: ReportDoc,
  due: Date,
  by: string,
): Promise<boolean> {
  const now = clock.now();
  try {
    await store.sendings.insertOne({ _id: { report, due }, by, createdAt: now, nextAt: now, tries: [] });
  } catch (error) {
    if (isDuplicateKey(error)) return false;
    throw error;
  }
  if (by !== SCHEDULE) return true;
  await store.sendings.updateMany(
    { '_id.report': report, '_id.due': { $lt: due }, by, nextAt: { $ne: null } },
    {
      $set: { nextAt: null, endedAt: now },
      $push: { tries: { at: now, message: 'A later due time has taken its place.' } },
    },
  );
  return true;
}

/**
 * Sends the reports whose time has come, as `deliverDue` does, and gives their number: one at a time, run at the moment
 * of sending with the eyes of its owner. `largest`: bytes that go with a mail.
 */
export function sendReports(
  services: Services,
  telling: Telling,
  stopping?: AbortSignal,
  { largest = LARGEST } = {},
): Promise<number> {
  return deliverDue<SendingDoc>(
    services,
    {
      noun: 'report',
      collection: 'sendings',
      atOnce: 1,
      claim: CLAIM,
      send: (one, stopped) => send(services, telling, one, largest, stopped),
      isFinal: (error) => error instanceof OwnerWithoutAccess,
      fields: ({ _id }) => ({ report: _id.report, due: _id.due }),
    },
    stopping,
  );
}

/** A report is sent with the eyes of its owner, who sees nothing any more. */
class OwnerWithoutAccess extends MusterError {
  readonly code = 'owner-without-access';
  constructor({ name }: ReportDoc) {
    super(
      `The owner of report ${name} has no access to reports any more, so nobody received it. Give it another owner: delete it, and save it again as somebody who has access.`,
    );
  }
}

/** By what the report's settings say now. Nobody gets it where it is no more. @throws {OwnerWithoutAccess} */
async function send(
  services: Services,
  telling: Telling,
  { _id: { report: id, due } }: SendingDoc,
  largest: number,
  stopping: AbortSignal | undefined,
): Promise<object | undefined> {
  const report = await readReportDoc(services.store, id);
  if (!report?.settings.send) return undefined;
  const viewer = await ownerOf(services, report);
  if (!viewer || viewer.role === 'reseller') throw new OwnerWithoutAccess(report);
  const { settings } = report;
  const { to, format } = report.settings.send;
  const sight = await sightOf(services, viewer);
  if (sight.groups !== null) refuseBeyond(settings, viewer, sight);
  const table = runReport(services, settings, sight);
  const content = await upTo(largest, written(table, format), stopping);
  const address = `${telling.url}/api/v1/reports/${id}/rows?format=${format}`;
  const refused = await sendMail(
    telling,
    {
      id: `report-${id}-${due.getTime()}`,
      to,
      subject: `Muster: ${report.name}`,
      text: content
        ? `The report ${report.name} is attached.\n\n${address}\n`
        : `The report ${report.name} is too large for a mail. After log-in it is here, as it is then:\n\n${address}\n`,
      ...(content && { attachment: { name: fileName(report, format), type: TYPES[format], content } }),
    },
    stopping,
  );
  return { linked: content === undefined, refused };
}

/** Everything, or undefined where it is more than so many bytes; it is then read no further. */
async function upTo(
  bytes: number,
  chunks: AsyncIterable<Uint8Array>,
  stopping: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  const read: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    stopping?.throwIfAborted();
    length += chunk.byteLength;
    if (length > bytes) return undefined;
    read.push(chunk);
  }
  return Buffer.concat(read);
}

function readReportDoc(store: Store, id: string): Promise<ReportDoc | null> {
  return store.reports.findOne({ _id: id });
}
