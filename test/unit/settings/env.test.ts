import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { UsageError } from '../../../src/domain/errors.ts';
import { envSchema, readEnv, SECRETS } from '../../../src/settings/env.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'muster-env-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const read = (env: NodeJS.ProcessEnv) => readEnv(env, directory);

function refusal(env: NodeJS.ProcessEnv): UsageError {
  try {
    read(env);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('The settings were accepted.');
}

test('config/default.yaml lists every setting with the default that the schema gives it', () => {
  const listed = parse(readFileSync('config/default.yaml', 'utf8')) as Record<string, unknown>;
  expect(Object.keys(listed).sort()).toEqual(Object.keys(envSchema.shape).sort());
  const given = Object.fromEntries(Object.entries(listed).filter(([, value]) => value !== null));
  expect(given).toEqual(read({}));
});

test('values of the environment are read, and an empty one is as none', () => {
  expect(read({ PORT: '8080', WORKER_CONCURRENCY: '4', MONGODB_URI: '', MUSTER_MONGOD_CACHE_GB: '1.5' })).toMatchObject(
    {
      PORT: 8080,
      WORKER_CONCURRENCY: 4,
      MUSTER_MONGOD_CACHE_GB: 1.5,
    },
  );
  expect(read({ MONGODB_URI: '' }).MONGODB_URI).toBeUndefined();
});

describe('a wrong value stops with one line that names it, and exit code 2', () => {
  test.each([
    ['PORT', '70000', 'must be a port from 0 to 65535'],
    ['PORT', '80a', 'must be a whole number'],
    ['WORKER_CONCURRENCY', '0', 'must be a whole number from 1'],
    ['LOG_LEVEL', 'loud', 'must be one of fatal, error'],
    ['REDIS_URL', 'localhost:6379', 'must begin with redis://'],
    ['MONGODB_URI', 'localhost', 'must begin with mongodb://'],
    ['MUSTER_PREFIX', 'a:b', 'must be 1 to 40 of'],
    ['MUSTER_SECRET', 'short', 'must have 32 characters'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'ftp://x', 'must be an http or https URL'],
    ['MUSTER_URL', 'muster.example.org', 'must be an http or https URL'],
    ['TRUST_PROXY', '1', 'must be addresses and networks'],
    ['TRUST_PROXY', 'true', 'must be addresses and networks'],
    ['TRUST_PROXY', '10.0.0.0/33', 'must be addresses and networks'],
    ['OIDC_ISSUER', 'http://login.example.org', 'must be an https URL'],
    ['OIDC_ISSUER', 'http://127.0.0.1.example.org', 'must be an https URL'],
    ['OIDC_SCOPE', 'email openids', 'must hold openid'],
    ['SMTP_URL', 'mail.example.org', 'must begin with smtp://'],
    ['MUSTER_ALLOW_PRIVATE_WEBHOOKS', 'yes', 'must be 0 or 1'],
    ['MUSTER_MONGOD_CACHE_GB', '0.1', 'must be 0.25 or more'],
  ])('%s=%s', (name, value, reason) => {
    const error = refusal({ [name]: value });
    expect(error.exit).toBe(2);
    expect(error.message).toContain(name);
    expect(error.message).toContain(reason);
    expect(error.message).not.toContain('\n');
  });
});

describe('secrets', () => {
  test.each(SECRETS)('%s is read from the file that its _FILE names, without the line end', (name) => {
    const value = {
      MONGODB_URI: 'mongodb://db/x',
      REDIS_URL: 'redis://cache',
      MUSTER_SECRET: 's'.repeat(32),
      SMTP_URL: 'smtp://mail',
      OIDC_CLIENT_SECRET: 'secret',
    }[name];
    writeFileSync(join(directory, 'secret'), `${value}\n`);
    expect(read({ [`${name}_FILE`]: join(directory, 'secret') })[name]).toBe(value);
  });

  test('a secret given twice, in no file, or in an empty one is refused by name', () => {
    writeFileSync(join(directory, 'empty'), '\n');
    expect(refusal({ REDIS_URL: 'redis://a', REDIS_URL_FILE: 'b' }).message).toContain('REDIS_URL and REDIS_URL_FILE');
    expect(refusal({ REDIS_URL_FILE: join(directory, 'absent') }).message).toContain('ENOENT');
    expect(refusal({ REDIS_URL_FILE: join(directory, 'empty') }).message).toContain('is empty');
  });

  test('a wrong secret is not repeated in the message', () => {
    expect(refusal({ MONGODB_URI: 'mongo://admin:hunter2@db' }).message).not.toContain('hunter2');
  });
});

describe('.env', () => {
  beforeEach(() => writeFileSync(join(directory, '.env'), 'PORT=4000\nHOST=0.0.0.0\n'));

  test('gives what the environment does not say, and never overrides it', () => {
    expect(read({ PORT: '5000' })).toMatchObject({ PORT: 5000, HOST: '0.0.0.0' });
  });

  test('is not read in production', () => {
    expect(read({ NODE_ENV: 'production' })).toMatchObject({ PORT: 3000, HOST: '127.0.0.1' });
  });
});
