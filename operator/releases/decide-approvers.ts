// Who beside the operator may approve what drivers ask for. Whoever may, and can make a CertificateRequest, has a directive key of any site: then nothing is offered. Pure.

/** `who`: as RBAC spells them; nobody else may approve for the issuer where it is empty. */
export type IssuerApprovers = { issuer: string; who: readonly string[] };

/** As many as there is room for beside the cure. */
const MAX_NAMED = 3;

/** In words; undefined where nobody else may. */
export function openApproversText(issuers: readonly IssuerApprovers[]): string | undefined {
  const open = issuers.filter(({ who }) => who.length > 0);
  if (open.length === 0) return undefined;
  return open.map(({ issuer, who }) => `${namesOf(who)} may approve requests to ${issuer}`).join('; ');
}

function namesOf(who: readonly string[]): string {
  const rest = who.length - MAX_NAMED;
  return `${who.slice(0, MAX_NAMED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
