import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { ServerName } from './identity.ts';
import type { Order } from './programs.ts';

/** What a command asks of the keeper. */
export type Ask = { readonly kind: 'start'; readonly order: Order };

/** What the keeper tells a command. */
export type Tell =
  | { readonly kind: 'hello'; readonly running: readonly ServerName[] }
  | { readonly kind: 'started'; readonly server: ServerName; readonly port: number; readonly password: string }
  | { readonly kind: 'failed'; readonly server: ServerName; readonly reason: string };

export function send(socket: Socket, message: Ask | Tell): void {
  if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}

/** One JSON document a line. */
export function onAsk(socket: Socket, receive: (ask: Ask) => void): void {
  createInterface(socket).on('line', (line) => receive(JSON.parse(line) as Ask));
}

export function onTell(socket: Socket, receive: (tell: Tell) => void): void {
  createInterface(socket).on('line', (line) => receive(JSON.parse(line) as Tell));
}
