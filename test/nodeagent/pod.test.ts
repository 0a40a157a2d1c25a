import { describe, expect, it } from 'vitest';
import { expand, fieldOf, fits, type Pod, unsupported, wordsOf } from './pod.ts';

const images = { 'r.test/a:1': { a: ['node', 'a.ts'] } } as const;
const container = { name: 'a', image: 'r.test/a:1' };
const pod = (spec: object = {}, metadata: object = {}): Pod => ({
  metadata: { name: 'p', namespace: 'n', uid: 'u', ...metadata },
  spec: { restartPolicy: 'Never', containers: [container], ...spec },
});

describe('what the node agent takes', () => {
  it('is a pod of one container with an image that is there and volumes that it can make', () => {
    const volumes = [
      { name: 'tmp', emptyDir: {} },
      { name: 'token', projected: { sources: [] } },
    ];
    expect(unsupported(pod({ volumes }), images)).toBeUndefined();
  });

  it.each([
    ['a second container', { containers: [container, container] }, 'it has more than one container'],
    ['an init container', { initContainers: [container] }, 'it has init containers'],
    ['restarts', { restartPolicy: 'OnFailure' }, 'its restartPolicy is OnFailure, and nothing is restarted here'],
    ['another image', { containers: [{ name: 'a', image: 'x' }] }, 'there is no image x on this node'],
    ['a program that is not in the image', { containers: [{ ...container, command: ['sh', '-c'] }] }, 'its image has no program sh here'],
    ['envFrom', { containers: [{ ...container, envFrom: [{}] }] }, 'it has envFrom'],
    ['lifecycle hooks', { containers: [{ ...container, lifecycle: {} }] }, 'it has lifecycle hooks'],
    [
      'a subPath',
      { containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: '/v', subPath: 'x' }] }] },
      'the mount of v has a subPath',
    ],
    ['a folder of the host', { volumes: [{ name: 'v', hostPath: { path: '/' } }] }, 'volume v is hostPath'],
  ])('is never a pod with %s: it would run as something else than it says', (_what, spec, why) => {
    expect(unsupported(pod(spec), images)).toBe(why);
  });

  it('is bound only without a gate, to the node that it asks for', () => {
    const labels = { 'kubernetes.io/os': 'linux' };
    expect(fits(pod({ nodeSelector: labels }), labels)).toBe(true);
    expect(fits(pod({ nodeSelector: { disk: 'fast' } }), labels)).toBe(false);
    expect(fits(pod({ schedulingGates: [{ name: 'g' }] }), labels)).toBe(false);
    expect(fits(pod({ nodeName: 'other' }), labels)).toBe(false);
    expect(fits(pod({}, { deletionTimestamp: '2026-01-01T00:00:00Z' }), labels)).toBe(false);
  });
});

describe('what is run', () => {
  it.each([
    [undefined, ['node', 'a.ts']],
    [['a'], ['node', 'a.ts']],
    [
      ['a', 'b'],
      ['node', 'a.ts', 'b'],
    ],
    [['b'], undefined],
  ])('of the command %j is %j', (command, words) => {
    expect(wordsOf({ ...container, ...(command === undefined ? {} : { command }) }, images)).toEqual(words);
  });
});

describe('what a pod is told', () => {
  it('$(NAME) is the variable, $$ one dollar, and a name that nobody gave stays', () => {
    expect(expand('$(A) $$(A) $(B) $A', { A: '1' })).toBe('1 $(A) $(B) $A');
  });

  it('a field, a label and an annotation of itself', () => {
    const own = pod({}, { labels: { 'batch.kubernetes.io/job-completion-index': '3' } });
    expect(fieldOf(own, 'node-a', "metadata.labels['batch.kubernetes.io/job-completion-index']")).toBe('3');
    expect(fieldOf(own, 'node-a', 'spec.nodeName')).toBe('node-a');
    expect(fieldOf(own, 'node-a', 'status.podIP')).toBeUndefined();
  });
});
