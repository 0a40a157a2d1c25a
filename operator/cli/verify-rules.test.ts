// check, what-if, diff and graph by the broker's own rules: a text that says what the policies say, one with a rule of others, one without ours, and one that nobody understands.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { sentText } from '../broker/testing/sent-text.ts';
import { rightsOfListed } from '../segments/segments.ts';
import { check } from './check.ts';
import type { Command } from './command.ts';
import { graph } from './graph.ts';
import { diff } from './reach-diff.ts';
import { typed } from './testing/heard.ts';
import { whatIfCompromise, whatIfQuarantine } from './what-if.ts';

const EXAMPLE = resolve(import.meta.dirname, '../../examples/gitops');
const [MAIN, INVARIANTS] = [join(EXAMPLE, 'main'), join(EXAMPLE, 'invariants.yaml')];
const objectsIn = (file: string) => parseAllDocuments(readFileSync(join(MAIN, `${file}.yaml`), 'utf8')).map((one) => one.toJS());
/** What the operator would write for examples/gitops/main. */
const OWN = sentText(rightsOfListed(['sensors', 'gateways', 'cameras', 'paris'].flatMap(objectsIn), objectsIn('namespaces'), 0));
const HEARS_ALL = '{allow, {clientid, "collector.paris"}, subscribe, ["dt/+"]}.';
const WIDENED = `${HEARS_ALL}\n${OWN}`;
const NOBODY_KNOWS = `{allow, {zone, "z"}, subscribe, ["dt/#"]}.\n${OWN}`;
const NOTE = 'kubectl hedgerow: note: of the broker only this text was asked: rules of single clients, bans and no_match are not in it\n';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-rules-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function byText(command: Command, text: string, ...argv: string[]) {
  const file = join(dir, 'acl.conf');
  writeFileSync(file, text);
  const where = command === diff ? [] : ['--dir', MAIN];
  return typed(command, ...command.words, ...argv, ...where, '--acl', file);
}

describe('check', () => {
  it('holds by the text that the operator would write, and nothing is out of force', async () => {
    const { code, out, err } = await byText(check, OWN, INVARIANTS);
    expect(out).toMatch(/^(holds .*\n){3}$/);
    expect([code, err]).toEqual([0, NOTE]);
  });

  it('is broken by a rule of others though the manifests are right, with the rule as the proof', async () => {
    const { code, out } = await byText(check, WIDENED, INVARIANTS);
    expect(out).toBe(`holds   no segment of devices reaches the internet
holds   only gateways reach the cameras
BROKEN  nobody outside berlin subscribes to its telemetry
  paris/analytics -> topic dt/+/# : subscribe
    1. EMQX, file, line 1: {allow, {clientid, "collector.paris"}, subscribe, ["dt/+"]}
`);
    expect(code).toBe(1);
  });

  it('so is one about who reaches whom', async () => {
    const file = join(dir, 'invariants.yaml');
    writeFileSync(
      file,
      'invariants:\n- {name: sensors speak to berlin, never: {from: {segment: sensors}, to: {namespace: paris}, via: broker}}\n',
    );
    expect((await byText(check, OWN, file)).code).toBe(0);
    const { code, out } = await byText(check, WIDENED, file);
    expect(out).toContain('BROKEN  sensors speak to berlin\n  berlin/sensors -> paris/analytics : dt/sensors.berlin/{publisher}/#\n');
    expect(out).toContain(`    2. EMQX, file, line 1, subscribe dt/#: ${HEARS_ALL.slice(0, -1)}\n`);
    expect(code).toBe(1);
  });

  it('names what policies grant and the broker refuses', async () => {
    const { code, out } = await byText(check, '{deny, all}.', INVARIANTS);
    expect(out).toContain(
      'drift   not in force at the broker for berlin/sensors (2 devices), refused by EMQX, file, line 1: {deny, all}: publish dt/sensors.berlin/{device}/#, ',
    );
    expect(code).toBe(0);
    const { out: json } = await byText(check, '{deny, all}.', INVARIANTS, '-o', 'json');
    expect(JSON.parse(json).notInForce).toContainEqual(
      expect.objectContaining({ segment: 'berlin/gateways', devices: 1, action: 'subscribe', filter: 'dt/sensors.berlin/#' }),
    );
  });

  it('is no answer where a rule is not understood and may break it', async () => {
    const { code, out, err } = await byText(check, NOBODY_KNOWS, INVARIANTS);
    expect(out).toMatch(
      /UNKNOWN nobody outside berlin subscribes to its telemetry\n {2}perhaps paris\/analytics -> topic dt\/\+\/# : subscribe\n/,
    );
    expect(err).toMatch(/HR-CLI-067: file, line 1: its subject is not understood/);
    expect(code).toBe(2);
  });
});

describe('what-if', () => {
  it('somebody who has the sensor reaches who hears it at the broker, and hears what it may', async () => {
    expect(
      (await byText(whatIfCompromise, WIDENED, 'berlin/thermo-1')).out,
    ).toBe(`Device berlin/thermo-1 reaches by itself: 2 other devices in 2 segments, 0 other targets
hop 1  berlin/gateways (1 device) from Device berlin/thermo-1 : TCP 8883, dt/sensors.berlin/{publisher}/#
hop 1  paris/analytics (1 device) from Device berlin/thermo-1 : dt/sensors.berlin/{publisher}/#
`);
    expect((await byText(whatIfCompromise, WIDENED, 'paris/collector')).out).toContain(
      'hears  berlin/sensors : dt/sensors.berlin/{publisher}/#\n',
    );
  });

  it('reaches nobody by topics where the text grants none, and says what is not in force', async () => {
    const { code, out } = await byText(whatIfCompromise, '{deny, all}.', 'berlin/thermo-1');
    expect(out).toContain('hop 1  berlin/gateways (1 device) from Device berlin/thermo-1 : TCP 8883\n');
    expect(out).toContain('drift   not in force at the broker for berlin/sensors (1 device), refused by EMQX, file, line 1');
    expect(code).toBe(0);
  });

  it('a quarantine ends the ways that rules of others opened, too', async () => {
    const { code, out } = await byText(whatIfQuarantine, WIDENED, 'paris/collector');
    expect(out).toContain('ends the ways to it from\n  <- berlin/sensors : dt/sensors.berlin/{publisher}/#\n');
    expect(out).not.toContain('does not end');
    expect(code).toBe(0);
  });

  it('is no answer where a rule is not understood', async () => {
    expect((await byText(whatIfCompromise, NOBODY_KNOWS, 'berlin/thermo-1')).code).toBe(2);
    expect((await byText(whatIfQuarantine, NOBODY_KNOWS, 'berlin/thermo-1')).code).toBe(2);
  });
});

describe('diff', () => {
  it('nothing differs where the broker has what the manifests say', async () => {
    expect(await byText(diff, OWN, MAIN, MAIN)).toEqual({ code: 0, out: '', err: NOTE });
  });

  it('what the broker lets through and nobody grants goes, with its rules; what is granted and not in force comes', async () => {
    const { code, out } = await byText(diff, WIDENED, MAIN, MAIN);
    expect(out).toMatch(
      /^- berlin\/sensors -> paris\/analytics : dt\/sensors\.berlin\/\{publisher\}\/#\n {4}1\. EMQX, file, line 7, .*\n {4}2\. EMQX, file, line 1, /,
    );
    expect(code).toBe(1);
    expect(await byText(diff, '{deny, all}.', MAIN, MAIN)).toMatchObject({
      code: 1,
      out: '+ berlin/sensors -> berlin/gateways : dt/sensors.berlin/{publisher}/#\n',
    });
  });

  it('is no answer where a rule is not understood', async () => {
    expect((await byText(diff, NOBODY_KNOWS, MAIN, MAIN)).code).toBe(2);
  });
});

describe('graph', () => {
  it('shows what no policy grants, and what is not in force', async () => {
    expect((await byText(graph, WIDENED)).out).toContain(
      '  n2 -.->|"dt/sensors.berlin/{publisher}/#35;"| n1\n  n2 -.->|"dt/sensors.berlin/{publisher}/#35; (no policy grants it)"| n3\n',
    );
    expect((await byText(graph, '{deny, all}.')).out).toContain(
      'n2 -.->|"dt/sensors.berlin/{publisher}/#35; (not in force at the broker)"| n1\n',
    );
    expect((await byText(graph, NOBODY_KNOWS)).code).toBe(2);
  });
});
