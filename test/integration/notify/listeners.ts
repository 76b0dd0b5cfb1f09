import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerSession } from 'smtp-server';

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A receiver of webhooks on loopback. `answers`: statuses of the next answers, 0 = none is given; 200 after them. */
export class Receiver {
  readonly received: Received[] = [];
  answers: number[] = [];
  readonly #server: Server = createServer((request, response) => void this.#answer(request, response));

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.received.push({ headers: request.headers, body: await text(request) });
    const status = this.answers.shift() ?? 200;
    if (status === 0) return;
    response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('thank you');
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** A mail server on loopback. `refuses`: addresses for which it takes no mail. */
export class MailServer {
  refuses: readonly string[] = [];
  readonly mails: { readonly from: string; readonly to: string[]; readonly text: string }[] = [];
  readonly #server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onRcptTo: ({ address }, _, done) =>
      done(this.refuses.includes(address) ? Object.assign(new Error('Nobody here'), { responseCode: 550 }) : null),
    onData: (stream, session, done) => void this.#take(stream, session, done),
  });

  async #take(stream: NodeJS.ReadableStream, { envelope }: SMTPServerSession, done: () => void): Promise<void> {
    const { mailFrom, rcptTo } = envelope;
    this.mails.push({
      from: mailFrom ? mailFrom.address : '',
      to: rcptTo.map(({ address }) => address),
      text: await text(stream),
    });
    done();
  }

  async listen(): Promise<string> {
    const server = this.#server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
