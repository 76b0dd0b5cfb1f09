import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Settles once a server on this loopback port accepts connections and, where `ask` is given, answers as awaited, or
 * when `enough` is aborted.
 */
export async function ready(port: number, enough: AbortSignal, ask?: { send: string; answer: string }): Promise<void> {
  while (!enough.aborted && !(await answers(port, ask))) await pause(10);
}

function answers(port: number, ask?: { send: string; answer: string }): Promise<boolean> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect(port, '127.0.0.1');
    const end = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(1000, () => end(false));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
    socket.once('connect', () => (ask === undefined ? end(true) : socket.write(ask.send)));
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1');
      if (ask !== undefined && heard.includes(ask.answer)) end(true);
      else if (/\n-/.test(`\n${heard}`)) end(false);
    });
  });
}
