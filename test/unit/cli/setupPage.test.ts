import { createContext, runInContext } from 'node:vm';
import Fastify from 'fastify';
import { beforeAll, expect, test } from 'vitest';
import { setupRoutes } from '../../../src/http/routes/setup.ts';

interface Answer {
  readonly ok: boolean;
  readonly json: () => Promise<object>;
}

const SET = 'The password is set, and you are logged in as ann.';
let script = '';

beforeAll(async () => {
  const app = Fastify();
  setupRoutes(app);
  script = (await app.inject('/setup.js')).body;
  await app.close();
});

/** The page behind the link, with as much of a browser as its script asks for. */
function page() {
  const button = { disabled: false };
  const status = { textContent: '' };
  const asked: { readonly body: unknown; readonly answer: (answer: Answer | Error) => void }[] = [];
  let submit: (event: object) => Promise<void> = () => Promise.reject(new Error('nobody listens'));
  const form = { addEventListener: (_: 'submit', listener: typeof submit) => (submit = listener) };
  const elements: Readonly<Record<string, object>> = { form, button, '[role=status]': status };
  const browser = {
    document: { querySelector: (selector: string) => elements[selector] },
    location: { hash: '#token' },
    history: { replaceState: () => undefined },
    // biome-ignore lint/complexity/useArrowFunction: it is called with `new`.
    FormData: function () {
      return [
        ['login', 'ann'],
        ['password', 'long enough for it'],
      ];
    },
    fetch: (_: string, { body }: { body: string }) =>
      new Promise<Answer>((resolve, reject) =>
        asked.push({
          body: JSON.parse(body),
          answer: (answer) => (answer instanceof Error ? reject(answer) : resolve(answer)),
        }),
      ),
  };
  runInContext(script, createContext(browser));
  /** What a browser does at a click: nothing where the button is disabled. */
  const click = async () => {
    if (!button.disabled) await submit({ preventDefault: () => undefined });
  };
  return { button, status, asked, click };
}

const says = (ok: boolean, body: object): Answer => ({ ok, json: () => Promise.resolve(body) });

test('the page of a one-time link asks once, however often it is clicked, and what it says stays', async () => {
  const { status, asked, click } = page();
  const [first, second] = [click(), click()];
  expect(asked.map(({ body }) => body)).toEqual([{ token: 'token', login: 'ann', password: 'long enough for it' }]);
  asked[0]?.answer(says(true, { login: 'ann' }));
  await Promise.all([first, second]);
  expect(status.textContent).toBe(SET);
  await click();
  expect([asked.length, status.textContent]).toEqual([1, SET]);
});

test('what is refused, and a server that cannot be reached, are said, and the button works again', async () => {
  const { button, status, asked, click } = page();
  for (const [answer, told] of [
    [new TypeError('fetch failed'), 'Muster cannot be reached just now. Try again.'],
    [says(false, { detail: 'Choose a longer one.' }), 'Choose a longer one.'],
    [says(true, { login: 'ann' }), SET],
  ] as const) {
    expect(button.disabled).toBe(false);
    const clicked = click();
    asked.at(-1)?.answer(answer);
    await clicked;
    expect(status.textContent).toBe(told);
  }
  expect(asked).toHaveLength(3);
});
