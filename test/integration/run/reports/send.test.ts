import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pauseAfter } from '../../../../src/notify/due.ts';
import { viewSending } from '../../../../src/run/reports/saved.ts';
import { askToSend, sendReports } from '../../../../src/run/reports/send.ts';
import { messages } from '../../../../src/run/views/messagesView.ts';
import { scheduleDueReports } from '../../../../src/schedule/dueReports.ts';
import { readReport } from '../../../../src/settings/report.ts';
import type { Telling } from '../../../../src/settings/telling.ts';
import type { ReportDoc } from '../../../../src/store/models.ts';
import { addReport, changeReport, deleteReport } from '../../../../src/store/reports.ts';
import { addUser, editUser } from '../../../../src/store/users.ts';
import { COMPANY, HR, useMuster } from '../../../harness.ts';
import { MailServer } from '../../notify/listeners.ts';

const muster = useMuster();
const mailServer = new MailServer();
let telling: Telling;
const HOUR = 3_600_000;

const settings = (more: object = {}) =>
  readReport({
    name: 'Everybody',
    what: 'learners',
    columns: ['learner', 'lastName'],
    schedule: { cron: '0 6 * * *', timeZone: 'Europe/Amsterdam' },
    send: { to: ['hr@example.org', 'it@example.org'], format: 'csv' },
    ...more,
  });
const save = (more: object = {}, owner = 'cli:root') =>
  addReport(muster.context, { settings: settings(more), owner, origin: 'database', by: 'test' });
const due = () => scheduleDueReports(muster.context, muster.clock.now());
const deliver = (change: Partial<Telling> = {}, options = {}) =>
  sendReports(muster.context, { ...telling, ...change }, undefined, options);
const sendings = () => muster.store.sendings.find({}).sort({ '_id.due': 1 }).toArray();

/** The text of a mail and its attachment, as they were before they were packed. */
function partsOf(mail: string | undefined): { text: string; attached: string } {
  const [, boundary] = /boundary="([^"]+)"/.exec(mail ?? '') ?? [];
  const parts = (mail ?? '').split(`--${boundary}`);
  const attachment = parts.find((part) => /content-disposition: attachment/i.test(part)) ?? '';
  return {
    text: (mail ?? '').replaceAll('=\r\n', '').replaceAll('=3D', '='),
    attached: Buffer.from(attachment.split('\r\n\r\n')[1] ?? '', 'base64').toString(),
  };
}

beforeAll(async () => {
  telling = {
    url: 'https://muster.example.org',
    smtpUrl: await mailServer.listen(),
    mailFrom: 'Muster <muster@example.org>',
    allowPrivate: true,
  };
  await muster.structure(COMPANY);
  await muster.feed(HR);
  await muster.import('EmployeeID,Mail,FirstName,LastName,Status,Groups\na,,,Éclair,A,sector-a\nb,,,=1+1,A,sector-b\n');
});
afterAll(() => mailServer.close());
beforeEach(async () => {
  await muster.store.reports.deleteMany({});
  await muster.store.sendings.deleteMany({});
  mailServer.mails.length = 0;
  mailServer.refuses = [];
  muster.clock.set('2026-02-10T03:00:00Z');
});

describe('a scheduled report', () => {
  test('is sent at its time on the wall clock, as it is then, to every address', async () => {
    const { _id } = await save();
    expect(await due()).toEqual([]);
    muster.clock.set('2026-02-10T05:00:05Z');
    expect(await due()).toEqual([_id]);
    expect(await deliver()).toBe(1);
    expect(mailServer.mails).toHaveLength(1);
    expect(mailServer.mails[0]).toMatchObject({ from: 'muster@example.org', to: ['hr@example.org', 'it@example.org'] });
    const { text, attached } = partsOf(mailServer.mails[0]?.text);
    expect(text).toContain('Subject: Muster: Everybody');
    expect(text).toContain('filename=Everybody.csv');
    expect(text).toContain(`https://muster.example.org/api/v1/reports/${_id}/rows?format=csv`);
    expect(attached).toBe("Learner,Last name\r\na,Éclair\r\nb,'=1+1\r\n");
    expect(await due()).toEqual([]);
    expect(await deliver()).toBe(0);
    expect(await sendings()).toMatchObject([{ by: 'schedule', nextAt: null, deliveredAt: muster.clock.now() }]);
  });

  test('eight schedulers and eight senders at once send it once', async () => {
    await save();
    muster.clock.set('2026-02-10T05:00:05Z');
    const eight = <T>(work: () => Promise<T>) => Promise.all(Array.from({ length: 8 }, work));
    expect((await eight(due)).flat()).toHaveLength(1);
    await eight(() => deliver());
    expect(mailServer.mails).toHaveLength(1);
  });

  test('of several nights without a scheduler the last alone is caught up', async () => {
    await save();
    muster.clock.set('2026-02-14T06:00:00Z');
    expect(await due()).toHaveLength(1);
    expect(await sendings()).toMatchObject([{ _id: { due: new Date('2026-02-14T05:00:00Z') } }]);
    muster.clock.set('2026-02-16T04:00:00Z');
    expect(await due()).toEqual([]);
  });

  test('of several times that wait for a mail server the last alone is sent', async () => {
    await save();
    for (const day of [10, 11, 12]) {
      muster.clock.set(`2026-02-${day}T05:00:00Z`);
      await due();
      await deliver({ smtpUrl: 'smtp://127.0.0.1:9' });
    }
    muster.clock.forward(pauseAfter(1, 1) as number);
    while ((await deliver()) > 0);
    expect(mailServer.mails).toHaveLength(1);
    const [first, , last] = await sendings();
    expect(first?.tries.at(-1)?.message).toBe('A later due time has taken its place.');
    expect(last?.deliveredAt).toEqual(muster.clock.now());
  });

  test('a changed schedule has missed nothing yet', async () => {
    const report = await save();
    muster.clock.set('2026-02-10T12:00:00Z');
    await changeReport(muster.context, report, settings({ schedule: { cron: '0 7 * * *' } }), 'test');
    expect(await due()).toEqual([]);
    muster.clock.set('2026-02-11T07:01:00Z');
    expect(await due()).toHaveLength(1);
  });
});

describe('a report that is to be sent', () => {
  const ask = async (report: ReportDoc) => {
    expect(await askToSend(muster.context, report, muster.clock.now(), 'test')).toBe(true);
  };

  test('waits for a mail server that is not there or not set, and arrives later, with one Message-ID', async () => {
    await ask(await save());
    expect(await deliver({ smtpUrl: 'smtp://127.0.0.1:9' })).toBe(1);
    expect(await deliver()).toBe(0);
    muster.clock.forward(pauseAfter(1, 1) as number);
    const { smtpUrl: _, ...without } = telling;
    await sendReports(muster.context, without);
    muster.clock.forward(pauseAfter(2, 1) as number);
    await deliver();
    expect(mailServer.mails).toHaveLength(1);
    const [sending] = await sendings();
    expect(sending?.tries.map(({ message }) => message)).toEqual([
      'ECONNREFUSED',
      expect.stringContaining('SMTP_URL is not set'),
    ]);
  });

  test('too large for a mail: its link is sent instead', async () => {
    const report = await save();
    await ask(report);
    await deliver({}, { largest: 20 });
    const { text, attached } = partsOf(mailServer.mails[0]?.text);
    expect(attached).toBe('');
    expect(text).toContain(`https://muster.example.org/api/v1/reports/${report._id}/rows?format=csv`);
    expect(await sendings()).toMatchObject([{ linked: true }]);
  });

  test('as a workbook', async () => {
    await ask(await save({ send: { to: ['hr@example.org'] } }));
    await deliver();
    expect(mailServer.mails[0]?.text).toContain('filename=Everybody.xlsx');
    expect(partsOf(mailServer.mails[0]?.text).attached.slice(0, 2)).toBe('PK');
  });

  test('one whose filter names a group that is gone says so, and is sent when that was mended', async () => {
    const report = await save({ filter: { groups: ['gone'] } });
    await ask(report);
    await deliver();
    expect((await sendings())[0]?.tries[0]?.message).toMatch(/names group gone, which is not there/);
    await changeReport(muster.context, report, settings(), 'test');
    muster.clock.forward(pauseAfter(1, 1) as number);
    await deliver();
    expect(mailServer.mails).toHaveLength(1);
  });

  test('R29: is run with the eyes of its owner, as they are when it is sent; given up, and says why, where the owner has no access any more', async () => {
    const login = 'ines@example.org';
    await addUser(muster.context, { login, role: 'instructor', by: 'test' });
    await muster.store.groups.updateOne({ externalId: 'sector-a' as never }, { $set: { instructors: [login] } });
    await muster.store.meta.updateOne({ _id: 'structure' }, { $inc: { revision: 1 } });
    const report = await save({ send: { to: [login], format: 'csv' } }, `user:${login}`);
    await ask(report);
    await deliver();
    expect(partsOf(mailServer.mails[0]?.text).attached).toBe('Learner,Last name\r\na,Éclair\r\n');
    await editUser(muster.context, login, { role: 'reseller' }, { by: 'test' });
    muster.clock.forward(HOUR);
    await ask(report);
    await deliver();
    await muster.store.users.deleteOne({ _id: login });
    muster.clock.forward(HOUR);
    await ask(report);
    await deliver();
    expect(mailServer.mails).toHaveLength(1);
    const error = expect.stringMatching(
      /owner .* has no access to reports any more, so nobody received it\. .*save it again/,
    );
    expect((await sendings()).map(viewSending)).toMatchObject([
      { state: 'sent', error: null },
      { state: 'given up', error },
      { state: 'given up', error },
    ]);
    muster.clock.forward(pauseAfter(1, 1) as number);
    expect(await deliver()).toBe(0);
  });

  test('doctor tells of it: of no mail server, of the last that did not arrive, of addresses that were refused', async () => {
    const wrong = async (mails = true) =>
      (await messages(muster.context, mails)).filter(({ ok }) => !ok).map(({ found }) => found);
    const report = await save();
    expect(await wrong(false)).toEqual(['report Everybody asks for mail, and SMTP_URL is not set']);
    expect(await wrong()).toEqual([]);
    await ask(report);
    expect(await wrong()).toEqual([]);
    await deliver({ smtpUrl: 'smtp://127.0.0.1:9' });
    expect(await wrong()).toEqual(['the last of report Everybody could not be delivered: ECONNREFUSED']);
    muster.clock.forward(HOUR);
    mailServer.refuses = ['it@example.org'];
    await deliver();
    expect(mailServer.mails).toMatchObject([{ to: ['hr@example.org'] }]);
    expect(await sendings()).toMatchObject([{ refused: 1, deliveredAt: muster.clock.now() }]);
    expect(await wrong()).toEqual([
      'the last of report Everybody was refused by the mail server for 1 of its addresses',
    ]);
    mailServer.refuses = [];
    muster.clock.forward(HOUR);
    await ask(report);
    await deliver();
    expect(await wrong()).toEqual([]);
  });

  test('a worker that is told to stop leaves it to the next', async () => {
    await ask(await save());
    const stop = new AbortController();
    stop.abort();
    expect(await sendReports(muster.context, telling, stop.signal)).toBe(0);
    expect(await deliver()).toBe(1);
    expect(mailServer.mails).toHaveLength(1);
  });

  test('one that was deleted is not sent', async () => {
    const report = await save();
    await ask(report);
    await deleteReport(muster.context, report, 'test');
    expect(await deliver()).toBe(0);
    expect(await sendings()).toEqual([]);
  });
});
