import type { KubeObject } from '../../../operator/kube/object.ts';
import { patiently } from '../patience.ts';
import type { Talker } from '../talker.ts';
import { count, duration } from '../text.ts';
import { allowing, isShut, type NetworkPolicy } from './network-rules.ts';
import { answered, genuineDevicesTalk, must, type Scene, type Stage, untilTold } from './scene.ts';

/** It has devices at the broker and pods in the cluster, so both can be looked at. */
const SEGMENT = 'meeting-rooms';
const SAMPLE_FILE = 'crds/samples/smart-office/11-meeting-rooms.yaml';

export const policyDeleted: Scene = {
  proof: 'a deleted policy opens nothing, and comes back whole',
  attempt: () => `Somebody deletes the SegmentPolicy ${SEGMENT}, by mistake, and applies it again.`,
  async play(stage, check) {
    const { fleet, watch, namespace, kubectl } = stage;
    const members = fleet.talkers.filter(({ segment }) => segment === SEGMENT);
    const others = fleet.talkers.filter((talker) => talker.segment !== SEGMENT && talker.device.connected());
    const before = await networkPolicies(stage);
    const serials = serialNumbers(stage, members);
    const calm = others.map(({ tally }) => tally.connections);

    const deleted = must(await kubectl(['delete', 'segmentpolicy', SEGMENT, '-n', namespace]));
    const shut = await Promise.all(members.map((talker) => untilTold(talker, 'refused', deleted.startedAt)));
    check('its devices may publish nothing any more', true, `${shut.length} of ${members.length} refused (${shut[0]?.how})`);
    for (const { name } of members) await watch.until(name, 'Ready', 'False');
    const [first] = members as [Talker];
    const all = await answered(first, (device) => device.trySubscribe('#'));
    check('# of one of them', all.given === 'refused', all.how);
    const firmware = await answered(first, (device) => device.tryPublish(`ota/v1/d/${device.name}/log`, '{}'));
    check('its firmware topic stays, so that it can be repaired', firmware.given === 'accepted', firmware.how);

    const during = await patiently('the NetworkPolicies of the segment to go', async () => {
      const now = await networkPolicies(stage);
      return allowing(now).length < allowing(before).length ? now : undefined;
    });
    const opened = allowing(during).filter((rule) => !allowing(before).includes(rule));
    check(
      'NetworkPolicies',
      opened.length === 0 && isShut(during),
      `${count(opened.length, 'rule')} added, ${count(allowing(before).length - allowing(during).length, 'rule')} taken away; every pod of ${namespace} stays shut`,
    );
    await genuineDevicesTalk(others, check);
    const cut = others.filter(({ tally }, at) => tally.connections !== calm[at]).length;
    check('connections of other segments that were cut', cut === 0, String(cut));

    const applied = must(await kubectl(['apply', '-f', SAMPLE_FILE]));
    await Promise.all(members.map((talker) => untilTold(talker, 'accepted', applied.startedAt)));
    const backMs = performance.now() - applied.startedAt;
    for (const { name } of members) await watch.until(name, 'Ready', 'True');
    const same = String(serialNumbers(stage, members)) === String(serials);
    check(
      'back without enrolling again',
      same,
      `all publish ${duration(backMs)} after kubectl apply was started, ${same ? 'with the same certificates' : 'with other certificates'}`,
    );
    const rules = String(allowing(before));
    await patiently(
      'the NetworkPolicies to be as before',
      async () => String(allowing(await networkPolicies(stage))) === rules || undefined,
    );
    check('the NetworkPolicies are as before', true, `${count(allowing(before).length, 'rule')} that allow`);
    return `${count(opened.length, 'rule')} opened; all back in ${duration(backMs)}`;
  },
};

function serialNumbers({ watch }: Stage, talkers: readonly Talker[]): (string | undefined)[] {
  return talkers.map(({ name }) => watch.get(name)?.serialNumber);
}

async function networkPolicies({ system, namespace }: Stage): Promise<NetworkPolicy[]> {
  const { items } = await system.get<{ items: (KubeObject & NetworkPolicy)[] }>('networkpolicies', '-n', namespace);
  return items;
}
