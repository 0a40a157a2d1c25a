// What `--keep` leaves behind, and the commands to look at it. Pure.

export type Kept = {
  kubeconfig: string;
  /** A folder with a kubectl that needs no settings, where the demo brought one along. */
  binDir: string | undefined;
  namespace: string;
  /** The site whose cameras get firmware. */
  cameras: string;
  logs: readonly string[];
  /** `--name NAME ` where it is not the usual one. */
  nameFlag: string;
  broker: { port: number; caFile: string };
};

export function exploreLines(kept: Kept): string[] {
  return [
    'Everything is left running and the devices go on talking. In another terminal, in this folder:',
    '',
    `  export KUBECONFIG=${kept.kubeconfig}`,
    ...(kept.binDir === undefined ? [] : [`  export PATH=${kept.binDir}:$PATH    # where there is no kubectl`]),
    '  kubectl get devices -A',
    `  kubectl get segmentpolicies,interventions,networkpolicies -n ${kept.namespace}`,
    `  kubectl describe device thermo-17 -n ${kept.namespace}`,
    '  kubectl explain device.spec.identity',
    `  kubectl get firmwarereleases,firmwarewaves -n ${kept.cameras} && kubectl get jobs -n hedgerow-system`,
    `  kubectl apply -f crds/samples/smart-office && kubectl wait --for=condition=Ready device --all -n ${kept.namespace}`,
    '',
    `  A device of your own: docs/guides/try-it.md. The broker stand-in is at localhost:${kept.broker.port} (MQTT over TLS 1.3), its CA in`,
    `    ${kept.broker.caFile}`,
    '  Logs:',
    ...kept.logs.map((file) => `    ${file}`),
    '',
    `To end it: Ctrl-C here, or  npm run demo -- ${kept.nameFlag}--stop`,
  ];
}
