// With what rollouts are run, as the operator's flags say it.

export type RolloutSettings = {
  /** SHA-256 of the first roots that are trusted, hex. */
  roots: readonly string[];
  image: string;
  pullSecrets: readonly string[];
  /** ServiceAccount of the pods. */
  account: string;
  /** HOST:PORT, and where in the operator's namespace its CA lies; undefined: the CAs that Node.js brings along. */
  brokerMqtt: string;
  brokerCa: { kind: 'Secret' | 'ConfigMap'; name: string; key: string } | undefined;
  /** ClusterIssuer/NAME or Issuer/NAMESPACE/NAME. */
  mqttIssuer: string;
  directiveIssuer: string;
  artifactsUrl: string;
  /** 0: any that is free. */
  metricsPort: number;
  logLevel: string;
};
