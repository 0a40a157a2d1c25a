// The flags by which the operator is told of the drivers of rollouts. Pure: text in, options or a thrown complaint out.

/** `namespace`: undefined for a ClusterIssuer, and for an Issuer of the operator's own namespace. */
export type RolloutIssuer = { kind: 'Issuer' | 'ClusterIssuer'; name: string; namespace: string | undefined };

/** `account`: a ServiceAccount of the operator's namespace. Drivers ask there, so an Issuer has to be one of that namespace. */
export type RolloutFlags = { account: string; mqttIssuer: RolloutIssuer; directiveIssuer: RolloutIssuer };

export function rollout(values: Record<string, unknown>): RolloutFlags | undefined {
  const given = (flag: string): string | undefined => (typeof values[flag] === 'string' ? values[flag] : undefined);
  const account = given('rollout-account');
  if (account === undefined) {
    const without = ['mqtt-issuer', 'directive-issuer'].find((flag) => given(flag) !== undefined);
    if (without !== undefined) throw new Error(`--${without} means nothing without --rollout-account`);
    return undefined;
  }
  if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(account))
    throw new Error(`--rollout-account ${account} is not the name of a ServiceAccount`);
  const mqttIssuer = issuer('mqtt-issuer', given('mqtt-issuer'));
  const directiveIssuer = issuer('directive-issuer', given('directive-issuer'));
  // A key of the one CA would be one of the other: any device could tell other devices what to do.
  if (JSON.stringify(mqttIssuer) === JSON.stringify(directiveIssuer))
    throw new Error('--directive-issuer has to be another one than --mqtt-issuer: a CA for nothing else');
  return { account, mqttIssuer, directiveIssuer };
}

function issuer(flag: string, text = ''): RolloutIssuer {
  const [kind, ...words] = text.split('/');
  const name = words.at(-1) ?? '';
  if (kind === 'ClusterIssuer' && words.length === 1 && name !== '') return { kind, name, namespace: undefined };
  if (kind === 'Issuer' && (words.length === 1 || words.length === 2) && words.every((word) => word !== ''))
    return { kind, name, namespace: words.length === 2 ? words[0] : undefined };
  throw new Error(`--rollout-account needs --${flag}: ClusterIssuer/NAME, or Issuer/NAME in the namespace of the operator`);
}
