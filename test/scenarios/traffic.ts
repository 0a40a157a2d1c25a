// Traffic with secrets in it, the same over TLS and, for the control run of the capture, over roads without.
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import type { IClientOptions } from 'mqtt';
import type { BrokerAddress } from '../simulator/device.ts';
import type { Member } from './scene.ts';

/** Where the broker's MQTT, its REST API and the API server are reached; `http:` and `mqtt` without TLS. */
export type Road = {
  mqtt: { address: BrokerAddress; options?: IClientOptions };
  rest: { url: string; ca?: string };
  api: { url: string; ca?: string };
};

/** A device's telemetry, a call with the broker's API key, and a private key read from the cluster with a token. Gives that key's Secret as the API server answered. */
export async function traffic(road: Road, with_: { member: Member; basic: string; token: string; secretPath: string }): Promise<string> {
  const { device, certificatePem } = with_.member;
  await device.close();
  await device.connect(road.mqtt.address, certificatePem, road.mqtt.options);
  if ((await device.publishReadings(600)) === 0) throw new Error('no reading was accepted');
  await get(`${road.rest.url}/api/v5/clients`, with_.basic, road.rest.ca);
  return get(`${road.api.url}${with_.secretPath}`, `Bearer ${with_.token}`, road.api.ca);
}

function get(url: string, authorization: string, ca?: string): Promise<string> {
  const request = url.startsWith('https:') ? requestTls : requestPlain;
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { headers: { authorization, accept: 'application/json' }, agent: false, ...(ca === undefined ? {} : { ca }) },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('error', reject);
        answer.on('end', () =>
          answer.statusCode === 200 ? resolve(text) : reject(new Error(`GET ${new URL(url).pathname}: ${answer.statusCode}`)),
        );
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}
