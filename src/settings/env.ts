import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { UsageError } from '../domain/errors.ts';

const port = z
  .string()
  .regex(/^\d+$/, 'must be a whole number')
  .transform(Number)
  .refine((number) => number <= 65_535, 'must be a port from 0 to 65535');
const positive = z
  .string()
  .regex(/^[1-9]\d*$/, 'must be a whole number from 1')
  .transform(Number);
/** What fastify's `trustProxy` takes; it would refuse the rest with a stack trace. */
function isTrust(text: string): boolean {
  return text.split(',').every((entry) => {
    const [address = '', bits] = entry.trim().split('/');
    if (bits === undefined) return ['loopback', 'linklocal', 'uniquelocal'].includes(address) || isIP(address) !== 0;
    return isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (isIP(address) === 4 ? 32 : 128);
  });
}

/** Without TLS the answers of a provider prove nothing, except where they never leave the machine. */
function isIssuer(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || (protocol === 'http:' && /^(127(\.\d+){3}|localhost|\[::1\])$/.test(hostname));
}

const days = z
  .string()
  .regex(/^\d{1,4}$/, 'must be a whole number of days from 0')
  .transform(Number);
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Every setting of the environment, by the name of its variable; config/default.yaml lists the same. */
export const envSchema = z.object({
  MONGODB_URI: z
    .string()
    .regex(/^mongodb(\+srv)?:\/\/./, 'must begin with mongodb:// or mongodb+srv://')
    .optional(),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\/./, 'must begin with redis:// or rediss://')
    .optional(),
  MUSTER_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,40}$/, 'must be 1 to 40 of A-Z a-z 0-9 _ -')
    .default('muster'),
  HOST: z.string().default('127.0.0.1'),
  PORT: port.default(3000),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
  MUSTER_DATA: z.string().default('.muster'),
  MUSTER_URL: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional(),
  MUSTER_SECRET: z.string().min(32, 'must have 32 characters or more').optional(),
  WORKER_CONCURRENCY: positive.default(2),
  PURGE_RETENTION_DAYS: days.default(30),
  RUN_RETENTION_DAYS: days.default(365),
  REJECTED_RETENTION_DAYS: days.default(90),
  UPLOAD_RETENTION_DAYS: days.default(30),
  METRICS_PORT: port.optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional(),
  TRUST_PROXY: z
    .string()
    .refine(isTrust, 'must be addresses and networks of proxies, like loopback, 10.0.0.0/8')
    .optional(),
  OIDC_ISSUER: z.string().refine(isIssuer, 'must be an https URL (http on this machine alone)').optional(),
  OIDC_CLIENT_ID: z.string().optional(),
  OIDC_CLIENT_SECRET: z.string().optional(),
  OIDC_SCOPE: z
    .string()
    .regex(/(^| )openid( |$)/, 'must hold openid')
    .default('openid email profile'),
  OIDC_ROLE_CLAIM: z.string().optional(),
  OIDC_ROLES: z.string().optional(),
  SMTP_URL: z
    .string()
    .regex(/^smtps?:\/\/./, 'must begin with smtp:// or smtps://')
    .optional(),
  MAIL_FROM: z.string().default('Muster <muster@localhost>'),
  MUSTER_ALLOW_PRIVATE_WEBHOOKS: z
    .enum(['0', '1'], 'must be 0 or 1')
    .transform((value) => value === '1')
    .default(false),
  MUSTER_MONGOD_CACHE_GB: z
    .string()
    .regex(/^\d+(\.\d+)?$/, 'must be a number of gigabytes')
    .transform(Number)
    .refine((gigabytes) => gigabytes >= 0.25, 'must be 0.25 or more')
    .default(0.5),
});

export type Env = z.output<typeof envSchema>;

/** Variables whose value may lie in a file named by NAME_FILE, as container platforms hand out secrets. */
export const SECRETS = ['MONGODB_URI', 'REDIS_URL', 'MUSTER_SECRET', 'SMTP_URL', 'OIDC_CLIENT_SECRET'] as const;

/**
 * Reads the settings from the environment and, unless `NODE_ENV` is `production`, from `.env` in `directory` for what
 * the environment does not say. An empty value is as none.
 * @throws {UsageError} of one line that names the variable; a secret's value is never in it.
 */
export function readEnv(env: NodeJS.ProcessEnv = process.env, directory: string = process.cwd()): Env {
  const given = withSecretFiles(
    present({ ...(env.NODE_ENV === 'production' ? {} : dotEnv(directory)), ...present(env) }),
  );
  const parsed = envSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const name = String(issue?.path[0]);
  const shown = SECRETS.some((secret) => secret === name) ? '' : ` is ${JSON.stringify(given[name])} and`;
  throw new UsageError(`${name}${shown} ${issue?.message}; nothing was started. Correct ${name}.`);
}

type Texts = Record<string, string>;

function present(env: NodeJS.Dict<string>): Texts {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''),
  );
}

function dotEnv(directory: string): NodeJS.Dict<string> {
  const path = join(directory, '.env');
  return existsSync(path) ? parseEnv(readFileSync(path, 'utf8')) : {};
}

function withSecretFiles(env: Texts): Texts {
  const read = { ...env };
  for (const name of SECRETS) {
    const path = env[`${name}_FILE`];
    if (path === undefined) continue;
    if (env[name] !== undefined) {
      throw new UsageError(`${name} and ${name}_FILE are both set; nothing was started. Unset one of them.`);
    }
    try {
      read[name] = readFileSync(path, 'utf8').trim();
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code;
      throw new UsageError(
        `${name}_FILE names ${path}, which cannot be read (${reason}); nothing was started. Correct it.`,
      );
    }
    if (read[name] === '') {
      throw new UsageError(`${name}_FILE names ${path}, which is empty; nothing was started. Write the value into it.`);
    }
  }
  return read;
}
