// The Job that carries one wave out at one site: the manifest of it. Pure.
import { createHash } from 'node:crypto';
import type { RolloutSettings } from './settings.ts';
import { WAVE_ANNOTATION, WAVE_UID_LABEL, type WaveView } from './view.ts';

/** A day for people to read the logs. */
const TTL_SECONDS = 86_400;
/** As sysexits.h and docs/guides/roll-out-firmware.md: no further try can help. */
const FATAL_EXITS = [65, 66];
const CA_DIR = '/etc/hedgerow/broker-ca';

/** Another for each change of the release and for each action: a driver reads the release when it starts. */
export function jobName({ uid, spec }: WaveView): string {
  const hash = createHash('sha256').update(`${uid}/${spec.release.generation}/${spec.action}`).digest('hex').slice(0, 12);
  return `hedgerow-rollout-${hash}`;
}

export function jobFor(wave: WaveView, settings: RolloutSettings, namespace: string): object {
  const labels = { ...POD_LABELS, [WAVE_UID_LABEL]: wave.uid };
  const { shards, suspend } = wave.spec;
  return {
    metadata: { name: jobName(wave), namespace, labels, annotations: { [WAVE_ANNOTATION]: wave.key } },
    spec: {
      ...(shards > 1 ? { completionMode: 'Indexed', completions: shards, parallelism: shards } : {}),
      ...{ backoffLimit: 6, suspend, podReplacementPolicy: 'Failed', ttlSecondsAfterFinished: TTL_SECONDS },
      podFailurePolicy: {
        rules: [
          { action: 'FailJob', onExitCodes: { containerName: CONTAINER, operator: 'In', values: FATAL_EXITS } },
          { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
        ],
      },
      template: { metadata: { labels }, spec: podOf(wave, settings, namespace) },
    },
  };
}

const CONTAINER = 'rollout';
const POD_LABELS = { 'app.kubernetes.io/name': 'hedgerow-rollout', 'app.kubernetes.io/managed-by': 'hedgerow' };

/** As restricted as Pod Security has it; the token is the only thing it is given. */
function podOf(wave: WaveView, settings: RolloutSettings, namespace: string): object {
  return {
    serviceAccountName: settings.account,
    automountServiceAccountToken: true,
    enableServiceLinks: false,
    restartPolicy: 'Never',
    securityContext: {
      ...{ runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    terminationGracePeriodSeconds: 30,
    ...(settings.pullSecrets.length === 0 ? {} : { imagePullSecrets: settings.pullSecrets.map((name) => ({ name })) }),
    containers: [
      {
        ...{ name: CONTAINER, image: settings.image, command: ['operator'], args: ['rollout', ...argsOf(wave, settings, namespace)] },
        ...(settings.metricsPort === 0 ? {} : { ports: [{ name: 'metrics', containerPort: settings.metricsPort }] }),
        securityContext: {
          ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true },
          capabilities: { drop: ['ALL'] },
        },
        resources: { requests: { cpu: '50m', memory: '96Mi' }, limits: { memory: '512Mi' } },
        ...(settings.brokerCa === undefined ? {} : { volumeMounts: [{ name: 'broker-ca', mountPath: CA_DIR, readOnly: true }] }),
      },
    ],
    ...(settings.brokerCa === undefined ? {} : { volumes: [{ name: 'broker-ca', ...sourceOf(settings.brokerCa) }] }),
  };
}

function argsOf(wave: WaveView, settings: RolloutSettings, namespace: string): string[] {
  return [
    `--namespace=${namespace}`,
    `--wave=${wave.key}`,
    `--broker-mqtt=${settings.brokerMqtt}`,
    ...(settings.brokerCa === undefined ? [] : [`--broker-mqtt-ca-file=${CA_DIR}/ca.crt`]),
    `--mqtt-issuer=${settings.mqttIssuer}`,
    `--directive-issuer=${settings.directiveIssuer}`,
    `--artifacts-url=${settings.artifactsUrl}`,
    ...settings.roots.map((root) => `--firmware-root=${root}`),
    `--metrics-port=${settings.metricsPort}`,
    `--log-level=${settings.logLevel}`,
  ];
}

function sourceOf({ kind, name, key }: NonNullable<RolloutSettings['brokerCa']>): object {
  const items = [{ key, path: 'ca.crt' }];
  return kind === 'Secret' ? { secret: { secretName: name, defaultMode: 0o440, items } } : { configMap: { name, items } };
}
