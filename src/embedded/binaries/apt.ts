import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { onPath, type Place } from './search.ts';

const run = promisify(execFile);

/** apt-get, where we are root. The package starts a server of its own, which is stopped again. */
export const redisByApt: Place = async (search) => {
  const { env, say } = search;
  const apt = onPath('apt-get')(search);
  if (typeof apt !== 'string' || process.getuid?.() !== 0) return undefined;
  say.step('Installing redis-server by apt-get …');
  const hadService = existsSync('/etc/init.d/redis-server');
  try {
    const options = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: 300_000 };
    await run(apt, ['update', '-qq'], options);
    await run(apt, ['install', '-y', '-qq', '--no-install-recommends', 'redis-server'], options);
    if (!hadService) await stopService();
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1);
    say.step(`apt-get did not install redis-server: ${said || (error as Error).message}`);
    return undefined;
  }
  return onPath('redis-server')(search);
};

async function stopService(): Promise<void> {
  const stops = existsSync('/run/systemd/system')
    ? ['systemctl', 'disable', '--now', 'redis-server']
    : ['service', 'redis-server', 'stop'];
  const [command = '', ...rest] = stops;
  await run(command, rest, { timeout: 30_000 }).catch(() => undefined);
}
