import { join } from 'node:path';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import type { Logger } from 'pino';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Role } from '../../../src/domain/role.ts';
import type { HttpContext } from '../../../src/http/context.ts';
import { buildServer } from '../../../src/http/server.ts';
import { addKey } from '../../../src/store/keys.ts';
import { addUser, readUser } from '../../../src/store/users.ts';
import { type TestMuster, useMuster } from '../../harness.ts';

/** The API on a Muster of its own, asked without a socket. */
export class TestApi {
  readonly muster: TestMuster;
  app!: FastifyInstance;
  context!: HttpContext;
  /** Where requests come from. */
  address = '127.0.0.1';
  #keys = 0;

  constructor(muster: TestMuster) {
    this.muster = muster;
  }

  async open(): Promise<void> {
    const { context, directory } = this.muster;
    this.context = {
      ...context,
      uploads: join(directory, 'uploads'),
      version: '0.0.0',
      examine: async () => ({ ok: true, findings: [] }),
    };
    this.app = await buildServer(this.context);
  }

  /** A key that may do all that the role may. */
  async key(role: 'administrator' | 'operator', scopes: readonly string[] = ['write', 'users:write']): Promise<string> {
    this.#keys += 1;
    return (await addKey(this.context, { name: `test-${this.#keys}`, role, scopes, by: 'test' })).token;
  }

  /** Makes those that are not there yet. */
  async subenvironments(...names: readonly string[]): Promise<void> {
    const { subenvironments } = this.muster.store;
    for (const _id of names) {
      const made = { createdAt: this.context.clock.now(), createdBy: 'test' };
      await subenvironments.updateOne({ _id }, { $setOnInsert: made }, { upsert: true });
    }
  }

  /** A key of a user of the role. */
  async keyOf(role: Role, login: string, subenvironments: readonly string[] = []): Promise<string> {
    await this.subenvironments(...subenvironments);
    if (!(await readUser(this.muster.store, login)))
      await addUser(this.context, { login, role, subenvironments, by: 'test' });
    this.#keys += 1;
    return (
      await addKey(this.context, {
        name: `test-${this.#keys}`,
        user: login,
        scopes: ['write', 'users:write'],
        by: 'test',
      })
    ).token;
  }

  ask(
    key: string | undefined,
    method: string,
    path: string,
    payload?: InjectOptions['payload'],
    headers: Record<string, string> = {},
  ): Promise<LightMyRequestResponse> {
    return this.app.inject({
      method: method as 'GET',
      remoteAddress: this.address,
      url: path.startsWith('/') ? path : `/api/v1/${path}`,
      headers: { ...(key && { authorization: `Bearer ${key}` }), ...headers },
      ...(payload !== undefined && { payload }),
    });
  }
}

export function useApi(log?: Logger): TestApi {
  const api = new TestApi(useMuster(log));
  beforeAll(() => api.open());
  afterAll(() => api.app.close());
  return api;
}

/** A field of a form; with a content type where a part is to name one. */
type Field = readonly [name: string, value: string, type?: string];

/** A multipart body with one file, and its content type. */
export function multipart(
  content: string | Buffer,
  fields: Record<string, string> | readonly Field[] = {},
  name = 'hr.csv',
): { payload: Buffer; headers: Record<string, string> } {
  const boundary = 'x-muster-test-boundary';
  const given = (Array.isArray(fields) ? fields : Object.entries(fields)) as readonly Field[];
  const parts = given.map(([key, value, type]) => {
    const says = type === undefined ? '' : `\r\ncontent-type: ${type}`;
    return `--${boundary}\r\ncontent-disposition: form-data; name="${key}"${says}\r\n\r\n${value}\r\n`;
  });
  const head = `${parts.join('')}--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${name}"\r\ncontent-type: text/csv\r\n\r\n`;
  const payload = Buffer.concat([Buffer.from(head), Buffer.from(content), Buffer.from(`\r\n--${boundary}--\r\n`)]);
  return { payload, headers: { 'content-type': `multipart/form-data; boundary=${boundary}` } };
}

/** The answer, which has this status; a failing test shows the body. */
export function answered(status: number, answer: LightMyRequestResponse): LightMyRequestResponse {
  expect({ status: answer.statusCode, body: answer.body }).toEqual({ status, body: answer.body });
  return answer;
}
