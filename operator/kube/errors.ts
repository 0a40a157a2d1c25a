// Every failure of a call to the API server, in one shape. Bodies and headers are not kept: they may hold secrets.

/** The API server's answer, or `status: 0` when there was none (`reason` is then `NetworkError` or `Timeout`). */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly status: number;
  /** `metav1.Status.reason`, such as `AlreadyExists`, `Invalid`, `Expired`. */
  readonly reason: string;
  readonly retryAfterMs?: number;
  /** `metav1.Status.details`. */
  readonly details?: unknown;

  constructor(fields: {
    status: number;
    reason: string;
    message: string;
    retryAfterMs?: number | undefined;
    details?: unknown;
    cause?: unknown;
  }) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.status = fields.status;
    this.reason = fields.reason;
    if (fields.retryAfterMs !== undefined) this.retryAfterMs = fields.retryAfterMs;
    if (fields.details !== undefined) this.details = fields.details;
  }
}

export const isNotFound = (error: unknown): error is KubeError => error instanceof KubeError && error.status === 404;
export const isConflict = (error: unknown): error is KubeError =>
  error instanceof KubeError && error.status === 409 && error.reason !== 'AlreadyExists';
export const isAlreadyExists = (error: unknown): error is KubeError =>
  error instanceof KubeError && error.status === 409 && error.reason === 'AlreadyExists';
export const isForbidden = (error: unknown): error is KubeError => error instanceof KubeError && error.status === 403;

/** Nothing can be created in a namespace that is being deleted; the deletion of what is in it follows by watch. */
export function isNamespaceTerminating(error: unknown): error is KubeError {
  if (!isForbidden(error)) return false;
  const causes = (error.details as { causes?: unknown } | undefined)?.causes;
  return Array.isArray(causes) && causes.some((cause: { reason?: unknown } | null) => cause?.reason === 'NamespaceTerminating');
}

/** What people may meet, with cause and cure (docs/reference/errors.md is made from this). */
export const ERRORS = {
  'HR-KUBE-001': {
    title: 'No way to reach an API server is configured',
    cause: 'There is no --kubeconfig, no KUBECONFIG, and the process does not run in a pod with a ServiceAccount token.',
    cure: 'Pass --kubeconfig FILE, or run in a pod with automountServiceAccountToken on.',
  },
  'HR-KUBE-002': {
    title: 'The kubeconfig cannot be used',
    cause:
      'The file is missing or unreadable, its current-context names nothing, or it asks for something that is not supported (proxy-url).',
    cure: 'Check it with "kubectl --kubeconfig FILE config view"; name a context that exists; reach the server without a proxy.',
  },
  'HR-KUBE-003': {
    title: 'The API server refuses the credentials',
    cause: 'The token or client certificate has expired, or belongs to another cluster (401 Unauthorized).',
    cure: 'Renew the credential; in a pod, look whether the ServiceAccount still exists.',
  },
  'HR-KUBE-004': {
    title: 'The API server forbids a call',
    cause: 'The role of this ServiceAccount lacks a rule (403 Forbidden); the message names verb, resource and namespace.',
    cure: 'Install the chart of the same version as the image, or add the rule that the message names.',
  },
  'HR-KUBE-005': {
    title: 'The API server does not know a kind',
    cause: 'The CRDs are not installed, or in another version (404 for the whole list).',
    cure: 'Apply crds/ of the same version as the image.',
  },
} as const;

export type KubeErrorCode = keyof typeof ERRORS;

/** The entry of the table that explains this error to a person, if there is one. A 404 is explained only for lists: a single object may be missing. */
export function codeOf(error: unknown, listing = false): KubeErrorCode | undefined {
  if (!(error instanceof KubeError)) return undefined;
  if (error.status === 401) return 'HR-KUBE-003';
  if (error.status === 403) return 'HR-KUBE-004';
  return error.status === 404 && listing ? 'HR-KUBE-005' : undefined;
}
