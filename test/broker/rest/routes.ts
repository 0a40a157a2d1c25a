/** Every path that the stand-in answers on. */

import { AUTHZ_RULE_ROUTES } from './authz-rules.ts';
import { AUTHZ_SETTINGS_ROUTES } from './authz-settings.ts';
import { AUTHZ_SOURCE_ROUTES } from './authz-sources.ts';
import { BANNED_ROUTES } from './banned.ts';
import { CLIENT_ROUTES } from './clients.ts';
import { CONFIG_ROUTES } from './configs.ts';
import { DASHBOARD_ROUTES } from './dashboard.ts';
import type { Route } from './http.ts';
import { INTEGRATION_ROUTES } from './integration.ts';
import { LISTENER_ROUTES } from './listeners.ts';
import { PROMETHEUS_ROUTES } from './prometheus.ts';
import { PUBLISH_ROUTES } from './publish.ts';
import { STATUS_ROUTES } from './status.ts';
import { SUBSCRIPTION_ROUTES } from './subscriptions.ts';

export const ROUTES: readonly Route[] = [
  ...STATUS_ROUTES,
  ...DASHBOARD_ROUTES,
  ...AUTHZ_SETTINGS_ROUTES,
  ...AUTHZ_SOURCE_ROUTES,
  ...AUTHZ_RULE_ROUTES,
  ...BANNED_ROUTES,
  ...CLIENT_ROUTES,
  ...SUBSCRIPTION_ROUTES,
  ...PUBLISH_ROUTES,
  ...LISTENER_ROUTES,
  ...CONFIG_ROUTES,
  ...INTEGRATION_ROUTES,
  ...PROMETHEUS_ROUTES,
];
