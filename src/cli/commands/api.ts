import { once } from 'node:events';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { HttpContext } from '../../http/context.ts';
import { type Listening, serveMetrics } from '../../http/operations.ts';
import { serveApi } from '../../http/server.ts';
import { atMost } from '../../queue/atMost.ts';
import { oidcOf } from '../../settings/oidc.ts';
import { firstLink } from '../../store/users.ts';
import type { Cli } from '../cli.ts';
import { withExamples } from '../options.ts';
import { version } from '../version.ts';
import { examine } from './doctor.ts';

export function addApi(program: Command, cli: Cli): void {
  withExamples(
    program
      .command('api')
      .description('serves the API, its documentation, health and metrics; jobs are done by muster worker')
      .action(async () => {
        cli.serving = true;
        await serveUntilStopped(cli, [startApi, startMetrics]);
      }),
    'muster api',
    'PORT=8080 muster api',
  );
}

/** How long requests that are being answered may take when the command is told to stop, ms. */
const LAST_REQUESTS = 4_000;

/** Serves these until the command is told to stop. Where one of them cannot be served, none of them stays. */
export async function serveUntilStopped(
  cli: Cli,
  starts: readonly ((cli: Cli) => Promise<Listening | undefined>)[],
  ready: () => void = () => {},
): Promise<void> {
  const served: (Listening | undefined)[] = [];
  try {
    for (const start of starts) served.push(await start(cli));
    ready();
    if (!cli.stopping.aborted) await once(cli.stopping, 'abort');
  } finally {
    await atMost(LAST_REQUESTS, Promise.all(served.map(async (one) => one?.close())));
  }
}

/** Serves the API on HOST and PORT; where nobody can log in yet, prints the link that makes the first administrator. */
export async function startApi(cli: Cli): Promise<Listening> {
  const { env, services } = await cli.open();
  const context = await httpContext(cli);
  const served = await serveApi(context, { host: env.HOST, port: env.PORT, metrics: env.METRICS_PORT === undefined });
  cli.out.say(`muster api listens on ${served.url}; its documentation is at ${served.url}/api/docs.`);
  const token = await firstLink(services);
  if (token !== undefined) {
    cli.out.say(
      `Nobody can log in yet. This link makes the first administrator, once, within a day:\n  ${served.url}/setup#${token}`,
    );
  }
  return served;
}

/** Serves health and metrics alone on METRICS_PORT, where that is set. */
export async function startMetrics(cli: Cli): Promise<Listening | undefined> {
  const { env } = await cli.open();
  if (env.METRICS_PORT === undefined) return undefined;
  const served = await serveMetrics(await httpContext(cli), { host: env.HOST, port: env.METRICS_PORT });
  cli.out.say(`Health and metrics are at ${served.url}.`);
  return served;
}

async function httpContext(cli: Cli): Promise<HttpContext> {
  const muster = await cli.open();
  const { env } = muster;
  const oidc = oidcOf(env);
  return {
    ...muster.services,
    queues: await muster.queues(),
    base: cli.directory,
    uploads: join(resolve(cli.directory, env.MUSTER_DATA), 'uploads'),
    version: version(),
    examine: () => examine(cli),
    ...(oidc && { oidc }),
    ...(env.TRUST_PROXY !== undefined && { trustProxy: env.TRUST_PROXY }),
  };
}
