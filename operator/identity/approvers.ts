// Who may approve certificate requests, from the RBAC objects that cert-manager's webhook has the API server evaluate. Pure.
// The webhook asks for verb `approve` on `signers` in `cert-manager.io`, cluster scope, by two names (cert-manager v1.21
// internal/webhook/admission/certificaterequest/approval): Roles and RoleBindings of a namespace therefore never count.

export type RbacRule = { verbs?: string[]; apiGroups?: string[]; resources?: string[]; resourceNames?: string[] };
export type RbacSubject = { kind: string; name: string; namespace?: string };
/** `names`: signer names that the role lets approve; undefined = every signer. */
export type ApprovingRole = { name: string; names: string[] | undefined };
export type RoleBinding = { role: string; subjects: RbacSubject[] };

/** The identities, in RBAC's own spelling (`system:serviceaccount:ns:name`, `group:name`, a user name), that may approve for one of the signer names and are not accepted. Sorted. */
export function openApprovers(
  roles: Iterable<ApprovingRole>,
  bindings: Iterable<RoleBinding>,
  signers: string[],
  accepted: ReadonlySet<string>,
): string[] {
  const approving = new Set<string>();
  for (const role of roles) if (role.names === undefined || role.names.some((name) => signers.includes(name))) approving.add(role.name);
  const found = new Set<string>();
  for (const binding of bindings) {
    if (!approving.has(binding.role)) continue;
    for (const subject of binding.subjects) found.add(subjectName(subject));
  }
  return [...found].filter((name) => !accepted.has(name)).sort();
}

/** The names by which the webhook asks about an issuer, `<kind>/<namespace>/<name>`. */
export function signerNames(issuer: string): string[] {
  const [kind, namespace, name] = issuer.split('/');
  const resource = kind === 'ClusterIssuer' ? 'clusterissuers.cert-manager.io' : 'issuers.cert-manager.io';
  return [`${resource}/*`, kind === 'ClusterIssuer' ? `${resource}/${name}` : `${resource}/${namespace}.${name}`];
}

/** What of a ClusterRole concerns approvals; undefined = nothing. Matching as in kubernetes pkg/apis/rbac/v1/evaluation_helpers.go. */
export function approvingRole(name: string, rules: RbacRule[] | undefined): ApprovingRole | undefined {
  const matching = (rules ?? []).filter(
    (rule) => has(rule.verbs, 'approve') && has(rule.apiGroups, 'cert-manager.io') && has(rule.resources, 'signers'),
  );
  if (matching.length === 0) return undefined;
  const every = matching.some((rule) => (rule.resourceNames ?? []).length === 0);
  return { name, names: every ? undefined : matching.flatMap((rule) => rule.resourceNames ?? []) };
}

function has(list: string[] | undefined, wanted: string): boolean {
  return list !== undefined && (list.includes(wanted) || list.includes('*'));
}

function subjectName(subject: RbacSubject): string {
  if (subject.kind === 'ServiceAccount') return `system:serviceaccount:${subject.namespace ?? ''}:${subject.name}`;
  return subject.kind === 'Group' ? `group:${subject.name}` : subject.name;
}
