// Under which name the API server, and so cert-manager's webhook, knows this process.
import type { KubeClient } from '../kube/client.ts';

/** Asks by SelfSubjectReview, which every authenticated identity may (role system:basic-user). */
export async function whoAmI(client: Pick<KubeClient, 'raw'>, signal: AbortSignal): Promise<string> {
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const answer = (await client.raw('POST', path, body, signal)) as { status?: { userInfo?: { username?: string } } };
  const name = answer.status?.userInfo?.username;
  if (name === undefined || name === '') throw new Error('the API server did not say who this process is');
  return name;
}
