// Starts a cluster, pauses its API server and waits: for the test that kills this program.
import { startCluster } from '../cluster.ts';

const cluster = await startCluster({ name: process.argv[2] ?? '', freshData: true });
await cluster.pause('kube-apiserver');
console.log('up');
setInterval(() => undefined, 60_000);
