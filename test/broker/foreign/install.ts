/** Clients that this project did not write: mosquitto's from Debian, paho from PyPI, installed where they are missing. */

import { ensureDebianPackages, findCommand } from '../../../scripts/bootstrap/debian.ts';
import { type Installed, installPython } from '../../harness/python.ts';

export async function installMosquitto(): Promise<Installed> {
  try {
    await ensureDebianPackages([{ package: 'mosquitto-clients', command: 'mosquitto_sub' }], console.log);
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) };
  }
  return { path: findCommand('mosquitto_sub') ?? '' };
}

const PAHO = '2.1.0';

/** A Python with paho-mqtt, in a virtual environment outside the tree. */
export const installPaho = (): Promise<Installed> => installPython(`paho-mqtt-${PAHO}`, [`paho-mqtt==${PAHO}`], 'import paho.mqtt.client');
