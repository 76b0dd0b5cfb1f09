import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * `npm run test:api`: a Muster of its own with a small company in it, asked by schemathesis with requests made from its
 * OpenAPI document, right and wrong ones. Exit code 0: no 5xx and no breach of what is described; 1: some, shown above;
 * 77: schemathesis cannot be installed here, so nothing was tested.
 */
const here = fileURLToPath(new URL('.', import.meta.url));
const root = resolve(here, '../..');
const packages = join(root, '.muster', 'schemathesis');
/** How long schemathesis may take, s. What it has not come to by then is not tested; what it has found counts. */
const BUDGET = 150;
const INTERRUPTED = 130;
const SKIPPED = 77;

function hasSchemathesis(): boolean {
  const requirements = join(here, 'requirements.txt');
  if (existsSync(join(packages, 'schemathesis'))) return true;
  const args = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--target',
    packages,
    '-r',
    requirements,
  ];
  const { status } = spawnSync('python3', args, { stdio: ['ignore', 2, 2] });
  if (status !== 0) rmSync(packages, { recursive: true, force: true });
  return status === 0;
}

const directory = mkdtempSync(join(tmpdir(), 'muster-api-'));
const muster = ['--import', createRequire(import.meta.url).resolve('tsx'), join(root, 'src/cli/main.ts')] as const;
const env = {
  ...process.env,
  PORT: '0',
  LOG_LEVEL: 'error',
  MUSTER_DATA: join(directory, 'data'),
  MONGODB_URI: process.env.MUSTER_TEST_MONGODB_URI ?? '',
  REDIS_URL: process.env.MUSTER_TEST_REDIS_URL ?? '',
};

function call(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...muster, ...args], {
    cwd: directory,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`muster ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

/** A few of each noun, by the API itself. */
async function makeCompany(url: string, key: string): Promise<void> {
  const ask = async (method: string, path: string, body: object) => {
    const answer = await fetch(`${url}/api/v1/${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(!(body instanceof FormData) && { 'content-type': 'application/json' }),
      },
      body: body instanceof FormData ? body : JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
  };
  for (const externalId of ['safety', 'sales'])
    await ask('POST', 'courses', { name: `Course ${externalId}`, externalId });
  await ask('POST', 'groups', { name: 'All learners', externalId: 'all' });
  await ask('POST', 'groups', { name: 'Sector A', externalId: 'sector-a', parent: 'all' });
  await ask('POST', 'groups/sector-a/link', { courses: ['safety', 'sales'] });
  await ask('POST', 'users', { login: 'ines@example.org', role: 'instructor' });
  const text =
    'name: hr\nlearner: { externalId: EmployeeID, email: Mail }\ngroups:\n  - { column: Groups, separator: ";" }\n';
  await ask('PUT', 'feeds/hr', { text });
  const rows = Array.from({ length: 30 }, (_, at) => `${at},l${at}@example.org,${at % 3 === 0 ? 'all' : 'sector-a'}\n`);
  const feed = new FormData();
  feed.append('file', new Blob([`EmployeeID,Mail,Groups\n${rows.join('')}x,x@example.org,unknown\n`]), 'hr.csv');
  await ask('POST', 'feeds/hr/runs', feed);
}

/** The address once it listens. */
async function start(): Promise<{ url: string; stop: () => Promise<void> }> {
  const child = spawn(process.execPath, [...muster, 'start'], {
    cwd: directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const url = await new Promise<string>((found, failed) => {
    const listen = (chunk: Buffer) => {
      said += chunk.toString();
      const address = /listens on (http:\/\/[^\s;]+);/.exec(said)?.[1];
      if (address !== undefined) found(address);
    };
    child.stderr.on('data', listen);
    child.stdout.pipe(process.stderr);
    child.once('exit', (code) => failed(new Error(`muster start ended with ${code}: ${said}`)));
  });
  return {
    url,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Its exit code; where the time was up, that of what it had found by then. */
function schemathesis(url: string, key: string): Promise<number> {
  const args = [
    '-m',
    'schemathesis.cli',
    '--config-file',
    join(here, 'schemathesis.toml'),
    'run',
    `${url}/api/openapi.json`,
  ];
  const child = spawn('python3', args, {
    cwd: directory,
    env: { ...process.env, PYTHONPATH: packages, MUSTER_KEY: key, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    process.stdout.write(chunk);
  });
  const timer = setTimeout(() => child.kill('SIGINT'), BUDGET * 1000);
  return new Promise((done, failed) => {
    child.once('error', failed);
    child.once('close', (code) => {
      clearTimeout(timer);
      const found = /^=+ (FAILURES|ERRORS) =+$/m.test(said);
      done(code === INTERRUPTED ? (found ? 1 : 0) : (code ?? 1));
    });
  });
}

if (!hasSchemathesis()) {
  process.stderr.write('schemathesis cannot be installed here; the API was not tested with it.\n');
  process.exitCode = SKIPPED;
} else {
  const served = await start();
  try {
    const { token } = JSON.parse(
      call('keys', 'add', 'api', '--role', 'administrator', '--scope', 'write', 'users:write', '--json'),
    ) as { token: string };
    await makeCompany(served.url, token);
    process.exitCode = await schemathesis(served.url, token);
  } finally {
    await served.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
