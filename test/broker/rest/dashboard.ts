/** Log-in of the dashboard's user, API keys, authenticators. */

import { isObject } from './authz-settings.ts';
import { bad, type Handler, NO_CONTENT, ok, type Route } from './http.ts';

const API = '/api/v5';

const login: Handler = ({ body }, { keys, version }) => {
  const { username, password } = isObject(body) ? body : {};
  const token = keys.login(String(username), String(password));
  return token === undefined ? bad('BAD_USERNAME_OR_PWD', 'Auth failed', 401) : ok({ license: { edition: 'ce' }, token, version });
};

const list: Handler = (_request, { keys }) =>
  ok(
    [...keys.keys.values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ key, name, createdAt }) => ({
        api_key: key,
        created_at: new Date(createdAt).toISOString().replace(/\.\d+Z$/, '+00:00'),
        desc: 'Bootstrapped From File',
        enable: true,
        expired: false,
        expired_at: 'infinity',
        name,
      })),
  );

const deleteOne: Handler = ({ params }, { keys }) =>
  keys.deleteByName(params.name ?? '') ? NO_CONTENT : bad('NOT_FOUND', 'App Not Found', 404);

export const DASHBOARD_ROUTES: Route[] = [
  { method: 'POST', path: `${API}/login`, handler: login, auth: false },
  { method: 'POST', path: `${API}/logout`, handler: () => NO_CONTENT },
  { method: 'GET', path: `${API}/users`, handler: () => ok([{ username: 'admin', description: 'administrator', role: 'administrator' }]) },
  { method: 'GET', path: `${API}/api_key`, handler: list },
  { method: 'DELETE', path: `${API}/api_key/:name`, handler: deleteOne },
  // No authenticator: every holder of a certificate that the listener accepts is let in.
  { method: 'GET', path: `${API}/authentication`, handler: () => ok([]) },
];
