import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { envSchema } from '../../src/settings/env.ts';

interface Service {
  command: string[];
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
  environment: Record<string, string>;
  volumes: string[];
  ports?: string[];
}

const text = readFileSync('docker-compose.yml', 'utf8');
const compose = parse(text, { merge: true }) as {
  services: Record<'api' | 'worker' | 'mongodb' | 'redis', Service>;
  volumes: Record<string, null>;
};
const { api, worker, mongodb, redis } = compose.services;
const secrets = { ...process.env, MUSTER_SECRET: 's'.repeat(32), REDIS_PASSWORD: 'p'.repeat(24) };
const hasCompose = spawnSync('docker', ['compose', 'version']).status === 0;

describe('docker-compose.yml', () => {
  test('runs the API and the worker once MongoDB and Redis are healthy', () => {
    expect(api.command).toEqual(['muster', 'api']);
    expect(worker.command).toEqual(['muster', 'worker']);
    for (const service of [api, worker]) {
      expect(service.depends_on).toEqual({
        mongodb: { condition: 'service_healthy' },
        redis: { condition: 'service_healthy' },
      });
    }
    for (const service of [worker, mongodb, redis]) expect(service.healthcheck?.test.length).toBeGreaterThan(1);
  });

  test('MongoDB is a replica set that is initiated, Redis keeps an AOF and evicts nothing', () => {
    expect(mongodb.command.join(' ')).toContain('--replSet=muster');
    expect(mongodb.healthcheck?.test.join(' ')).toContain('rs.initiate(');
    expect(redis.command.join(' ')).toContain('--appendonly yes');
    expect(redis.command.join(' ')).toContain('--maxmemory-policy noeviction');
  });

  test('the servers keep their data in named volumes and are not published', () => {
    for (const service of [mongodb, redis]) {
      expect(Object.keys(compose.volumes)).toContain(service.volumes[0]?.split(':')[0]);
      expect(service.ports).toBeUndefined();
    }
  });

  test('every variable it sets is a setting of Muster, and secrets come from the environment', () => {
    const known = Object.keys(envSchema.shape);
    for (const service of [api, worker]) {
      expect(known).toEqual(expect.arrayContaining(Object.keys(service.environment)));
      expect(service.environment.MUSTER_SECRET).toMatch(/^\$\{MUSTER_SECRET:\?/);
    }
  });

  // Where the machine has no compose plugin, the tests above are what there is.
  test.each(hasCompose ? ['docker'] : [])('%s compose accepts it', (docker) => {
    expect(execFileSync(docker, ['compose', 'config', '-q'], { env: secrets, encoding: 'utf8' })).toBe('');
  });
});

describe('Dockerfile', () => {
  const dockerfile = readFileSync('Dockerfile', 'utf8');
  const image = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));

  test('the image is not run as root, has a health check and no development packages', () => {
    expect(image).toMatch(/^USER node$/m);
    expect(image).toMatch(/^HEALTHCHECK /m);
    expect(dockerfile).toContain('--omit=dev');
    expect(image).not.toContain('npm ');
  });

  test('neither secrets nor data get into the image', () => {
    const ignored = readFileSync('.dockerignore', 'utf8').split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['.env', '.muster', '.git', 'node_modules']));
  });
});

test('.ci/run can be run, and bash can read it', () => {
  expect(() => accessSync('.ci/run', constants.X_OK)).not.toThrow();
  expect(spawnSync('bash', ['-n', '.ci/run']).status).toBe(0);
});
