import type { FastifyInstance } from 'fastify';

/** The page behind one-time links. The token stands behind `#`, so it reaches neither logs nor other sites. */
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Set a password · Muster</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 4rem auto; padding: 0 1rem; }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
input, button { padding: .5rem; margin: .25rem 0 1rem; }
</style>
<script src="/setup.js" defer></script>
</head>
<body>
<h1>Set a password</h1>
<form>
<label for="login">Login name (for the first administrator; leave it empty otherwise)</label>
<input id="login" name="login" autocomplete="username">
<label for="password">Password, 12 characters or more</label>
<input id="password" name="password" type="password" autocomplete="new-password" minlength="12" required>
<button>Set the password</button>
<p role="status"></p>
</form>
</body>
</html>
`;

const SCRIPT = `const form = document.querySelector('form');
const button = document.querySelector('button');
const status = document.querySelector('[role=status]');
async function set({ login, password }) {
  const body = JSON.stringify({ token: location.hash.slice(1), password, ...(login && { login }) });
  const answer = await fetch('/api/v1/password', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const said = await answer.json();
  status.textContent = answer.ok ? 'The password is set, and you are logged in as ' + said.login + '.' : said.detail;
  if (answer.ok) history.replaceState(null, '', '/setup');
  return answer.ok;
}
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  // The link serves once: a second click must not ask again.
  button.disabled = true;
  status.textContent = '';
  try {
    button.disabled = await set(Object.fromEntries(new FormData(form)));
  } catch {
    status.textContent = 'Muster cannot be reached just now. Try again.';
    button.disabled = false;
  }
});
`;

export function setupRoutes(app: FastifyInstance): void {
  const hidden = { schema: { hide: true } } as const;
  app.get('/setup', hidden, (_, reply) =>
    reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(PAGE),
  );
  app.get('/setup.js', hidden, (_, reply) => reply.type('text/javascript; charset=utf-8').send(SCRIPT));
}
