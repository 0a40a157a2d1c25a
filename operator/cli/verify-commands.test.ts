// can, diff, check, explain, what-if and graph over the checkouts of examples/gitops: what is printed, word by word, and the exit codes.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { can } from './can.ts';
import { check } from './check.ts';
import type { Command } from './command.ts';
import { explainTopic } from './explain-topic.ts';
import { graph } from './graph.ts';
import { diff } from './reach-diff.ts';
import { typed } from './testing/heard.ts';
import { whatIfCompromise, whatIfQuarantine } from './what-if.ts';

const EXAMPLE = resolve(import.meta.dirname, '../../examples/gitops');
const MAIN = join(EXAMPLE, 'main');
const PULL_REQUEST = join(EXAMPLE, 'pull-request');
const INVARIANTS = join(EXAMPLE, 'invariants.yaml');
const run = (command: Command, line: string, ...argv: string[]) =>
  typed(command, ...command.words, ...line.split(' ').filter((word) => word !== ''), ...argv);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-verify-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A file beside a copy of main; gives the directory. */
function mainWith(file: string, content: string): string {
  const copy = join(dir, 'copy');
  cpSync(MAIN, copy, { recursive: true });
  writeFileSync(join(copy, file), content);
  return copy;
}

function invariantsOf(content: string): string {
  const file = join(dir, 'invariants.yaml');
  writeFileSync(file, content);
  return file;
}

const DENY_ALL = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all-out, namespace: berlin}
spec: {podSelector: {matchLabels: {app: sensor}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.0/24}}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: sensor, namespace: berlin, labels: {app: sensor}}
spec: {}
`;

describe('kubectl hedgerow can', () => {
  it('says yes with the rules of both sides, by the network and by the broker', async () => {
    expect(await run(can, `thermo-1 gate-1 -n berlin --dir ${MAIN}`)).toEqual({
      code: 0,
      err: '',
      out: `yes: Device berlin/thermo-1 -> Device berlin/gate-1
network: yes, by SegmentPolicies
  1. SegmentPolicy berlin/sensors (sensors.yaml), spec.conduits[0]: to-gateway to berlin/gateways: TCP 8883
  2. SegmentPolicy berlin/gateways (gateways.yaml), spec.acceptFrom[0]: from berlin/sensors: TCP 8883
broker: yes, by SegmentPolicies
  1. SegmentPolicy berlin/sensors (sensors.yaml), spec.topics.publish[0].topic: publish dt/{segment}/{device}/#
  2. SegmentPolicy berlin/gateways (gateways.yaml), spec.topics.subscribe[0].topic: subscribe dt/sensors.berlin/#
  3. SegmentPolicy berlin/sensors (sensors.yaml), spec.acceptFrom[0].topics[0]: berlin/gateways may subscribe dt/sensors.berlin/#
note: no pods here, so what its own network lets through is not known: berlin/thermo-1, berlin/gate-1
`,
    });
  });

  it('says no with every grant that is missing', async () => {
    const { code, out } = await run(can, `segment/sensors segment/cameras --port tcp/554 -n berlin --dir ${MAIN}`);
    expect(out).toBe(`no: segment berlin/sensors -> segment berlin/cameras by TCP 554
network: no
  missing: spec.conduits of SegmentPolicy berlin/sensors does not lead to berlin/cameras with TCP 554
  missing: spec.acceptFrom of SegmentPolicy berlin/cameras does not name berlin/sensors with TCP 554
`);
    expect(code).toBe(1);
  });

  it('another namespace that asks for dt/# of ours gets nothing, and the owner whose grant is missing is named', async () => {
    const { code, out } = await run(can, `berlin/thermo-1 paris/collector --topic dt/sensors.berlin/# --dir ${MAIN}`);
    expect(out).toContain('missing: spec.acceptFrom of SegmentPolicy berlin/sensors does not let paris/analytics subscribe');
    expect(code).toBe(1);
  });

  it('of a range of addresses one that a conduit names is enough', async () => {
    expect((await run(can, `segment/gateways cidr:0.0.0.0/0 -n berlin --dir ${MAIN}`)).code).toBe(0);
    expect((await run(can, `segment/gateways cidr:198.51.100.1 -n berlin --dir ${MAIN}`)).code).toBe(1);
  });

  it('a NetworkPolicy beside the policies adds what it lets through', async () => {
    const copy = mainWith('widening.yaml', DENY_ALL);
    const { code, out } = await run(can, `pod/sensor cidr:198.51.100.7 --port TCP/443 -n berlin --dir ${copy}`);
    expect(out).toContain(
      'network: yes, by NetworkPolicies\n  1. NetworkPolicy berlin/all-out (widening.yaml), spec.egress[0]: berlin/sensor[Pod] => 198.51.100.7 : All Connections\n',
    );
    expect(code).toBe(0);
    expect((await run(can, `pod/sensor cidr:192.0.2.1 --port TCP/443 -n berlin --dir ${copy}`)).code).toBe(1);
  });

  it('names what it could not read and gives no answer to rely on', async () => {
    const copy = mainWith('template.yaml', 'kind: {{ .Values.kind }\n');
    const { code, err } = await run(can, `thermo-1 gate-1 -n berlin --dir ${copy}`);
    expect(err).toMatch(/HR-CLI-060: .*template\.yaml/);
    expect(code).toBe(2);
  });

  it('of a policy that stands in two files nobody can say which one is meant', async () => {
    const copy = mainWith(
      'zz-again.yaml',
      'apiVersion: hedgerow.dev/v1alpha1\nkind: SegmentPolicy\nmetadata: {name: cameras, namespace: berlin}\nspec: {trust: 2}\n',
    );
    const { code, err } = await run(can, `thermo-1 gate-1 -n berlin --dir ${copy}`);
    expect(err).toContain('zz-again.yaml: SegmentPolicy berlin/cameras stands in cameras.yaml too');
    expect(code).toBe(2);
  });

  it.each([
    ['a Device that is not there', 'thermo-1 gate-1', 2, /HR-CLI-064: no Device default\/thermo-1; there is berlin\/thermo-1/],
    ['one party', 'thermo-1', 2, /which A, and which B/],
    ['a port of no form', 'thermo-1 gate-1 --port 8883', 2, /--port 8883: write TCP\/8883/],
    ['a port above all ports', 'thermo-1 gate-1 --port TCP/70000', 2, /--port TCP\/70000/],
    ['a topic with a # in the middle', 'thermo-1 gate-1 --topic dt/#/x', 2, /is no topic/],
    ['port and topic', 'thermo-1 gate-1 --port TCP/1 --topic x', 2, /contradict/],
    ['no range', 'thermo-1 cidr:internet -n berlin', 2, /no range/],
    ['a directory and a kubeconfig', 'thermo-1 gate-1 --kubeconfig x', 2, /leave out --kubeconfig/],
  ])('refuses %s', async (_name, line, code, expected) => {
    const ran = await run(can, `${line} --dir ${MAIN}`);
    expect([ran.out, ran.code]).toEqual(['', code]);
    expect(ran.err).toMatch(expected);
  });

  it('ends with 2, not with no, where there is no directory', async () => {
    expect((await run(can, 'a b --dir /nowhere/at/all')).code).toBe(2);
  });
});

describe('kubectl hedgerow diff', () => {
  it('lists what is new, what is gone and who stands elsewhere, and ends with 1', async () => {
    expect(await run(diff, `${MAIN} ${PULL_REQUEST}`)).toEqual({ code: 1, err: '', out: '+ berlin/sensors -> 0.0.0.0/0 : TCP 443\n' });
    expect(await run(diff, `${PULL_REQUEST} ${MAIN}`)).toEqual({ code: 1, err: '', out: '- berlin/sensors -> 0.0.0.0/0 : TCP 443\n' });
    expect(await run(diff, `${MAIN} ${MAIN}`)).toEqual({ code: 0, err: '', out: '' });
  });

  it('shows a quarantined Device with what it does not reach any more', async () => {
    const order =
      'apiVersion: hedgerow.dev/v1alpha1\nkind: Intervention\nmetadata: {name: x, namespace: berlin}\nspec: {target: {kind: Device, name: thermo-1}, action: Quarantine}\n';
    const { out, code } = await run(diff, `${MAIN} ${mainWith('order.yaml', order)}`);
    expect(out).toBe(`- Device berlin/thermo-1 -> berlin/gateways : TCP 8883
- Device berlin/thermo-1 -> berlin/gateways : dt/sensors.berlin/{publisher}/#
~ Device berlin/thermo-1 : berlin/sensors, Active -> berlin/sensors, Quarantined
`);
    expect(code).toBe(1);
  });

  it('shows what a NetworkPolicy opens for pods of a segment', async () => {
    const pods = DENY_ALL.slice(DENY_ALL.indexOf('---') + 4);
    const before = join(dir, 'before');
    cpSync(MAIN, before, { recursive: true });
    writeFileSync(join(before, 'pods.yaml'), pods);
    const { out } = await run(diff, `${before} ${mainWith('widening.yaml', DENY_ALL)}`);
    expect(out).toBe('+ berlin/sensor[Pod] -> 198.51.100.0-198.51.100.255[External] : All Connections\n');
  });

  it('says the same for scripts', async () => {
    const { out } = await run(diff, `${MAIN} ${PULL_REQUEST} -o json`);
    expect(JSON.parse(out)).toEqual({
      reachable: [{ from: 'berlin/sensors', to: '0.0.0.0/0', by: 'TCP 443' }],
      blocked: [],
      devices: [],
      complete: true,
    });
  });

  it('refuses the cluster on both sides', async () => expect((await run(diff, 'cluster cluster')).code).toBe(2));
});

describe('kubectl hedgerow check', () => {
  it('prints the proof of what a pull request breaks', async () => {
    expect(await run(check, `${INVARIANTS} --dir ${PULL_REQUEST}`)).toEqual({
      code: 1,
      err: '',
      out: `BROKEN  no segment of devices reaches the internet
  berlin/sensors -> 0.0.0.0/0 : TCP 443
    1. SegmentPolicy berlin/sensors (sensors.yaml), spec.conduits[1]: vendor-cloud to 0.0.0.0/0: TCP 443
holds   only gateways reach the cameras
holds   nobody outside berlin subscribes to its telemetry
`,
    });
    expect((await run(check, `${INVARIANTS} --dir ${MAIN}`)).code).toBe(0);
  });

  it('sees what a NetworkPolicy opens to the pods of a segment behind the back of its policy', async () => {
    const copy = mainWith('widening.yaml', DENY_ALL);
    const { code, out } = await run(check, `${INVARIANTS} --dir ${copy}`);
    expect(out).toContain('NetworkPolicy berlin/all-out (widening.yaml), spec.egress[0]');
    expect(code).toBe(1);
  });

  it('a name that nobody has is an error, not an invariant that holds', async () => {
    const file = invariantsOf('invariants:\n- {name: a, never: {from: {segment: sensorz}, to: internet}}\n');
    const { code, err } = await run(check, `${file} --dir ${MAIN}`);
    expect(err).toContain('HR-CLI-066: "a": segment sensorz');
    expect(code).toBe(2);
  });

  it.each([
    ['an unknown field', 'invariants: [{name: a, nevr: {}}]', /invariants\[0\]: it has the unknown field "nevr"/],
    ['two kinds at once', 'invariants: [{name: a, never: {}, only: {}}]', /needs one of never, only, publish, subscribe, and only one/],
    ['nothing to check', 'invariants: []', /it is empty/],
    ['an empty selector', 'invariants: [{name: a, never: {from: {}, to: internet}}]', /names nobody: write everybody/],
    [
      'a trust that is none',
      'invariants: [{name: a, never: {from: {trust: "<= 9"}, to: internet}}]',
      /invariants\[0\]\.never\.from\.trust/,
    ],
    [
      'two of one name',
      'invariants: [{name: a, never: {from: internet, to: everybody}}, {name: a, never: {from: internet, to: everybody}}]',
      /two are named "a"/,
    ],
    ['a topic that is none', 'invariants: [{name: a, subscribe: {topic: "a/#/b", only: everybody}}]', /no MQTT topic filter/],
    ['two documents', 'invariants: []\n---\ninvariants: []', /one YAML document/],
    ['no YAML', 'invariants: [', /HR-CLI-065/],
  ])('refuses %s and checks nothing', async (_name, content, expected) => {
    const { code, out, err } = await run(check, `${invariantsOf(content)} --dir ${MAIN}`);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(expected);
  });
});

describe('kubectl hedgerow explain', () => {
  it('names the rule that allows, and the grants that are missing', async () => {
    const allowed = await run(explainTopic, `thermo-1 publish dt/sensors.berlin/thermo-1.berlin/x -n berlin --dir ${MAIN}`);
    expect(allowed).toEqual({
      ...{ code: 0, err: '' },
      out: 'allowed: Device berlin/thermo-1 publish dt/sensors.berlin/thermo-1.berlin/x\n  1. SegmentPolicy berlin/sensors (sensors.yaml), spec.topics.publish[0].topic: publish dt/{segment}/{device}/#\n',
    });
    const other = await run(explainTopic, `thermo-1 publish dt/sensors.berlin/thermo-2.berlin/x -n berlin --dir ${MAIN}`);
    expect(other.code).toBe(1);
    expect(other.out).toMatch(/^denied: /);
  });

  it('of a wildcard for every segment it names each owner whose grant is missing', async () => {
    const { out, code } = await run(explainTopic, `paris/collector subscribe dt/# --dir ${MAIN}`);
    for (const owner of ['cameras', 'gateways', 'sensors'])
      expect(out).toContain(
        `missing: spec.acceptFrom of SegmentPolicy berlin/${owner} does not let paris/analytics subscribe dt/${owner}.berlin/#`,
      );
    expect(code).toBe(1);
  });
});

describe('kubectl hedgerow what-if', () => {
  it('the blast radius grows from hop to hop', async () => {
    expect((await run(whatIfCompromise, `thermo-1 -n berlin --dir ${MAIN}`)).out).toBe(
      `Device berlin/thermo-1 reaches by itself: 1 other device in 1 segment, 0 other targets
hop 1  berlin/gateways (1 device) from Device berlin/thermo-1 : TCP 8883, dt/sensors.berlin/{publisher}/#
`,
    );
    expect((await run(whatIfCompromise, `thermo-1 --hops 3 -n berlin --dir ${MAIN}`)).out).toBe(
      `Device berlin/thermo-1 reaches in 3 hops: 2 other devices in 2 segments, 1 other target
hop 1  berlin/gateways (1 device) from Device berlin/thermo-1 : TCP 8883, dt/sensors.berlin/{publisher}/#
hop 2  203.0.113.0/24 from berlin/gateways : TCP 443
hop 2  berlin/cameras (1 device) from berlin/gateways : TCP 554
`,
    );
  });

  it('a quarantine takes all ways out and in, and leaves the topics to repair it by', async () => {
    const { out, code } = await run(whatIfQuarantine, `cam-1 -n berlin --dir ${MAIN}`);
    expect(out).toContain('takes no way out: it has none\nends the ways to it from\n  <- berlin/gateways : TCP 554\n');
    expect(out).toContain('subscribe recovery/{device}/#');
    expect(code).toBe(0);
  });

  it.each(['0', '33', '-1', 'x'])('--hops %s is refused', async (hops) => {
    expect((await run(whatIfCompromise, `thermo-1 -n berlin --dir ${MAIN}`, `--hops=${hops}`)).code).toBe(2);
  });
});

describe('kubectl hedgerow graph', () => {
  it('is Mermaid for Markdown', async () => {
    expect((await run(graph, `--dir ${MAIN}`)).out).toBe(`flowchart LR
  n0["berlin/cameras<br/>trust 2, office-camera<br/>1 device"]
  n1["berlin/gateways<br/>trust 3, gateway<br/>1 device"]
  n2["berlin/sensors<br/>trust 2, office-sensor<br/>2 devices"]
  n3["paris/analytics<br/>trust 3, analytics<br/>1 device"]
  n4(["203.0.113.0/24<br/>outside"])
  n1 -->|"TCP 443"| n4
  n1 -->|"TCP 554"| n0
  n2 -->|"TCP 8883"| n1
  n2 -.->|"dt/sensors.berlin/{publisher}/#35;"| n1
`);
  });

  it('is SVG, each time the same', async () => {
    const [first, second] = [await run(graph, `--format svg --dir ${MAIN}`), await run(graph, `--format svg --dir ${MAIN}`)];
    expect(first.out).toBe(second.out);
    expect(first.out.match(/<rect /g)).toHaveLength(1 + 5);
    expect(first.out.match(/marker-end/g)).toHaveLength(4);
    expect(first.out).toContain('>berlin/cameras</text>');
  });
});

describe('examples/gitops/check.sh', () => {
  const ci = (...args: string[]) =>
    spawnSync(join(EXAMPLE, 'check.sh'), args, {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HEDGEROW: `${process.execPath} ${resolve(import.meta.dirname, 'main.ts')}` },
    });

  it('fails a pull request that opens sensors to the internet, with the proof', { timeout: 120_000 }, () => {
    const { status, stdout, stderr } = ci();
    expect([status, stderr]).toEqual([1, '']);
    expect(stdout).toBe(`What pull-request changes:
+ berlin/sensors -> 0.0.0.0/0 : TCP 443
Invariants:
BROKEN  no segment of devices reaches the internet
  berlin/sensors -> 0.0.0.0/0 : TCP 443
    1. SegmentPolicy berlin/sensors (sensors.yaml), spec.conduits[1]: vendor-cloud to 0.0.0.0/0: TCP 443
holds   only gateways reach the cameras
holds   nobody outside berlin subscribes to its telemetry
`);
  });

  it('lets a harmless one pass', { timeout: 120_000 }, () => expect(ci('main', 'main').status).toBe(0));
});
