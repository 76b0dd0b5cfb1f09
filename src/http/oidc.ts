import * as oidc from 'openid-client';
import type { Logger } from 'pino';
import { z } from 'zod';
import { ROLES, type Role } from '../domain/role.ts';
import type { OidcSettings } from '../settings/oidc.ts';
import type { Identified } from '../store/identities.ts';
import { HttpProblem } from './problems.ts';

/** What a browser keeps between being sent to the provider and coming back. It proves nothing to us but that it is that browser. */
export const Attempt = z.strictObject({
  state: z.string().max(100),
  nonce: z.string().max(100),
  verifier: z.string().max(200),
  to: z.string().max(500),
});
export type Attempt = z.output<typeof Attempt>;

/** What the provider sends the browser back with. */
const text = z.string().max(8000);
export const Answer = z
  .object({
    state: text.optional(),
    code: text.optional(),
    iss: text.optional(),
    error: text.optional(),
    error_description: text.optional(),
  })
  .catchall(text);
export type Answer = z.output<typeof Answer>;

/** How long the provider may take to answer, s. */
const PATIENCE = 10;
/** How long what it says of itself is used again, ms. */
const FRESH = 3_600_000;

/**
 * Log-in through the company's provider: authorization code with PKCE, state and nonce; the ID token's signature is
 * checked. The provider is asked about itself when somebody logs in, so Muster starts without it.
 */
export class OidcLogIn {
  readonly #settings: OidcSettings;
  readonly #log: Pick<Logger, 'warn'>;
  #found: { readonly config: oidc.Configuration; readonly until: number } | undefined;

  constructor(settings: OidcSettings, log: Pick<Logger, 'warn'>) {
    this.#settings = settings;
    this.#log = log;
  }

  /** Where the browser is to be sent, and what it has to come back with. */
  async begin(to: string): Promise<{ url: URL; attempt: Attempt }> {
    const config = await this.#provider();
    const attempt = {
      state: oidc.randomState(),
      nonce: oidc.randomNonce(),
      verifier: oidc.randomPKCECodeVerifier(),
      to,
    };
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: this.#settings.redirectUri,
      scope: this.#settings.scope,
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(attempt.verifier),
      code_challenge_method: 'S256',
    });
    return { url, attempt };
  }

  /** @throws {HttpProblem} that says what the person or the operator can do, and nothing of who is known. */
  async finish(answer: Answer, { state, nonce, verifier }: Attempt): Promise<Identified> {
    if (answer.state !== state) throw expired();
    const config = await this.#provider();
    const back = new URL(this.#settings.redirectUri);
    for (const [name, value = ''] of Object.entries(answer)) back.searchParams.set(name, value);
    const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
    return this.#asking(async () => {
      const tokens = await oidc.authorizationCodeGrant(config, back, checks);
      const told = tokens.claims() as oidc.IDToken;
      return this.#identified(told.iss, await this.#claims(config, told, tokens.access_token));
    });
  }

  async #provider(): Promise<oidc.Configuration> {
    if (this.#found && performance.now() < this.#found.until) return this.#found.config;
    const { issuer, clientId, clientSecret } = this.#settings;
    const config = await this.#asking(() =>
      oidc.discovery(
        issuer,
        clientId,
        undefined,
        clientSecret === undefined ? oidc.None() : oidc.ClientSecretPost(clientSecret),
        {
          timeout: PATIENCE,
          execute: [
            oidc.enableNonRepudiationChecks,
            ...(issuer.protocol === 'http:' ? [oidc.allowInsecureRequests] : []),
          ],
        },
      ),
    );
    this.#found = { config, until: performance.now() + FRESH };
    return config;
  }

  /** Providers may keep what they know of a person out of the ID token. */
  async #claims(config: oidc.Configuration, told: oidc.IDToken, accessToken: string): Promise<Claims> {
    const wanted = ['email', ...(this.#settings.roles ? [this.#settings.roles.claim] : [])];
    const isWhole = wanted.every((name) => told[name] !== undefined);
    if ((isWhole && isVerified(told)) || !config.serverMetadata().userinfo_endpoint) return told;
    const more: Claims = await oidc.fetchUserInfo(config, accessToken, told.sub).catch((error: unknown) => {
      // Who is known by the subject needs no verified address.
      if (isWhole) return told;
      throw error;
    });
    // An address and its verification are of one and the same answer.
    const { email, email_verified, xms_edov } = isVerified(told) || more.email === undefined ? told : more;
    return { ...more, ...told, email, email_verified, xms_edov };
  }

  #identified(issuer: string, claims: Claims): Identified {
    const { roles } = this.#settings;
    const { email, name } = claims;
    return {
      issuer,
      subject: String(claims.sub),
      ...(typeof email === 'string' && isVerified(claims) && { email }),
      ...(typeof name === 'string' && name.trim() !== '' && { name: name.trim().slice(0, 200) }),
      role: roles ? highest(claims[roles.claim], roles.of) : null,
    };
  }

  /** What goes wrong between us and the provider, as what it means for the person who waits. */
  async #asking<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { code, reason, problem } = judged(error);
      this.#log.warn({ code, reason }, 'log-in by the provider failed');
      throw problem;
    }
  }
}

type Claims = Readonly<Record<string, unknown>>;

/** `xms_edov`: how Entra says that the domain of the address is proved to be the organisation's. */
function isVerified({ email_verified, xms_edov }: Claims): boolean {
  return email_verified === true || [true, 1, '1', 'true'].includes(xms_edov as never);
}

function highest(claim: unknown, roles: ReadonlyMap<string, Role>): Role | undefined {
  const values = Array.isArray(claim) ? claim : [claim];
  const given = new Set(values.map((value) => roles.get(String(value))));
  return ROLES.find((role) => given.has(role));
}

export function expired(): HttpProblem {
  return new HttpProblem(
    400,
    'oidc-expired',
    'This log-in was begun in another browser, too long ago, or was finished already. Begin it again.',
  );
}

/** The same for everybody who is not let in, known to Muster or not. */
export function refused(): HttpProblem {
  return new HttpProblem(
    403,
    'oidc-refused',
    'Muster has no access for this account. Ask an administrator to add you with the e-mail address that the log-in service has verified.',
  );
}

function judged(error: unknown): { code: string; reason?: string | undefined; problem: HttpProblem } {
  const { code = (error as Error).name } = error as { code?: string };
  if (error instanceof oidc.AuthorizationResponseError) return { code, reason: plain(error.error), problem: refused() };
  if (error instanceof oidc.ResponseBodyError) {
    const problem = error.error === 'invalid_grant' ? expired() : misconfigured();
    return { code, reason: plain(error.error), problem };
  }
  if (error instanceof oidc.ClientError && code !== 'OAUTH_TIMEOUT' && code !== 'OAUTH_RESPONSE_IS_NOT_CONFORM') {
    return { code, problem: misconfigured() };
  }
  // What fetch has against the connection or the certificate.
  const { code: network = code } = ((error as Error).cause ?? {}) as { code?: string };
  return { code: network, problem: unreachable() };
}

/** An error's name as the provider gave it, which may be anything. */
function plain(text: string): string | undefined {
  return /^[a-z_]{1,60}$/.test(text) ? text : undefined;
}

function unreachable(): HttpProblem {
  return new HttpProblem(
    503,
    'oidc-unreachable',
    'The log-in service does not answer just now. Try again in a while, or log in with a password.',
    { headers: { 'retry-after': '30' } },
  );
}

function misconfigured(): HttpProblem {
  return new HttpProblem(
    502,
    'oidc-misconfigured',
    'The log-in service and Muster do not understand each other. Nobody is logged in. The log says why; look at OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET and the redirect URI.',
  );
}
