import { duration } from '../text.ts';
import { answered, genuineDevicesTalk, intervention, must, type Scene, untilTold } from './scene.ts';
import { VICTIM } from './stranger.ts';

const SUSPECT = 'thermo-18';

export const quarantine: Scene = {
  proof: 'a quarantined device keeps its recovery topics only',
  attempt: () => `${SUSPECT} behaves oddly. Somebody quarantines it, has a look, and lets it out again.`,
  async play(stage, check) {
    const { fleet, watch, namespace } = stage;
    const talker = fleet.talker(SUSPECT);
    const { device } = talker;
    const order = intervention(stage, 'Quarantine', SUSPECT, 'odd readings, ticket 4711');
    const applied = must(await stage.kubectl(['apply', '-f', '-'], order));
    const shut = await untilTold(talker, 'refused', applied.startedAt);
    check('its readings', true, `${shut.how}, ${duration(shut.ms)} after kubectl apply was started`);
    await watch.until(SUSPECT, 'Quarantined', 'True');
    const commands = await answered(talker, () => device.trySubscribe(`cmd/${talker.segment}.${namespace}/${device.name}/#`));
    check('its commands', commands.given === 'refused', commands.how);
    const recovery = await answered(talker, () => device.tryPublish(`recovery/${device.name}/report`, '{"self-test":"ok"}'));
    check('its recovery topic, by which it can be repaired', recovery.given === 'accepted', recovery.how);
    const firmware = await answered(talker, () => device.tryPublish(`ota/v1/d/${device.name}/log`, '{}'));
    check('its firmware topic', firmware.given === 'accepted', firmware.how);
    await genuineDevicesTalk([fleet.talker(VICTIM)], check);

    const released = must(await stage.kubectl(['delete', 'intervention', order.name, '-n', namespace]));
    const { ms: openMs } = await untilTold(talker, 'accepted', released.startedAt);
    await watch.until(SUSPECT, 'Ready', 'True');
    check('released: its readings', true, `accepted ${duration(openMs)} after kubectl delete was started, and Ready again`);
    return `shut in ${duration(shut.ms)}, open again in ${duration(openMs)}`;
  },
};
