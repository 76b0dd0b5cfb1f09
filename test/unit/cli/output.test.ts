import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { Output } from '../../../src/cli/output.ts';

test('names that would steer a terminal are shown, wherever they come', () => {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const output = new Output({ stdin, stdout, stderr });
  output.show(false, undefined, () => 'Not purged: \u001b[2Jfire\nof \u202eann');
  output.say('There is no group \u001b]0;title\u0007.');
  expect(String(stdout.read())).toBe('Not purged: ·[2Jfire\nof ·ann\n');
  expect(String(stderr.read())).toBe('There is no group ·]0;title·.\n');
});
