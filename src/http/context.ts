import type { Queues } from '../queue/queues.ts';
import type { Finding } from '../run/views/messagesView.ts';
import type { OidcSettings } from '../settings/oidc.ts';
import type { Services } from '../store/services.ts';

/** What a look at all that Muster needs has found; `remedy` where something is not well. */
export interface Examination {
  readonly ok: boolean;
  readonly findings: readonly Finding[];
}

/** What the HTTP side needs of the environment. */
export interface HttpContext extends Services {
  /** The producers' side of the queue; answers do without it where Redis cannot be reached. */
  readonly queues: Queues;
  /** Directory that relative paths of feeds' sources start from. */
  readonly base: string;
  /** Directory in which uploads lie until their run has read them; all workers see it under the same path. */
  readonly uploads: string;
  readonly version: string;
  /** Looks at all that Muster needs, as `muster doctor` does. */
  examine(): Promise<Examination>;
  /** The company's log-in service, where there is one. */
  readonly oidc?: OidcSettings;
  /** Addresses and networks of proxies whose `x-forwarded-*` are believed; none where undefined. */
  readonly trustProxy?: string;
}
