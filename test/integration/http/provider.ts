import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';
import { afterAll, beforeAll } from 'vitest';

/** Whom the provider knows, and what it says of them. */
export interface Account {
  readonly email?: string;
  readonly email_verified?: boolean;
  readonly name?: string;
  readonly groups?: readonly string[];
  readonly xms_edov?: boolean;
  /** What the ID token says of them itself; the rest is told to who asks for it (userinfo). */
  readonly idToken?: Omit<Account, 'idToken' | 'silent'>;
  /** Whoever asks is told nothing. */
  readonly silent?: true;
}

export const CLIENT = { id: 'muster', secret: 'a secret of the client' };
/** Where Muster would be reached; tests ask it without a socket. */
export const MUSTER = 'http://muster.test:3000';

/** A real OpenID provider on loopback, whose person at the keyboard logs in as `account` or refuses. */
export class TestProvider {
  readonly accounts = new Map<string, Account>();
  account = 'nobody';
  refuses = false;
  issuer = '';
  #server: Server = createServer();
  #port = 0;

  async open(): Promise<void> {
    this.#server = createServer();
    await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    this.issuer = `http://127.0.0.1:${this.#port}`;
    const provider = this.#provider();
    const answer = provider.callback();
    this.#server.on('request', (request, response) => {
      if (request.url?.startsWith('/interaction/')) {
        const result = this.refuses
          ? { error: 'access_denied', error_description: 'The person said no.' }
          : { login: { accountId: this.account } };
        provider.interactionFinished(request, response, result).catch(() => response.destroy());
      } else void answer(request, response);
    });
  }

  /** Away until it is opened again, under the same address. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #provider(): Provider {
    const { accounts, issuer } = this;
    const provider = new Provider(issuer, {
      clients: [
        {
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
          redirect_uris: [`${MUSTER}/api/v1/session/oidc/callback`],
          token_endpoint_auth_method: 'client_secret_post',
        },
      ],
      claims: { openid: ['sub'], email: ['email', 'email_verified', 'xms_edov'], profile: ['name', 'groups'] },
      pkce: { required: () => true },
      features: { devInteractions: { enabled: false } },
      interactions: { url: (_, { uid }) => `/interaction/${uid}` },
      // Else the ID token would leave out what there is to be asked for.
      conformIdTokenClaims: false,
      findAccount: (_, sub) => ({
        accountId: sub,
        claims(use) {
          const { idToken, silent, ...told } = accounts.get(sub) ?? {};
          if (use === 'id_token') return { sub, ...idToken };
          if (silent) throw new Error('silent');
          return { sub, ...told };
        },
      }),
      async loadExistingGrant({ oidc }) {
        const grant = new provider.Grant({
          clientId: oidc.client?.clientId as string,
          accountId: oidc.session?.accountId as string,
        });
        grant.addOIDCScope('openid email profile');
        await grant.save();
        return grant;
      },
    });
    return provider;
  }
}

export function useProvider(): TestProvider {
  const provider = new TestProvider();
  beforeAll(() => provider.open());
  afterAll(() => provider.close());
  return provider;
}
