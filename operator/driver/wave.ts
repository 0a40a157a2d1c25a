// The FirmwareWave: what is decided, and the driver's own entry in its status.
import type { FirmwareWaveSpec } from '../api/firmware-wave.ts';
import { FIRMWARE_WAVES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock, KubeMetrics, Log, Random } from '../kube/ports.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import { equalJson } from '../runtime/merge-patch.ts';
import type { ShardReport, WavePort } from './ports.ts';
import { isOver, type WaveObject } from './preparation.ts';

export type WaveDeps = {
  client: Pick<KubeClient, 'apply' | 'listPage' | 'watch'>;
  wave: WaveObject;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: KubeMetrics;
};

type View = { key: string; uid: string; resourceVersion: string; spec: FirmwareWaveSpec; isOver: boolean };

/** Only the pace may change while a driver is at work: all else is another decision. */
const frozen = ({ perMinute: _, maxInFlight: __, suspend: ___, grantExpires: ____, ...rest }: FirmwareWaveSpec): object => rest;

export function createWave({ client, wave, ...shared }: WaveDeps): WavePort & { reflector: Reflector<View> } {
  const { namespace = '', name = '', uid = '' } = wave.metadata;
  const reflector = createReflector<WaveObject, View>({
    ...{ client, type: FIRMWARE_WAVES, namespace, fieldSelector: `metadata.name=${name}`, ...shared },
    project: (object) => ({
      key: `${namespace}/${object.metadata.name ?? ''}`,
      uid: object.metadata.uid ?? '',
      resourceVersion: object.metadata.resourceVersion ?? '',
      ...{ spec: object.spec, isOver: isOver(object) },
    }),
  });
  return {
    reflector,
    onChange(listener) {
      reflector.subscribe(({ before, after }) => {
        if (before?.uid === uid && after === undefined) return listener({ how: 'Over' });
        if (after === undefined) return;
        if (after.uid !== uid || after.isOver) return listener({ how: 'Over' });
        if (!equalJson(frozen(after.spec), frozen(wave.spec))) return listener({ how: 'Changed' });
        listener({ how: 'Paced', spec: after.spec });
      });
    },
    async report(shard: ShardReport, signal) {
      const object = { metadata: { namespace, name, uid }, status: { shards: [shard] } };
      await client.apply(
        FIRMWARE_WAVES,
        object,
        { fieldManager: `hedgerow-rollout-${shard.index}`, subresource: 'status', force: true },
        signal,
      );
    },
  };
}
