/** File name of the recording to its script; a file without one is played as it stands. */

import { clients, publish, subscriptionsMatch } from './clients.ts';
import { configs, configsListeners } from './configs.ts';
import { events } from './events.ts';
import { hedgerowProfile } from './profile.ts';
import { apiAuth, apiKeyBootstrap, authzRules, authzSettings, authzSources, banned, configsAuthorization, flapping } from './rest.ts';
import type { Script } from './script.ts';
import { security } from './security.ts';

export const SCRIPTS: Record<string, Script> = {
  'api-auth': apiAuth,
  'api-key-bootstrap': apiKeyBootstrap,
  'authz-http': authzSources,
  'authz-rules': authzRules,
  'authz-settings': authzSettings,
  'authz-sources': authzSources,
  banned,
  clients,
  configs,
  'configs-authorization': configsAuthorization,
  'configs-listeners': configsListeners,
  events,
  flapping,
  'hedgerow-profile': hedgerowProfile,
  publish,
  security,
  'subscriptions-match': subscriptionsMatch,
};
