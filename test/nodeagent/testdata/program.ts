// What the test's pods run: `exit CODE`, `wait` (until SIGTERM, then 0), `stubborn` (SIGTERM does nothing), `look` (prints what it was given, and what it may do).
import { readFileSync } from 'node:fs';
import { connect } from '../../../operator/kube/client.ts';
import { findConnection } from '../../../operator/kube/config.ts';
import { KubeError } from '../../../operator/kube/errors.ts';
import { noKubeMetrics } from '../../../operator/kube/ports.ts';
import { systemClock } from '../../../operator/runtime/clock.ts';
import { silentLog } from '../../../operator/runtime/log.ts';
import { systemRandom } from '../../../operator/runtime/random.ts';

const [word, operand] = process.argv.slice(2);
if (word === 'exit') process.exit(Number(operand));
if (word === 'look') {
  console.log(JSON.stringify(await look()));
  process.exit(0);
}
process.on('SIGTERM', () => {
  console.log('SIGTERM');
  if (word === 'wait') process.exit(0);
});
console.log('waiting');
setInterval(() => undefined, 1_000);

/** With the operator's own client, as in a pod: nothing tells it that this is none. */
async function look(): Promise<object> {
  const connection = await findConnection({ kubeconfig: undefined, env: (name) => process.env[name] });
  const client = connect(connection, { clock: systemClock, random: systemRandom, log: silentLog, metrics: noKubeMetrics });
  const status = async (path: string): Promise<number | string> => {
    try {
      await client.raw('GET', `/api/v1/namespaces/${connection.namespace}/${path}`);
      return 200;
    } catch (error) {
      return error instanceof KubeError ? error.status : String(error);
    }
  };
  const words = await status('configmaps/words');
  const secrets = await status('secrets');
  const { JOB_COMPLETION_INDEX: index, WORD: word } = process.env;
  const greeting = readFileSync('/etc/hedgerow-test/words/greeting', 'utf8');
  await client.close();
  return { namespace: connection.namespace, index, word, operand, greeting, words, secrets };
}
