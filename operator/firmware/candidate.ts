// A Device as a rollout sees it. Pure.
import type { Device } from '../api/device.ts';
import type { Running } from './fit.ts';
import type { Candidate } from './waves.ts';

/** From the API server or a manifest: what its status says of firmware counts as far as it can be read, and what cannot is not known. */
export function candidateOf({ metadata, spec, status }: Pick<Device, 'metadata' | 'spec' | 'status'>): Candidate {
  const { name = '', namespace = 'default', uid, labels = {}, creationTimestamp, deletionTimestamp } = metadata;
  const createdAt = Date.parse(creationTimestamp ?? '');
  return {
    ...{ uid: uid ?? `${namespace}/${name}`, namespace, name, labels },
    ...{ model: spec.hardware?.model, revision: spec.hardware?.revision },
    ...{ hold: spec.firmware?.hold === true, pin: spec.firmware?.pin ?? '' },
    hasBootKey: (spec.firmware?.bootKey ?? '') !== '',
    isRevoked:
      spec.lifecycle === 'Revoked' ||
      deletionTimestamp !== undefined ||
      listIn(status, 'conditions').some((one) => isObject(one) && one.type === 'Revoked' && one.status === 'True'),
    running: runningIn(status),
    ...(Number.isNaN(createdAt) ? {} : { createdAt }),
  };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function listIn(status: unknown, field: string): unknown[] {
  const list = isObject(status) ? status[field] : undefined;
  return Array.isArray(list) ? list : [];
}

const VERSION = /^\d+\.\d+\.\d+([-+].*)?$/;

function runningIn(status: unknown): Candidate['running'] {
  const firmware = isObject(status) && isObject(status.firmware) ? status.firmware : {};
  return Object.fromEntries(
    Object.entries(firmware).flatMap(([component, record]): [string, Running][] => {
      const { version, digest, securityCounter, releaseUid, step } = isObject(record) ? record : {};
      if (typeof version !== 'string' || !VERSION.test(version) || typeof digest !== 'string') return [];
      return [
        [
          component,
          {
            ...{ version, digest },
            ...(typeof securityCounter === 'number' ? { securityCounter } : {}),
            ...(typeof releaseUid === 'string' ? { releaseUid } : {}),
            ...(typeof step === 'number' ? { step } : {}),
          },
        ],
      ];
    }),
  );
}
