import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { useApi } from './http/asking.ts';

/** Every command, with the routes that do the same; in brackets: why there is none. */
const PARITY: Readonly<Record<string, string>> = {
  start: '(a process)',
  worker: '(a process)',
  api: '(a process)',
  demo: '(an example, for trying)',
  quickstart: '(an example, for trying)',
  import: 'POST /feeds/{feed}/runs, GET /runs/{run}/events',
  run: 'POST /feeds/{feed}/runs',
  'feeds list': 'GET /feeds',
  'feeds show': 'GET /feeds/{feed}',
  'feeds apply': 'PUT /feeds/{feed}',
  'feeds check': 'POST /feeds/check',
  'feeds sample': 'GET /feeds/{feed}/sample',
  'feeds delete': 'DELETE /feeds/{feed}',
  'feeds release': 'POST /feeds/{feed}/release',
  'feeds secret': '(made of MUSTER_SECRET, which the API never shows)',
  'runs list': 'GET /runs',
  'runs show': 'GET /runs/{run}, GET /runs/{run}/problems',
  'runs changes': 'GET /runs/{run}/changes',
  'runs rejected': 'GET /runs/{run}/rejected',
  'runs approve': 'POST /runs/{run}/approve',
  'runs reject': 'POST /runs/{run}/reject',
  'runs cancel': 'POST /runs/{run}/cancel',
  'runs undo': 'POST /runs/{run}/undo',
  'groups tree': 'GET /groups',
  'groups show': 'GET /groups/{group}',
  'groups members': 'GET /groups/{group}/members',
  'groups create': 'POST /groups',
  'groups import': 'POST /groups/import',
  'groups edit': 'PATCH /groups/{group}',
  'groups move': 'POST /groups/{group}/move, POST /groups/{group}/preview',
  'groups delete': 'DELETE /groups/{group}, POST /groups/{group}/preview',
  'groups link': 'POST /groups/{group}/link',
  'groups unlink': 'POST /groups/{group}/unlink, POST /groups/{group}/preview',
  'groups add': 'POST /groups/{group}/add',
  'groups remove': 'POST /groups/{group}/remove, POST /groups/{group}/preview',
  'learners list': 'GET /learners',
  'learners show': 'GET /learners/{learner}',
  'learners add': 'POST /learners',
  'learners import': 'POST /learners/import',
  'learners edit': 'PATCH /learners/{learner}',
  'learners move': 'POST /learners/{learner}/move',
  'learners history': 'GET /learners/{learner}/history',
  'learners why': 'GET /learners/{learner}/why/{course}',
  'learners export': 'GET /learners/{learner}/export',
  'learners erase': 'POST /learners/{learner}/erase, GET /learners/{learner}/erase',
  'learners unerase': 'POST /learners/unerase',
  'courses list': 'GET /courses',
  'courses show': 'GET /courses/{course}',
  'courses add': 'POST /courses',
  'courses subscribers': 'GET /courses/{course}/subscribers',
  'courses grant': 'POST /courses/{course}/grant',
  'courses revoke': 'POST /courses/{course}/revoke, POST /courses/{course}/preview',
  'progress record': 'POST /learners/{learner}/progress',
  'progress show': 'GET /learners/{learner}/progress',
  'queue list': 'GET /queue',
  'queue show': 'GET /queue/{item}',
  'queue retry': 'POST /queue/retry',
  'queue discard': 'POST /queue/discard',
  'queue drain': '(a worker does it)',
  'export learners': 'GET /exports/{kind}',
  'export groups': 'GET /exports/{kind}',
  'export subscriptions': 'GET /exports/{kind}',
  'export audit': 'GET /exports/{kind}',
  'reports list': 'GET /reports',
  'reports show': 'GET /reports/{report}',
  'reports columns': 'GET /reports/columns',
  'reports check': 'POST /reports/preview',
  'reports apply': 'POST /reports, PUT /reports/{report}',
  'reports run': 'GET /reports/{report}/rows',
  'reports send': 'POST /reports/{report}/send',
  'reports delete': 'DELETE /reports/{report}',
  'subenvironments list': 'GET /subenvironments',
  'subenvironments show': 'GET /subenvironments/{subenvironment}',
  'subenvironments create': 'POST /subenvironments',
  'subenvironments delete': 'DELETE /subenvironments/{subenvironment}',
  'subenvironments link': 'POST /subenvironments/{subenvironment}/link',
  'subenvironments unlink': 'POST /subenvironments/{subenvironment}/unlink',
  'subenvironments allow': 'POST /subenvironments/{subenvironment}/allow',
  'subenvironments deny': 'POST /subenvironments/{subenvironment}/deny',
  'users list': 'GET /users, GET /users/{user}',
  'users add': 'POST /users',
  'users edit': 'PATCH /users/{user}, POST /users/{user}/link',
  'users revoke': 'DELETE /users/{user}',
  'keys list': 'GET /keys',
  'keys add': 'POST /keys',
  'keys edit': 'PATCH /keys/{key}',
  'keys revoke': 'DELETE /keys/{key}',
  digest: 'GET /checks/digest',
  verify: 'POST /checks/verify',
  doctor: 'GET /checks/doctor',
};

/** Routes that no command is for. */
const BROWSERS = /^(GET|POST|DELETE) \/(session|password)/;

const api = useApi();

/** `groups add`, … : every command that does something. */
function commands(): string[] {
  const program = new Command('muster');
  for (const add of COMMANDS) add(program, {} as never);
  const within = (command: Command, path: string): string[] =>
    command.commands.length === 0
      ? [path]
      : command.commands.flatMap((one) => within(one, `${path} ${one.name()}`.trim()));
  return within(program, '');
}

function routes(): string[] {
  const { paths = {} } = api.app.swagger() as { paths?: Record<string, Record<string, unknown>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => method !== 'head')
      .map((method) => `${method.toUpperCase()} ${path.replace('/api/v1', '')}`),
  );
}

describe('Everything that the commands do, the API does, and the reverse', () => {
  test('every command has its routes here, or a reason', () => {
    expect(Object.keys(PARITY).sort()).toEqual(commands().sort());
  });

  test('every route is some command’s', () => {
    const known = new Set(Object.values(PARITY).flatMap((line) => (line.startsWith('(') ? [] : line.split(', '))));
    const there = routes().filter((route) => !BROWSERS.test(route));
    expect(there.filter((route) => !known.has(route))).toEqual([]);
    expect([...known].filter((route) => !there.includes(route))).toEqual([]);
  });
});
