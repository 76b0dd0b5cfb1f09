import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { deliverNotifications } from '../../../src/notify/deliver.ts';
import { pauseAfter } from '../../../src/notify/due.ts';
import { webhookSecret } from '../../../src/notify/signature.ts';
import { tellRuns } from '../../../src/run/tell.ts';
import { messages } from '../../../src/run/views/messagesView.ts';
import type { Telling } from '../../../src/settings/telling.ts';
import { COMPANY, HR, useMuster } from '../../harness.ts';
import { commandLineOf } from '../cli/commandLine.ts';
import { MailServer, Receiver } from './listeners.ts';

const muster = useMuster();
const receiver = new Receiver();
const mailServer = new MailServer();
const HEADER = 'EmployeeID,Mail,FirstName,LastName,Status,Groups\n';
const secret = 'a secret of forty characters, at the least';
let hook = '';
let telling: Telling;

/** So many learners, each with names and an address that must not leave Muster. */
const people = (count: number, group = 'sector-a') =>
  HEADER +
  Array.from(
    { length: count },
    (_, at) => `P${at},planted${at}@private.example,Plantedfirst,Plantedlast,A,${group}\n`,
  ).join('');

const feed = (notify: string) => muster.feed(`${HR}notify: ${notify}\n`);
const deliver = (change: Partial<Telling> = {}) => deliverNotifications(muster.context, { ...telling, ...change });

/** Everything that happened to runs is told, and what is due is delivered. */
async function told(): Promise<void> {
  await tellRuns(muster.context);
  await deliver();
}

const bodies = () =>
  receiver.received.map(({ body }) => JSON.parse(body) as { type: string; data: Record<string, unknown> });
const types = () => bodies().map(({ type }) => type);

beforeAll(async () => {
  hook = await receiver.listen();
  telling = {
    url: 'https://muster.example.org',
    secret,
    smtpUrl: await mailServer.listen(),
    mailFrom: 'Muster <muster@example.org>',
    allowPrivate: true,
  };
  await muster.structure(COMPANY);
});
afterAll(async () => {
  receiver.close();
  await mailServer.close();
});
beforeEach(async () => {
  await feed(`{ email: nobody@example.org, on: [] }`);
  await muster.import(people(30), { approve: true });
  await tellRuns(muster.context);
  await muster.store.notifications.deleteMany({});
  receiver.received.length = 0;
  receiver.answers = [];
  mailServer.mails.length = 0;
  mailServer.refuses = [];
});

describe('webhooks', () => {
  test('a held run is told with its figures and link, signed as Standard Webhooks has it', async () => {
    await feed(`{ webhook: "${hook}" }`);
    const { run } = await muster.import(people(5));
    await told();
    expect(receiver.received).toHaveLength(1);
    const [{ headers, body } = { headers: {}, body: '' }] = receiver.received;
    expect(JSON.parse(body)).toMatchObject({
      type: 'run.held',
      timestamp: muster.clock.now().toISOString(),
      data: {
        event: 'held',
        feed: 'hr',
        run,
        state: 'held',
        link: `https://muster.example.org/api/v1/runs/${run}`,
        rows: { read: 5 },
        memberships: { removed: 25 },
        breaches: expect.arrayContaining([expect.objectContaining({ limit: 'membershipsLostPercent', max: 5 })]),
        troubles: 1,
      },
    });
    const key = Buffer.from(
      (await webhookSecret(muster.context, 'hr', undefined, secret)).slice('whsec_'.length),
      'base64',
    );
    const signed = [headers['webhook-id'], headers['webhook-timestamp'], body].join('.');
    expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
    expect(Number(headers['webhook-timestamp'])).toBe(Math.floor(muster.clock.now().getTime() / 1_000));
    await told();
    expect(receiver.received).toHaveLength(1);
  });

  test('failed, rejected-rows and recovered are told; a run without news is not', async () => {
    await feed(`{ webhook: "${hook}" }`);
    await muster.import('no header that fits\n');
    await told();
    await muster.import(`${people(30)}P30,planted@private.example,Plantedfirst,Plantedlast,A,nowhere\n`);
    await told();
    await muster.import(people(30));
    await told();
    // Those of one round are sent side by side.
    expect(types().sort()).toEqual(['feed.recovered', 'run.failed', 'run.rejected-rows']);
    const of = (type: string) => bodies().find((body) => body.type === type)?.data;
    expect(of('run.failed')).toMatchObject({ error: 'header-unfit' });
    expect(of('run.rejected-rows')).toMatchObject({
      rows: { rejected: 1 },
      problems: [{ code: 'unknown-group', count: 1 }],
    });
  });

  test('`on` chooses what is told', async () => {
    await feed(`{ webhook: "${hook}", on: [held] }`);
    await muster.import('no header that fits\n');
    await muster.import(people(5));
    await told();
    expect(types()).toEqual(['run.held']);
  });

  test('a receiver that fails is tried again with growing pauses, the same id and the same words', async () => {
    await feed(`{ webhook: "${hook}" }`);
    receiver.answers = [500, 302, 429];
    await muster.import(people(5));
    await told();
    for (let failed = 1; failed <= 3; failed += 1) {
      expect(await deliver()).toBe(0);
      muster.clock.forward(pauseAfter(failed, 1) as number);
      expect(await deliver()).toBe(1);
    }
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-signature'])).size).toBe(4);
    const [doc] = await muster.store.notifications.find({}).toArray();
    expect(doc?.tries.map(({ message }) => message)).toEqual([
      'The receiver answered with HTTP 500.',
      'The receiver answered with HTTP 302; redirects are not followed.',
      'The receiver answered with HTTP 429.',
    ]);
    expect(doc?.deliveredAt).toEqual(muster.clock.now());
  });

  test('a receiver that is never there is given up after days, one that is gone at once', async () => {
    await feed(`{ webhook: "http://127.0.0.1:9/" }`);
    await muster.import(people(5));
    await told();
    const from = muster.clock.now().getTime();
    for (
      let rounds = 0;
      (await muster.store.notifications.countDocuments({ nextAt: { $ne: null } })) > 0;
      rounds += 1
    ) {
      expect(rounds).toBeLessThan(20);
      muster.clock.forward(25 * 3_600_000);
      await deliver();
    }
    expect(muster.clock.now().getTime() - from).toBeGreaterThan(3 * 86_400_000);
    expect(await muster.store.notifications.findOne({})).toMatchObject({ tries: { length: 10 } });

    await feed(`{ webhook: "${hook}" }`);
    receiver.answers = [410];
    await muster.import(people(5));
    await told();
    expect(await muster.store.notifications.findOne({ 'tries.message': /410/ })).toMatchObject({ nextAt: null });
  });

  test('an address of this machine is refused, unless it is allowed', async () => {
    for (const address of [hook, hook.replace('127.0.0.1', 'localhost')]) {
      await muster.store.notifications.deleteMany({});
      await feed(`{ webhook: "${address}" }`);
      await muster.import(people(5));
      await tellRuns(muster.context);
      await deliver({ allowPrivate: false });
      expect(receiver.received).toEqual([]);
      const doc = await muster.store.notifications.findOne({});
      expect(doc?.tries[0]?.message).toContain('MUSTER_ALLOW_PRIVATE_WEBHOOKS=1');
    }
  });
});

describe('e-mail', () => {
  test('goes to every address that the feed names, by a real server', async () => {
    await feed(`{ email: [hr@example.org, it@example.org] }`);
    const { run } = await muster.import(people(5));
    await told();
    expect(mailServer.mails).toHaveLength(1);
    const [mail] = mailServer.mails;
    expect(mail).toMatchObject({ from: 'muster@example.org', to: ['hr@example.org', 'it@example.org'] });
    const lines = mail?.text.replaceAll('=\r\n', '').replaceAll('=3D', '=').split('\r\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        `Subject: Muster: feed hr is held (run ${run})`,
        'Auto-Submitted: auto-generated',
        'Rows: 5 read, 5 accepted, 0 rejected, 0 repeated',
        `https://muster.example.org/api/v1/runs/${run}`,
      ]),
    );
  });

  test('waits for a server that is not set or not there, and arrives later', async () => {
    await feed(`{ email: hr@example.org }`);
    await muster.import(people(5));
    await tellRuns(muster.context);
    await deliver({ smtpUrl: 'smtp://127.0.0.1:9' });
    muster.clock.forward(pauseAfter(1, 1) as number);
    const { smtpUrl: _, ...without } = telling;
    await deliverNotifications(muster.context, without);
    muster.clock.forward(pauseAfter(2, 1) as number);
    expect(mailServer.mails).toEqual([]);
    await deliver();
    expect(mailServer.mails).toHaveLength(1);
    const [doc] = await muster.store.notifications.find({}).toArray();
    expect(doc?.tries.map(({ message }) => message)).toEqual([
      'ECONNREFUSED',
      expect.stringContaining('SMTP_URL is not set'),
    ]);
  });

  test('a server that takes the call and says nothing is given up after its time, and asked again', async () => {
    await feed(`{ email: hr@example.org }`);
    await muster.import(people(5));
    await tellRuns(muster.context);
    const held: Socket[] = [];
    const silent = createServer((socket) => held.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const ms = AbortSignal.timeout.bind(AbortSignal);
    const limit = vi.spyOn(AbortSignal, 'timeout').mockImplementation((most) => ms(most / 200));
    await deliver({ smtpUrl: `smtp://127.0.0.1:${(silent.address() as AddressInfo).port}` });
    limit.mockRestore();
    expect(held).toHaveLength(1);
    for (const socket of held) socket.destroy();
    silent.close();
    const [doc] = await muster.store.notifications.find({}).toArray();
    expect(doc?.tries.map(({ message }) => message)).toEqual(['no answer in time']);
    muster.clock.forward(pauseAfter(1, 1) as number);
    await deliver();
    expect(mailServer.mails).toHaveLength(1);
  });
});

describe('what doctor says of messages', () => {
  const wrong = async () => (await messages(muster.context, true)).filter(({ ok }) => !ok);
  /** A plan is held, a while later than what was told before. */
  const tellAgain = async () => {
    muster.clock.forward(1_000);
    await muster.import(people(5));
    await told();
  };

  test('an address that the mail server refused, while others have the mail, until all of them have one', async () => {
    await feed(`{ email: [hr@example.org, gone@example.org] }`);
    const said = async () => {
      const { stdout } = await commandLineOf(muster).call(['doctor'], { env: { SMTP_URL: telling.smtpUrl } });
      return stdout.split('\n').filter((line) => line.includes('messages:'));
    };
    mailServer.refuses = ['gone@example.org'];
    await tellAgain();
    expect(mailServer.mails.map(({ to }) => to)).toEqual([['hr@example.org']]);
    expect(await muster.store.notifications.find({}).toArray()).toMatchObject([
      { refused: 1, tries: [], nextAt: null, deliveredAt: muster.clock.now() },
    ]);
    expect(await said()).toEqual([
      'WRONG  messages: the last of feed hr by email was refused by the mail server for 1 of its addresses',
    ]);
    mailServer.refuses = [];
    await tellAgain();
    expect(await said()).toEqual(['well   messages: feed hr by email: none is late']);
  });

  test('one that was given up, until a later one of its feed arrives by the same channel', async () => {
    await feed(`{ webhook: "${hook}", email: hr@example.org }`);
    receiver.answers = [410];
    await tellAgain();
    expect(mailServer.mails).toHaveLength(1);
    const [given, more] = await wrong();
    expect([given?.found, more]).toEqual([
      'the last of feed hr by webhook could not be delivered: The receiver answered with HTTP 410.',
      undefined,
    ]);
    expect(given?.remedy).toMatch(/^It was given up\./);
    muster.clock.forward(30 * 86_400_000);
    expect(await wrong()).toHaveLength(1);
    await tellAgain();
    expect(await wrong()).toEqual([]);
    receiver.answers = [410];
    await tellAgain();
    expect(await wrong()).toHaveLength(1);
  });

  test('one that is tried again, until it arrives', async () => {
    await feed(`{ webhook: "${hook}" }`);
    receiver.answers = [500];
    await tellAgain();
    expect(await wrong()).toMatchObject([{ remedy: expect.stringContaining('It is tried again by itself.') }]);
    muster.clock.forward(pauseAfter(1, 1) as number);
    await deliver();
    expect(await wrong()).toEqual([]);
  });
});

describe('nothing is lost, and nothing is told twice', () => {
  test('what happened while nobody told anybody is told by the next who does', async () => {
    await muster.stopWorkers();
    await feed(`{ webhook: "${hook}" }`);
    await muster.read(people(5));
    await muster.read('no header that fits\n');
    expect(await muster.store.notifications.countDocuments()).toBe(0);
    await told();
    expect(types().sort()).toEqual(['run.failed', 'run.held']);
    await muster.startWorkers();
  });

  test('eight that tell at once, and eight that deliver at once, send one message', async () => {
    await feed(`{ webhook: "${hook}", email: hr@example.org }`);
    await muster.import(people(5));
    const eight = (work: () => Promise<unknown>) => Promise.all(Array.from({ length: 8 }, work));
    await eight(() => tellRuns(muster.context));
    await eight(() => deliver());
    expect(receiver.received).toHaveLength(1);
    expect(mailServer.mails).toHaveLength(1);
    expect(await muster.store.feeds.findOne({ _id: 'hr' })).toMatchObject({ troubles: 1 });
  });

  test('a message that was claimed by a process which died is sent by another', async () => {
    await feed(`{ webhook: "${hook}" }`);
    await muster.import(people(5));
    await tellRuns(muster.context);
    await deliverNotifications(muster.context, telling, AbortSignal.abort());
    expect(receiver.received).toEqual([]);
    const claimed = new Date(muster.clock.now().getTime() + 120_000);
    await muster.store.notifications.updateOne({}, { $set: { nextAt: claimed } });
    expect(await deliver()).toBe(0);
    muster.clock.set(claimed);
    expect(await deliver()).toBe(1);
  });
});

test('a worker that is told to stop does not wait for a receiver, and leaves the message to the next', async () => {
  await feed(`{ webhook: "${hook}", email: hr@example.org }`);
  await muster.import(people(5));
  await tellRuns(muster.context);
  receiver.answers = [0];
  const stop = new AbortController();
  const round = deliverNotifications(muster.context, telling, stop.signal);
  await expect.poll(() => [receiver.received.length, mailServer.mails.length]).toEqual([1, 1]);
  stop.abort();
  await round;
  expect(await muster.store.notifications.findOne({ channel: 'webhook' })).toMatchObject({ tries: [] });
  expect(await deliver()).toBe(1);
  expect(receiver.received).toHaveLength(2);
});

test('messages hold figures alone: no names, no addresses, nobody who did it', async () => {
  await feed(`{ webhook: "${hook}", email: hr@example.org }`);
  await muster.import(`${people(30)}P31,planted31@private.example,Plantedfirst,Plantedlast,A,nowhere\n`);
  await told();
  await muster.import(`${people(3)}P9,planted3@private.example,Plantedfirst,Plantedlast,A,sector-b\n`);
  await told();
  expect(receiver.received.length).toBeGreaterThan(1);
  const said = JSON.stringify([
    receiver.received,
    mailServer.mails,
    await muster.store.notifications.find({}).toArray(),
  ]);
  expect(said).not.toMatch(/planted|private\.example|"P\d|feed-\d+\.csv/i);
});
